#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The figures of a queue at one moment.
public struct QueueSnapshot: Sendable, Hashable {
    public var queue: String
    /// The broker's time.
    public var time: Date
    /// Since when it has been paused; `nil`: it is not.
    public var pausedAt: Date?
    public var active = 0
    public var pending = 0
    public var scheduled = 0
    public var retry = 0
    public var archived = 0
    /// Also those whose retention is over and that have not been deleted yet.
    public var completed = 0
    /// In groups, and in sets that are being aggregated.
    public var aggregating = 0
    /// Groups that have tasks which wait to be aggregated.
    public var groups = 0
    /// Attempts that ended today by UTC, successes and failures.
    public var processedToday = 0
    /// Attempts that failed today by UTC.
    public var failedToday = 0
    /// Attempts that ever ended, successes and failures.
    public var processed = 0
    /// Attempts that ever failed.
    public var failed = 0
    /// How long the oldest pending task has been waiting; zero if none waits.
    public var latency = Duration.zero
    /// About how many bytes its tasks take, from a sample of them; `nil` if the broker cannot tell.
    public var memoryUsage: Int?

    public init(queue: String, time: Date) {
        self.queue = queue
        self.time = time
    }

    public var isPaused: Bool { pausedAt != nil }

    /// Tasks in all states.
    public var size: Int { TaskState.allCases.reduce(0) { $0 + self[$1] } }

    /// How many tasks are in a state.
    public subscript(state: TaskState) -> Int {
        get {
            switch state {
            case .active: active
            case .pending: pending
            case .scheduled: scheduled
            case .retry: retry
            case .archived: archived
            case .completed: completed
            case .aggregating: aggregating
            }
        }
        set {
            switch state {
            case .active: active = newValue
            case .pending: pending = newValue
            case .scheduled: scheduled = newValue
            case .retry: retry = newValue
            case .archived: archived = newValue
            case .completed: completed = newValue
            case .aggregating: aggregating = newValue
            }
        }
    }
}

/// What was processed on one day.
public struct DailyCounts: Sendable, Hashable {
    /// Midnight by UTC, at which the day began.
    public var day: Date
    /// Attempts that ended, successes and failures.
    public var processed: Int
    public var failed: Int
    public var succeeded: Int { max(0, processed - failed) }

    public init(day: Date, processed: Int, failed: Int) {
        self.day = day
        self.processed = processed
        self.failed = failed
    }
}

/// A group, and how many tasks wait in it.
public struct GroupSize: Sendable, Hashable {
    public var group: String
    /// Not counting those that are being aggregated.
    public var size: Int

    public init(group: String, size: Int) {
        self.group = group
        self.size = size
    }
}
