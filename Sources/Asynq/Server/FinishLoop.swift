import Logging

/// Stores outcomes, in batches of whatever has ended while the last batch was on its way. What fails is tried again
/// until the lease ends; meanwhile the workers go on.
struct FinishLoop: Sendable {
    let broker: any Broker
    let pool: WorkerPool
    let clock: LoopClock
    let logger: Logger
    let metrics: ServerMetrics?

    /// Runs until it is cancelled. Each batch is completed whatever happens.
    func run() async {
        var retry = Backoff()
        while !Task.isCancelled {
            let (items, expired) = pool.takeFinished()
            for item in expired { reportLost(item.task, "its lease ended before its outcome could be stored") }
            if items.isEmpty {
                await pool.outcomesAdded.wait()
                continue
            }
            if let error = await store(items) {
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error("cannot store outcomes; trying again", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(delay)
            } else if retry.succeeded() {
                logger.info("storing outcomes again")
            }
        }
    }

    /// Returns the error of those that failed.
    private func store(_ items: [WorkerTable.Finished]) async -> AsynqError? {
        let requests = items.map { FinishRequest(task: $0.task, outcome: $0.outcome) }
        metrics?.finished(requests.count)
        let results = await broker.finish(requests)
        var stored: [WorkerTable.Finished] = []
        stored.reserveCapacity(items.count)
        var failed: [WorkerTable.Finished] = []
        var failure: AsynqError?
        for (item, result) in zip(items, results) {
            switch result {
            case .finished:
                stored.append(item)
                metrics?.stored(item.outcome, of: item.task.message)
            case .notFound:
                stored.append(item)
                reportLost(item.task, "another server has it, or it was deleted")
            case .failed(let error):
                failed.append(item)
                failure = error
            }
        }
        pool.stored(stored)
        if !failed.isEmpty { pool.putBack(failed) }
        return failure
    }

    private func reportLost(_ task: LeasedTask, _ reason: String) {
        metrics?.leaseLost(queue: task.message.queue)
        logger.warning(
            "outcome of a task dropped: \(reason)",
            metadata: ["task_id": "\(task.message.id)", "queue": "\(task.message.queue)"]
        )
    }
}
