import Logging
import Synchronization

/// Stores outcomes, in batches of whatever has ended while the last batch was on its way. What fails is tried again
/// until the lease ends; meanwhile the workers go on.
///
/// If the broker serves queues apart, each has batches of its own: one that does not answer holds up no other.
struct FinishLoop: Sendable {
    let broker: any Broker
    let pool: WorkerPool
    let clock: LoopClock
    let logger: Logger
    let metrics: ServerMetrics?

    /// Runs until it is cancelled. Each batch is completed whatever happens.
    func run() async {
        if broker.servesQueuesApart { await storeApart() } else { await storeTogether() }
    }

    private func storeApart() async {
        let lanes = OutcomeLanes()
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let items = take()
                if items.isEmpty {
                    await pool.outcomesAdded.wait()
                    continue
                }
                for (queue, own) in Dictionary(grouping: items, by: \.task.message.queue) where lanes.add(own, queue) {
                    group.addTask {
                        // One that is on its way is completed; there is no time for more when it is cancelled.
                        while let batch = lanes.next(queue) {
                            await store(batch, of: queue, lanes)
                            if Task.isCancelled { return }
                        }
                    }
                }
            }
        }
    }

    private func store(_ items: [WorkerTable.Finished], of queue: String, _ lanes: OutcomeLanes) async {
        guard let error = await store(items) else {
            if lanes.succeeded(queue) { logger.info("storing outcomes again", metadata: ["queue": "\(queue)"]) }
            return
        }
        let (delay, isFirst) = lanes.failed(queue)
        if isFirst {
            let details: Logger.Metadata = ["queue": "\(queue)", "error": "\(error)"]
            logger.error("cannot store outcomes; trying again", metadata: details)
        }
        // They were put back, and come to this lane again. Until then nobody is woken for those of other queues.
        pool.outcomesAdded.notify()
        try? await clock.sleep(delay)
    }

    /// What has ended and is to be stored.
    private func take() -> [WorkerTable.Finished] {
        let (items, expired) = pool.takeFinished()
        for item in expired { reportLost(item.task, "its lease ended before its outcome could be stored") }
        return items
    }

    /// Two batches may be on their way, so that the broker works on one while this side works on the other: the second only
    /// if it is worth a call of its own.
    private func storeTogether() async {
        let flights = Flights()
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                guard flights.begin(pool.read { $0.unsentCount }) else {
                    await pool.outcomesAdded.wait()
                    continue
                }
                let items = take()
                group.addTask {
                    await store(items, flights)
                    flights.end()
                    pool.outcomesAdded.notify()
                }
            }
        }
    }

    private func store(_ items: [WorkerTable.Finished], _ flights: Flights) async {
        guard !items.isEmpty else { return }
        guard let error = await store(items) else {
            if flights.succeeded() { logger.info("storing outcomes again") }
            return
        }
        let (delay, isFirst) = flights.failed()
        if isFirst { logger.error("cannot store outcomes; trying again", metadata: ["error": "\(error)"]) }
        try? await clock.sleep(delay)
    }

    /// Returns the error of those that failed.
    private func store(_ items: [WorkerTable.Finished]) async -> AsynqError? {
        let requests = items.map { item in
            FinishRequest(
                task: item.task,
                outcome: item.outcome,
                condition: item.delivery == .prompt ? .isActive : .isSameAttempt
            )
        }
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
            case .notFound where item.delivery != .prompt && item.outcome == .requeue:
                stored.append(item)
                logger.info("a task to be handed back is another server's", metadata: metadata(item.task))
            case .notFound where item.delivery == .repeated:
                // Most likely it was stored the first time. Whether it was, nobody can tell any more.
                stored.append(item)
                logger.info("outcome was stored before, or the task is another server's", metadata: metadata(item.task))
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
        logger.warning("outcome of a task dropped: \(reason)", metadata: metadata(task))
    }

    private func metadata(_ task: LeasedTask) -> Logger.Metadata {
        ["task_id": "\(task.message.id)", "queue": "\(task.message.queue)"]
    }
}

/// The batches that are on their way to a broker that stores all queues together.
private final class Flights: Sendable {
    private struct State {
        var count = 0
        var retry = Backoff()
    }

    private let state = Mutex(State())

    /// Whether a batch of so many outcomes may set out now.
    func begin(_ size: Int) -> Bool {
        state.withLock { state in
            let least = state.count == 0 ? 1 : WorkerTable.outcomesOfABatch
            // One that fails is tried again alone.
            guard state.count == 0 || state.count == 1 && !state.retry.isFailing, size >= least else { return false }
            state.count += 1
            return true
        }
    }

    func end() { state.withLock { $0.count -= 1 } }

    /// Returns how long to wait, and whether there has been one failure only.
    func failed() -> (delay: Duration, isFirst: Bool) {
        state.withLock { ($0.retry.failed(), $0.retry.isFirst) }
    }

    /// Returns whether that ends a row of failures.
    func succeeded() -> Bool { state.withLock { $0.retry.succeeded() } }
}

/// The batches of each queue, of which one at a time is on its way.
final class OutcomeLanes: Sendable {
    private struct Lane {
        var waiting: [WorkerTable.Finished] = []
        var isBusy = false
        var retry = Backoff()
    }

    private let lanes = Mutex<[String: Lane]>([:])

    /// Returns whether somebody is to begin with the queue.
    func add(_ items: [WorkerTable.Finished], _ queue: String) -> Bool {
        lanes.withLock { lanes in
            guard lanes[queue]?.isBusy == true else {
                lanes[queue, default: Lane()].waiting += items
                lanes[queue]?.isBusy = true
                return true
            }
            // They wait for as long as the call before them takes, and maybe for a pause after it.
            lanes[queue]?.waiting += items.map { item in
                var item = item
                if item.delivery == .prompt { item.delivery = .late }
                return item
            }
            return false
        }
    }

    /// The next batch; `nil` ends the work on the queue.
    func next(_ queue: String) -> [WorkerTable.Finished]? {
        lanes.withLock { lanes in
            guard let lane = lanes[queue], !lane.waiting.isEmpty else {
                lanes[queue]?.isBusy = false
                return nil
            }
            lanes[queue]?.waiting = []
            return lane.waiting
        }
    }

    /// Returns how long to wait, and whether there has been one failure only.
    func failed(_ queue: String) -> (delay: Duration, isFirst: Bool) {
        lanes.withLock { lanes in
            var lane = lanes[queue] ?? Lane()
            defer { lanes[queue] = lane }
            return (lane.retry.failed(), lane.retry.isFirst)
        }
    }

    /// Returns whether that ends a row of failures.
    func succeeded(_ queue: String) -> Bool {
        lanes.withLock { $0[queue]?.retry.succeeded() == true }
    }
}
