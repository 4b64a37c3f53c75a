/// Names a group of a queue.
public struct GroupReference: Sendable, Hashable {
    public var queue: String
    public var name: String

    public init(queue: String, name: String) {
        self.queue = queue
        self.name = name
    }
}

/// When a group is ready to be aggregated: as soon as one of these is so.
public struct GroupPolicy: Sendable, Hashable {
    /// The newest of its tasks has been in it for so long. A broker may take up to a second more.
    public var gracePeriod: Duration
    /// The oldest has been in it for so long. Default: no limit.
    public var maxDelay: Duration?
    /// It has so many tasks. Default: no limit.
    public var maxSize: Int?

    public init(gracePeriod: Duration, maxDelay: Duration? = nil, maxSize: Int? = nil) {
        self.gracePeriod = gracePeriod
        self.maxDelay = maxDelay
        self.maxSize = maxSize
    }

    /// How many tasks are staged at once, at most.
    public var setSize: Int { min(max(1, maxSize ?? AggregationSet.defaultCount), AggregationSet.maxCount) }

    /// How long until a group is ready that has tasks.
    ///
    /// - Parameters:
    ///   - count: how many tasks it has.
    ///   - oldest: for how long the oldest has been in it.
    ///   - newest: the same of the newest.
    public func timeUntilReady(count: Int, oldest: Duration, newest: Duration) -> Duration {
        if let maxSize, count >= maxSize { return .zero }
        var wait = gracePeriod - newest
        if let maxDelay { wait = min(wait, maxDelay - oldest) }
        return max(.zero, wait)
    }
}

/// Tasks that were taken out of a group to be aggregated. A class, because it passes through many hands and is never
/// changed.
public final class AggregationSet: Sendable {
    /// How long after it was staged or extended a set is stale.
    public static let lifetime = Duration.minutes(2)
    /// The most tasks of a set where the policy has no maximum: few enough that storing the aggregated task and deleting
    /// them takes a broker some milliseconds.
    public static let defaultCount = 1000
    /// The most tasks of any set.
    public static let maxCount = 10_000
    /// So many bytes of payload are enough for a set.
    public static let maxBytes = 32 << 20

    public let group: GroupReference
    /// In the broker's own terms. Never used again.
    public let id: String
    /// Oldest first.
    public let tasks: [TaskMessage]

    public init(group: GroupReference, id: String, tasks: [TaskMessage]) {
        self.group = group
        self.id = id
        self.tasks = tasks
    }
}

/// What ``GroupBroker/stageGroups(_:policy:limit:)`` found.
public struct GroupCheck: Sendable {
    /// What was staged, if the group was ready.
    public var set: AggregationSet?
    /// How long until the group, or what is left in it, is ready; zero if it is so already. `nil` if it has no tasks.
    public var nextDueIn: Duration?

    public init(set: AggregationSet? = nil, nextDueIn: Duration?) {
        self.set = set
        self.nextDueIn = nextDueIn
    }
}
