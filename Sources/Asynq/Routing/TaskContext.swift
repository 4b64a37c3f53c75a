public import Logging

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// What a handler knows of the attempt that it runs. Cheap to copy.
public struct TaskContext: Sendable {
    private final class Storage: Sendable {
        let task: LeasedTask
        let broker: any Broker
        let logger: Logger
        let deadline: Date?
        let timing: Timing?

        init(task: LeasedTask, broker: any Broker, logger: Logger, deadline: Date?, timing: Timing?) {
            self.task = task
            self.broker = broker
            self.logger = logger
            self.deadline = deadline
            self.timing = timing
        }
    }

    /// The end of the attempt on a clock that nobody sets, in nanoseconds.
    package struct Timing: Sendable {
        let now: @Sendable () -> Int64
        let end: Int64

        package init(now: @escaping @Sendable () -> Int64, end: Int64) {
            self.now = now
            self.end = end
        }
    }

    private let storage: Storage

    package init(
        task: LeasedTask,
        broker: any Broker,
        logger: Logger,
        deadline: Date?,
        timing: Timing? = nil
    ) {
        storage = Storage(task: task, broker: broker, logger: logger, deadline: deadline, timing: timing)
    }

    private var message: TaskMessage { storage.task.message }

    /// The task's id: the same on every attempt, so a good idempotency key.
    public var taskID: String { message.id }
    /// The queue that the task was taken from.
    public var queue: String { message.queue }
    /// How often the task has been retried: 0 on the first attempt.
    public var retried: Int { Int(message.retried) }
    /// How often it may be retried.
    public var maxRetry: Int { Int(message.maxRetry) }
    /// The task's headers.
    public var headers: [String: String] { message.headers }
    /// When this attempt will be cancelled; `nil`: never.
    public var deadline: Date? { storage.deadline }
    /// How long it is until then, whatever becomes of the time of day; zero when it has passed, `nil`: without end.
    public var timeLeft: Duration? {
        storage.timing.map { .nanoseconds(max(0, $0.end - $0.now())) }
    }
    /// Since when the task had been waiting in its queue; `nil` if not known.
    public var pendingSince: Date? {
        storage.task.pendingSince.map { Date(timeIntervalSince1970: Double($0) / 1_000_000_000) }
    }

    /// The server's logger with the task's id, type, queue and retries as metadata.
    public var logger: Logger {
        var logger = storage.logger
        logger[metadataKey: "task_id"] = "\(message.id)"
        logger[metadataKey: "task_type"] = "\(message.type)"
        logger[metadataKey: "queue"] = "\(message.queue)"
        logger[metadataKey: "retried"] = "\(message.retried)"
        return logger
    }

    /// Stores bytes with the task, where inspectors can read them; kept as long as the task is (see
    /// ``TaskOption/retention(_:)``). Writing again replaces them.
    ///
    /// - Throws: ``AsynqError``: `taskNotFound` if the task is no longer this worker's, or `brokerUnavailable`.
    public func writeResult(_ result: [UInt8]) async throws {
        try await storage.broker.writeResult(result, of: storage.task)
    }

    /// Stores text as the task's result, as UTF-8.
    ///
    /// - Throws: as ``writeResult(_:)-([UInt8])``.
    public func writeResult(_ result: String) async throws {
        try await writeResult(Array(result.utf8))
    }
}
