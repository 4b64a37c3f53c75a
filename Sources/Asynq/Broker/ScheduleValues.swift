#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Names an entry, and the queue beside which its mark is kept.
public struct EntryReference: Sendable, Hashable {
    public var entryID: String
    public var queue: String

    public init(entryID: String, queue: String) {
        self.entryID = entryID
        self.queue = queue
    }
}

/// A task that an entry is to have enqueued for one of its times.
public struct EntryOccurrence: Sendable {
    public var entryID: String
    /// Unix milliseconds.
    public var time: Int64
    /// Its queue is that of the entry's mark.
    public var request: EnqueueRequest

    public init(entryID: String, time: Int64, request: EnqueueRequest) {
        self.entryID = entryID
        self.time = time
        self.request = request
    }
}

/// What became of an ``EntryOccurrence``.
public enum OccurrenceOutcome: Sendable, Hashable {
    case enqueued(EnqueueReceipt)
    /// It had been settled before: the entry's mark, in Unix milliseconds, is at it or after it. Nothing was changed.
    case settled(mark: Int64)
    /// Its time has not come on the broker's clock. Nothing was changed.
    case early(by: Duration)
}

/// What a scheduler learns when it asks for a lease.
public struct SchedulerLease: Sendable, Hashable {
    /// Whether the one who asked has it.
    public var isHeld: Bool
    /// How long it lasts, whoever has it.
    public var remaining: Duration
    /// The broker's time, in Unix microseconds.
    public var now: Int64

    public init(isHeld: Bool, remaining: Duration, now: Int64) {
        self.isHeld = isHeld
        self.remaining = remaining
        self.now = now
    }
}

/// A periodic task, as inspectors see it.
public struct SchedulerEntry: Sendable, Hashable {
    /// The same in each scheduler that has the entry, and after a restart.
    public var id: String
    /// When it is enqueued: its cron expression, with the time zone if that is not UTC.
    public var spec: String
    public var taskType: String
    public var payload: [UInt8]
    /// Its options as text, such as `Queue("low")` (spec 1, "Messages").
    public var options: [String]
    /// `nil`: never again.
    public var nextEnqueueAt: Date?
    /// `nil`: not known.
    public var previousEnqueueAt: Date?

    public init(
        id: String,
        spec: String,
        taskType: String,
        payload: [UInt8],
        options: [String] = [],
        nextEnqueueAt: Date? = nil,
        previousEnqueueAt: Date? = nil
    ) {
        self.id = id
        self.spec = spec
        self.taskType = taskType
        self.payload = payload
        self.options = options
        self.nextEnqueueAt = nextEnqueueAt
        self.previousEnqueueAt = previousEnqueueAt
    }
}

/// One enqueue of a periodic task.
public struct SchedulerEnqueueEvent: Sendable, Hashable {
    public var entryID: String
    public var taskID: String
    public var enqueuedAt: Date

    public init(entryID: String, taskID: String, enqueuedAt: Date) {
        self.entryID = entryID
        self.taskID = taskID
        self.enqueuedAt = enqueuedAt
    }
}
