/// What becomes of the times of a periodic task at which it could not be enqueued: all schedulers were down, or the broker
/// was away. A time counts as missed when it is older than `AsynqScheduler.Configuration.missedAfter`; until then it is
/// only late, and is made up for in any case.
public struct MissedRuns: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case skip
        case one
        case all(limit: Int)
    }

    let kind: Kind

    /// They are left out. The default.
    public static let skip = MissedRuns(kind: .skip)

    /// However many there are, the task is enqueued once for the latest of them; not at all if it is late only for later
    /// ones, which are made up for anyway.
    public static let one = MissedRuns(kind: .one)

    /// The task is enqueued for each of them, oldest first: of the latest 100 at most.
    public static let all = MissedRuns.all(limit: 100)

    /// The task is enqueued for each of them, oldest first.
    ///
    /// - Parameter limit: the most that are made up for at once, the latest ones; 1 to 1000, what is outside is moved
    ///   there. Those before are left out.
    public static func all(limit: Int) -> MissedRuns { MissedRuns(kind: .all(limit: min(max(1, limit), 1000))) }
}
