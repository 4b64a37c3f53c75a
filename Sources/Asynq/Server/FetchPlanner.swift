/// Decides which queues to ask for how many tasks. A value with no I/O.
///
/// A queue that could not fill its share is known to be empty and is not asked again until it is reopened: by a signal
/// of the broker's watch, or by the poll that stands in for it.
struct FetchPlanner {
    private struct Queue {
        let name: String
        let priority: Int
        var isOpen = true
        /// It gave all that it was last asked for.
        var isDeep = false
        /// What earlier draws owe this queue, in tasks; keeps the shares exact over time.
        var credit = 0.0
        /// How often in a row it was reopened for nothing.
        var misses = 0
    }

    /// Where more queues than this are open, those that have plenty take turns at a draw: a broker gives, and ends, many tasks
    /// of one queue for little more than one.
    private static let many = 8
    /// So many tasks each of the others is asked for then, so that few tasks do not wait for the turns of many.
    private static let few = 4

    /// The highest priority first.
    private var queues: [Queue]
    private let positions: [String: Int]
    private let strict: Bool

    init(queues: [String: Int], strict: Bool) {
        self.queues = queues.filter { $0.value > 0 }
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { Queue(name: $0.key, priority: $0.value) }
        positions = Dictionary(uniqueKeysWithValues: self.queues.enumerated().map { ($1.name, $0) })
        self.strict = strict
    }

    var names: [String] { queues.map(\.name) }
    var hasOpenQueue: Bool { queues.contains(where: \.isOpen) }

    /// Shares `slots` free places among the open queues.
    ///
    /// - Parameter away: queues that are not to be asked now. Others come before them even where priorities are strict.
    mutating func draw(_ slots: Int, except away: Set<String> = []) -> [DequeueRequest] {
        guard slots > 0 else { return [] }
        if strict {
            return queues.first { $0.isOpen && !away.contains($0.name) }.map {
                [DequeueRequest(queue: $0.name, limit: slots)]
            } ?? []
        }
        let open = queues.indices.filter { queues[$0].isOpen && (away.isEmpty || !away.contains(queues[$0].name)) }
        guard open.count > 1 else { return open.map { DequeueRequest(queue: queues[$0].name, limit: slots) } }
        let total = open.reduce(0) { $0 + queues[$1].priority }
        for index in open {
            queues[index].credit += Double(slots) * Double(queues[index].priority) / Double(total)
        }
        let isMany = open.count > Self.many
        // Those that are owed most first; of equals those of higher priority, which come first.
        let order = open.sorted {
            let (one, other) = (queues[$0], queues[$1])
            if isMany, one.isDeep != other.isDeep { return other.isDeep }
            return (-one.credit, $0) < (-other.credit, $1)
        }
        var shares = [Int](repeating: 0, count: order.count)
        var rest = slots
        for (place, index) in order.enumerated() {
            let least = !isMany ? 0 : queues[index].isDeep ? rest : Self.few
            shares[place] = min(rest, max(0, Int(queues[index].credit), least))
            queues[index].credit -= Double(shares[place])
            rest -= shares[place]
            if rest == 0 { break }
        }
        while rest > 0 {
            let place = order.indices.max { (queues[order[$0]].credit, $1) < (queues[order[$1]].credit, $0) }!
            shares[place] += 1
            queues[order[place]].credit -= 1
            rest -= 1
        }
        return order.indices.filter { shares[$0] > 0 }
            .map { DequeueRequest(queue: queues[order[$0]].name, limit: shares[$0]) }
    }

    /// Takes note of how many tasks a queue gave. Returns whether it is now taken to be empty.
    ///
    /// - Parameter isWatched: a signal will come if it is not. A broker may give fewer than it has, when they are large
    ///   or many; without a signal only a queue that gave nothing is empty.
    mutating func received(_ count: Int, for request: DequeueRequest, isWatched: Bool) -> Bool {
        guard let index = positions[request.queue] else { return false }
        queues[index].misses = count > 0 ? 0 : queues[index].misses + 1
        queues[index].isDeep = count == request.limit
        guard isWatched ? count < request.limit : count == 0 else { return false }
        queues[index].isOpen = false
        queues[index].credit = 0
        return true
    }

    /// How often in a row this queue gave nothing.
    func misses(_ queue: String) -> Int { positions[queue].map { queues[$0].misses } ?? 0 }

    /// The queue may have tasks again. Returns whether that is news.
    mutating func reopen(_ queue: String) -> Bool {
        guard let index = positions[queue], !queues[index].isOpen else { return false }
        queues[index].isOpen = true
        return true
    }

    /// Any queue may have tasks: the signals of the watch cannot be relied upon.
    mutating func reopenAll() {
        for index in queues.indices { queues[index].isOpen = true }
    }
}
