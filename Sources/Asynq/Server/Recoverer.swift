import Logging

/// Gives tasks of crashed servers another attempt, or archives them when they have had enough: a task that kills its
/// process must not go round for ever.
struct Recoverer: Sendable {
    let broker: any Broker
    let queues: [String]
    let retryDelay: @Sendable (Int, any Error, AsynqTask) -> Duration
    let logger: Logger
    let metrics: ServerMetrics?

    /// The text that Go's asynq gives such a task too.
    static let error = AsynqError(.leaseExpired, "asynq: task lease expired")
    private static let batch = 100

    func recover() async throws {
        while !Task.isCancelled {
            let tasks = try await broker.expiredLeases(queues: queues, limit: Self.batch)
            guard !tasks.isEmpty else { return }
            let requests = tasks.map { task in
                FinishRequest(task: task, outcome: outcome(of: task), condition: .isLeaseExpired)
            }
            let results = await broker.finish(requests)
            var recovered = 0
            for (request, result) in zip(requests, results) {
                let task = request.task
                switch result {
                case .finished:
                    recovered += 1
                    metrics?.stored(request.outcome, of: task.message)
                    metrics?.recovered(queue: task.message.queue)
                    logger.notice(
                        "recovered a task whose lease had expired",
                        metadata: ["task_id": "\(task.message.id)", "queue": "\(task.message.queue)"]
                    )
                case .notFound: break
                case .failed(let error): throw error
                }
            }
            // Others have them, so there is no more to do now.
            if recovered == 0 { return }
        }
    }

    /// Always counts as a failure, so that its number is limited.
    private func outcome(of task: LeasedTask) -> FinishRequest.Outcome {
        let message = task.message
        if message.retried >= message.maxRetry { return .archive(error: Self.error.message) }
        let delay = retryDelay(Int(message.retried), Self.error, AsynqTask(message))
        return .retry(delay: delay, error: Self.error.message, countsAsFailure: true)
    }
}
