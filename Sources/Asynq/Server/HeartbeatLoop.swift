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
        var retry = Backoff()
        while !Task.isCancelled {
            do {
                try await beat()
                if retry.succeeded() { logger.info("heartbeat works again") }
                try? await clock.sleep(interval)
            } catch {
                if Task.isCancelled { return }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error("heartbeat failed; trying again", metadata: ["error": "\(error)"])
                }
                dropExpired()
                try? await clock.sleep(delay)
            }
        }
    }

    /// Leases first: they are what tasks depend on.
    func beat() async throws {
        let held = pool.read { $0.held() }
        var failure: (any Error)?
        if !held.isEmpty {
            do { try await extendLeases(held) } catch { failure = error }
        }
        // Also when one of its queues is away: it works on.
        if failure == nil || broker.servesQueuesApart {
            try await broker.writeServerState(current(held), ttl: ttl)
        }
        if let failure { throw failure }
    }

    private func extendLeases(_ held: [WorkerTable.Held]) async throws {
        guard broker.servesQueuesApart else { return try await extendTogether(held) }
        // A queue that does not answer must not cost the tasks of others their leases.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for part in Dictionary(grouping: held, by: \.task.message.queue).values {
                group.addTask { try await extendTogether(part) }
            }
            var failure: (any Error)?
            while let result = await group.nextResult() {
                if case .failure(let error) = result { failure = error }
            }
            if let failure { throw failure }
        }
    }

    private func extendTogether(_ held: [WorkerTable.Held]) async throws {
        let start = clock.now()
        let isLeased = try await broker.extendLeases(
            held.map { TaskReference(queue: $0.task.message.queue, id: $0.task.message.id) }
        )
        pool.extended(zip(held, isLeased).filter(\.1).map(\.0.slot), at: start)
        lost(zip(held, isLeased).filter { !$1 }.map(\.0))
    }

    /// As far as this server's clock can tell.
    private func dropExpired() {
        let now = clock.now()
        lost(pool.read { $0.held() }.filter { $0.leaseEnd <= now })
    }

    private func lost(_ held: [WorkerTable.Held]) {
        guard !held.isEmpty else { return }
        pool.leasesLost(held.map(\.slot))
        // Those that have finished in the meantime are no loss.
        let still = held.filter { item in pool.read { $0.cause(of: item.slot) } == .leaseLost }
        for item in still {
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
