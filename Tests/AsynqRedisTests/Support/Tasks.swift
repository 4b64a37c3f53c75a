import Asynq
import AsynqRedis

func message(_ id: String, queue: String = "default", type: String = "t", payload: [UInt8]? = [1]) -> TaskMessage {
    TaskMessage(type: type, payload: payload, id: id, queue: queue)
}

extension RedisBroker {
    /// Enqueues plain tasks with these ids, in this order.
    func put(_ ids: [String], queue: String = "default") async throws {
        for result in await enqueue(ids.map { EnqueueRequest(message: message($0, queue: queue)) }) {
            _ = try result.get()
        }
    }

    func take(_ limit: Int, queue: String = "default") async throws -> [LeasedTask] {
        try await dequeue([DequeueRequest(queue: queue, limit: limit)])
    }

    /// Ends attempts alike. Returns what became of each: `finished`, `notFound` or `failed`.
    func end(_ tasks: [LeasedTask], _ outcome: FinishRequest.Outcome, isRecovery: Bool = false) async -> [String] {
        await finish(
            tasks.map { FinishRequest(task: $0, outcome: outcome, condition: isRecovery ? .isLeaseExpired : .isActive) }
        ).map { result in
            switch result {
            case .finished: "finished"
            case .notFound: "notFound"
            case .failed(let error): "failed: \(error)"
            }
        }
    }
}
