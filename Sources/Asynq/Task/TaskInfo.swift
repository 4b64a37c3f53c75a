#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// What is known of a task at one moment.
public struct TaskInfo: Sendable, Hashable {
    /// Unique within the queue.
    public var id: String
    public var queue: String
    public var type: String
    /// `nil` and empty are not told apart once stored.
    public var payload: [UInt8]?
    public var headers: [String: String]
    public var state: TaskState
    /// How often it may be retried.
    public var maxRetry: Int
    /// How often it has been retried.
    public var retried: Int
    /// Why the last attempt failed; `nil` if none has.
    public var lastError: String?
    /// When the last attempt failed; `nil` if none has.
    public var lastFailedAt: Date?
    /// The limit of one attempt; `nil`: none.
    public var timeout: Duration?
    /// The moment after which no attempt may run; `nil`: none.
    public var deadline: Date?
    /// The group it belongs to, if any.
    public var group: String?
    /// When it may start: now if pending, the due time if scheduled or in retry; otherwise `nil`.
    public var nextProcessAt: Date?
    /// Active, but its worker's lease has ended: it will be recovered.
    public var isOrphaned: Bool
    /// How long it is kept after success; zero: not at all.
    public var retention: Duration
    /// When it succeeded; `nil` unless completed.
    public var completedAt: Date?
    /// What its handler wrote, if anything.
    public var result: [UInt8]?

    /// For brokers: a task as it is stored.
    ///
    /// - Parameters:
    ///   - message: the task itself.
    ///   - state: where it is.
    ///   - nextProcessAt: of one that is pending, scheduled or in retry.
    ///   - isOrphaned: active, and its lease has ended.
    ///   - result: what its handler wrote. Default: nothing.
    public init(
        _ message: TaskMessage,
        state: TaskState,
        nextProcessAt: Date? = nil,
        isOrphaned: Bool = false,
        result: [UInt8]? = nil
    ) {
        func date(_ seconds: Int64) -> Date? { seconds == 0 ? nil : Date(timeIntervalSince1970: Double(seconds)) }
        id = message.id
        queue = message.queue
        type = message.type
        payload = message.payload
        headers = message.headers
        self.state = state
        maxRetry = Int(message.maxRetry)
        retried = Int(message.retried)
        lastError = message.errorMessage.isEmpty ? nil : message.errorMessage
        lastFailedAt = date(message.lastFailedAt)
        timeout = message.timeout == 0 ? nil : .seconds(message.timeout)
        deadline = date(message.deadline)
        group = message.group.isEmpty ? nil : message.group
        self.nextProcessAt = nextProcessAt
        self.isOrphaned = isOrphaned
        retention = .seconds(message.retention)
        // One that was completed and is run again still has the time of its first success.
        completedAt = state == .completed ? date(message.completedAt) : nil
        self.result = result
    }
}
