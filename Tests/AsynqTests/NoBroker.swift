import Asynq

/// A broker that has nothing and does nothing, for what needs one and does not use it.
struct NoBroker: Broker {
    struct Unused: Error {}

    var name: String { "none" }
    func connect() async throws {}
    func ping() async throws {}
    func shutdown() async {}
    func enqueue(_ requests: [EnqueueRequest]) async -> [Result<EnqueueReceipt, AsynqError>] { [] }
    func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] { [] }
    func finish(_ requests: [FinishRequest]) async -> [FinishResult] { [] }
    func extendLeases(_ tasks: [TaskReference]) async throws -> [Bool] { [] }
    func forward(queues: [String], limit: Int) async throws -> ForwardResult { .init(moved: 0, nextDueIn: nil) }
    func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] { [] }
    func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int { 0 }
    func writeResult(_ result: [UInt8], of task: TaskReference) async throws {}
    func cancel(taskID: String) async throws {}
    func writeServerState(_ state: ServerState, ttl: Duration) async throws {}
    func clearServerState(_ server: ServerIdentity) async throws {}
    func makeWatch(queues: [String], onSignal: @escaping @Sendable (BrokerSignal) -> Void) -> any BrokerWatch {
        Watch()
    }

    struct Watch: BrokerWatch {
        var isLive: Bool { false }
        func listenForPending(in queue: String, after delay: Duration) {}
        func listenForDue(in queues: [String]) async {}
        func close() async {}
    }
}
