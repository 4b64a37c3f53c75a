import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Makes the server visible to inspectors, and extends the leases of the tasks that it holds.
struct HeartbeatLoop: Sendable {
    let broker: any Broker
    /// Those that the server takes tasks from.
    let queues: [String]
    let pool: WorkerPool
    let clock: LoopClock
    let interval: Duration
    let logger: Logger
    let metrics: ServerMetrics?
    /// The server without its workers.
    let state: @Sendable () -> ServerState

    /// What inspectors see lasts this long after the last heartbeat.
    private var ttl: Duration { interval * 2 }

    func run() async {
        guard broker.servesQueuesApart else { return await keep(beat) }
        // A queue that does not answer must not cost the tasks of others their leases, nor hide the server.
        await withDiscardingTaskGroup { group in
            for queue in queues {
                group.addTask {
                    await keep(of: queue) {
                        try await extendLeases(pool.read { $0.held() }.filter { $0.task.message.queue == queue })
                    }
                }
            }
            group.addTask { await keep { try await writeState(pool.read { $0.held() }) } }
        }
    }

    /// Does something again and again, and soon where it failed.
    private func keep(of queue: String? = nil, _ step: () async throws -> Void) async {
        let metadata: Logger.Metadata = queue.map { ["queue": "\($0)"] } ?? [:]
        var retry = Backoff()
        while !Task.isCancelled {
            do {
                try await step()
                if retry.succeeded() { logger.info("heartbeat works again", metadata: metadata) }
                try? await clock.sleep(interval)
            } catch {
                if Task.isCancelled { return }
                let delay = retry.failed()
                if retry.isFirst {
                    let details = metadata.merging(["error": "\(error)"]) { $1 }
                    logger.error("heartbeat failed; trying again", metadata: details)
                }
                dropExpired(of: queue)
                try? await clock.sleep(delay)
            }
        }
    }

    /// Leases first: they are what tasks depend on.
    private func beat() async throws {
        let held = pool.read { $0.held() }
        try await extendLeases(held)
        try await writeState(held)
    }

    private func writeState(_ held: [WorkerTable.Held]) async throws {
        try await broker.writeServerState(current(held), ttl: ttl)
    }

    private func extendLeases(_ held: [WorkerTable.Held]) async throws {
        guard !held.isEmpty else { return }
        let start = clock.now()
        let isLeased = try await broker.extendLeases(held.map(\.task))
        pool.extended(zip(held, isLeased).filter(\.1).map(\.0.slot), at: start)
        lost(zip(held, isLeased).filter { !$1 }.map(\.0), isCertain: true)
    }

    /// As far as this server's clock can tell.
    ///
    /// - Parameter queue: `nil` for all.
    private func dropExpired(of queue: String?) {
        let now = clock.now()
        let held = pool.read { $0.held() }
        lost(
            held.filter { $0.leaseEnd <= now && (queue == nil || $0.task.message.queue == queue) },
            isCertain: false
        )
    }

    private func lost(_ held: [WorkerTable.Held], isCertain: Bool) {
        guard !held.isEmpty else { return }
        // Not those that have finished in the meantime, which are no loss, nor those that know it and have not returned yet.
        let new = Set(pool.leasesLost(held.map(\.slot), isCertain: isCertain))
        for item in held where new.contains(item.slot) {
            metrics?.leaseLost(queue: item.task.message.queue)
            logger.warning(
                "lease lost; cancelling the handler",
                metadata: ["task_id": "\(item.task.message.id)", "queue": "\(item.task.message.queue)"]
            )
        }
    }

    private func current(_ held: [WorkerTable.Held]) -> ServerState {
        let now = clock.now()
        let date = clock.date()
        func moment(_ time: Int64) -> Date { date.addingTimeInterval(Double(time - now) / 1_000_000_000) }
        var state = state()
        state.workers = held.filter(\.isRunning).map { item in
            ServerState.Worker(
                task: item.task,
                startedAt: moment(item.startedAt),
                deadline: item.deadline == .max ? nil : moment(item.deadline)
            )
        }
        return state
    }
}
