#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A task to be stored.
public struct EnqueueRequest: Sendable {
    /// When a task may start.
    public enum Start: Sendable, Hashable {
        case now
        /// Unix milliseconds.
        case at(milliseconds: Int64)
        /// Milliseconds from now, on the broker's clock.
        case after(milliseconds: Int64)
    }

    /// Its ``TaskMessage/uniqueKey`` is filled in by the broker.
    public var message: TaskMessage
    public var start: Start
    /// Refuse the task while an equal one holds the lock; hold the lock for this long from the start time.
    public var uniqueFor: Duration?

    public init(message: TaskMessage, start: Start = .now, uniqueFor: Duration? = nil) {
        self.message = message
        self.start = start
        self.uniqueFor = uniqueFor
    }
}

/// What became of a stored task.
public struct EnqueueReceipt: Sendable, Hashable {
    /// `pending`, `scheduled` or `aggregating`.
    public var state: TaskState
    /// When it may start; `nil` while aggregating.
    public var nextProcessAt: Date?

    public init(state: TaskState, nextProcessAt: Date?) {
        self.state = state
        self.nextProcessAt = nextProcessAt
    }
}

/// A wish for tasks of one queue.
public struct DequeueRequest: Sendable, Hashable {
    public var queue: String
    public var limit: Int

    public init(queue: String, limit: Int) {
        self.queue = queue
        self.limit = limit
    }
}

/// A task that a server holds. A class, because it passes through many hands and is never changed.
public final class LeasedTask: Sendable {
    /// How long a lease lasts after it was given or extended.
    public static let leaseDuration = Duration.seconds(30)
    /// How long after a lease has ended the task is left alone, so that a write of its worker that is still on its way
    /// comes first.
    public static let recoveryGrace = Duration.seconds(30)

    public let message: TaskMessage
    /// Since when the task has been pending, in Unix nanoseconds; `nil` if not known.
    public let pendingSince: Int64?
    /// When it was taken, on the same clock, in Unix nanoseconds; `nil` if not known.
    public let dequeuedAt: Int64?
    /// The broker's time at which the lease ends if it is not extended, in Unix microseconds.
    public let leaseEnd: Int64

    /// Tells this attempt from others of the same task: the fraction of its lease's end, in microseconds. Brokers draw it from
    /// ``leaseMarks`` for each dequeue, so that two attempts have the same once in a million; an extension keeps it.
    public var leaseMark: Int64 { leaseEnd % 1_000_000 }

    /// Not 0, which is what a Go server's leases have.
    public static let leaseMarks: ClosedRange<Int64> = 1...999_999

    /// The first moment at which a full lease that begins now may end, in Unix microseconds.
    ///
    /// - Parameters:
    ///   - mark: of the attempt.
    ///   - now: in Unix microseconds.
    public static func leaseEnd(mark: Int64, now: Int64) -> Int64 {
        let least = now + leaseDuration.components.seconds * 1_000_000
        return least + (mark - least % 1_000_000 + 1_000_000) % 1_000_000
    }

    public init(message: TaskMessage, pendingSince: Int64? = nil, dequeuedAt: Int64? = nil, leaseEnd: Int64) {
        self.message = message
        self.pendingSince = pendingSince
        self.dequeuedAt = dequeuedAt
        self.leaseEnd = leaseEnd
    }
}

/// Names a task.
public struct TaskReference: Sendable, Hashable {
    public var queue: String
    public var id: String

    public init(queue: String, id: String) {
        self.queue = queue
        self.id = id
    }
}

/// How an attempt ended.
public struct FinishRequest: Sendable {
    public enum Outcome: Sendable, Hashable {
        /// Succeeded; the task is deleted, or kept as completed if it has a retention.
        case done
        /// Revoked; the task is deleted, whatever its retention.
        case drop
        /// Failed; to be tried again after `delay` on the broker's clock. One that does not count as a failure leaves
        /// the retries used and the failure counters as they are.
        case retry(delay: Duration, error: String, countsAsFailure: Bool)
        /// Failed for good.
        case archive(error: String)
        /// Not ended: handed back, next to run.
        case requeue
    }

    /// What must be so, or else nothing changes.
    public enum Condition: Sendable, Hashable {
        /// The task is active and leased.
        case isActive
        /// And it is so in this attempt, not in a later one. For a request that is made again because the first was not
        /// answered: it may have been carried out, and the task may have been taken again since.
        case isSameAttempt
        /// Its lease ended at least ``LeasedTask/recoveryGrace`` ago. For recovery, where a worker that came back in time
        /// must win.
        case isLeaseExpired
    }

    public var task: LeasedTask
    public var outcome: Outcome
    public var condition: Condition

    public init(task: LeasedTask, outcome: Outcome, condition: Condition = .isActive) {
        self.task = task
        self.outcome = outcome
        self.condition = condition
    }
}

/// What became of a ``FinishRequest``.
public enum FinishResult: Sendable {
    case finished
    /// The task does not fulfil the condition: another worker or the recoverer has it, or it has ended. Nothing was changed.
    case notFound
    /// The broker failed; it may or may not have happened, and can be asked again, with
    /// ``FinishRequest/Condition/isSameAttempt``.
    case failed(AsynqError)
}

/// What ``Broker/forward(queues:limit:)`` did.
public struct ForwardResult: Sendable, Hashable {
    /// How many tasks were moved.
    public var moved: Int
    /// How long until the next one is due; `nil` if none waits. Zero if more are due already.
    public var nextDueIn: Duration?

    public init(moved: Int, nextDueIn: Duration?) {
        self.moved = moved
        self.nextDueIn = nextDueIn
    }
}

/// Names a running server.
public struct ServerIdentity: Sendable, Hashable {
    public var host: String
    public var pid: Int32
    public var id: String

    public init(host: String, pid: Int32, id: String) {
        self.host = host
        self.pid = pid
        self.id = id
    }
}

/// What inspectors see of a running server.
public struct ServerState: Sendable {
    /// A handler that is running.
    public struct Worker: Sendable {
        public var task: LeasedTask
        public var startedAt: Date
        /// When it will be cancelled; `nil`: never.
        public var deadline: Date?

        public init(task: LeasedTask, startedAt: Date, deadline: Date?) {
            self.task = task
            self.startedAt = startedAt
            self.deadline = deadline
        }
    }

    public var identity: ServerIdentity
    public var concurrency: Int
    public var queues: [String: Int]
    public var strictPriority: Bool
    /// `new`, `active`, `stopped` or `closed`.
    public var status: String
    public var startedAt: Date
    public var workers: [Worker]

    public init(
        identity: ServerIdentity,
        concurrency: Int,
        queues: [String: Int],
        strictPriority: Bool,
        status: String,
        startedAt: Date,
        workers: [Worker]
    ) {
        self.identity = identity
        self.concurrency = concurrency
        self.queues = queues
        self.strictPriority = strictPriority
        self.status = status
        self.startedAt = startedAt
        self.workers = workers
    }
}
