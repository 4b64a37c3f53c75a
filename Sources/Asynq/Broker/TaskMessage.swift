/// A task as a broker stores it (spec 1, "Messages"). Times are Unix seconds, durations whole seconds; 0 means none.
public struct TaskMessage: Sendable, Hashable {
    public var type: String
    public var payload: [UInt8]?
    public var id: String
    public var queue: String
    /// Retries allowed.
    public var maxRetry: Int32 = 0
    /// Retries used.
    public var retried: Int32 = 0
    /// Why the last attempt failed.
    public var errorMessage = ""
    /// The limit of one attempt.
    public var timeout: Int64 = 0
    /// The moment after which no attempt may run.
    public var deadline: Int64 = 0
    /// The uniqueness lock that the task holds, in the broker's own terms.
    public var uniqueKey = ""
    public var lastFailedAt: Int64 = 0
    /// How long the task is kept after success.
    public var retention: Int64 = 0
    public var completedAt: Int64 = 0
    public var group = ""
    public var headers: [String: String] = [:]
    /// Encoded fields that a newer version of the message has and this one does not know. Kept through a rewrite.
    public var unknownFields: [UInt8] = []

    public init(type: String, payload: [UInt8]?, id: String, queue: String) {
        self.type = type
        self.payload = payload
        self.id = id
        self.queue = queue
    }
}
