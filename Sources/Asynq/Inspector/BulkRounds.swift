/// When a bulk operation on a list that others fill is over. It goes in rounds: as many tasks as were there when the round
/// began. Where new tasks may come before old ones another round follows, for as long as each finds fewer than the one
/// before; so it ends even if tasks come as fast as they are moved.
struct BulkRounds {
    /// How many rounds there are at most.
    private var roundsLeft: Int
    private var size = 0
    /// How many tasks are left in this round.
    private(set) var left = 0

    init(limit: Int = .max) {
        roundsLeft = limit
    }

    mutating func begin(with count: Int) {
        size = count
        left = count
        roundsLeft -= 1
    }

    /// Whether another step is needed.
    ///
    /// - Parameter moved: by the last step.
    mutating func isToGoOn(after moved: Int, remaining: Int) -> Bool {
        if remaining == 0 { return false }
        if size == 0 { begin(with: moved + remaining) }
        // Others may have moved some as well. A step that moves none counts as one, so that there is an end.
        left = min(left - max(1, moved), remaining)
        if left > 0 { return true }
        guard roundsLeft > 0, remaining < size else { return false }
        begin(with: remaining)
        return true
    }
}
