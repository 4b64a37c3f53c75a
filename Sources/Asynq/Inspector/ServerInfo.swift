#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A running server, as it last showed itself (every 5 s). One that crashed is shown for up to 10 s.
public struct ServerInfo: Sendable, Hashable {
    /// A handler that is running.
    public struct Worker: Sendable, Hashable {
        public var taskID: String
        public var queue: String
        public var taskType: String
        /// The first 16 KiB.
        public var taskPayload: [UInt8]
        public var startedAt: Date
        /// When it will be cancelled; `nil`: never.
        public var deadline: Date?

        public init(
            taskID: String,
            queue: String,
            taskType: String,
            taskPayload: [UInt8],
            startedAt: Date,
            deadline: Date?
        ) {
            self.taskID = taskID
            self.queue = queue
            self.taskType = taskType
            self.taskPayload = taskPayload
            self.startedAt = startedAt
            self.deadline = deadline
        }
    }

    /// How much of a payload is shown: each running task's is written anew at each heartbeat.
    public static let maxPayload = 16 * 1024

    public var identity: ServerIdentity
    /// Handlers at once.
    public var concurrency: Int
    /// Name → priority.
    public var queues: [String: Int]
    public var strictPriority: Bool
    /// `new`, `active`, `stopped` or `closed`.
    public var status: String
    public var startedAt: Date
    /// Those that began first come first.
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
        self.workers = workers.sorted { ($0.startedAt, $0.taskID) < ($1.startedAt, $1.taskID) }
    }
}

extension ServerInfo {
    /// What a server wrote of itself.
    package init(_ state: ServerState) {
        self.init(
            identity: state.identity,
            concurrency: state.concurrency,
            queues: state.queues,
            strictPriority: state.strictPriority,
            status: state.status,
            startedAt: state.startedAt,
            workers: state.workers.map { worker in
                let message = worker.task.message
                return Worker(
                    taskID: message.id,
                    queue: message.queue,
                    taskType: message.type,
                    taskPayload: Array((message.payload ?? []).prefix(Self.maxPayload)),
                    startedAt: worker.startedAt,
                    deadline: worker.deadline
                )
            }
        )
    }
}
