import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// One run of a server: its loops as children of one task, and the order in which they end.
final class ServerEngine: Sendable {
    private enum Phase: String {
        case new, active, stopped, closed
    }

    private struct State {
        var phase = Phase.new
        var isShutdownRequested = false
        /// How often somebody has asked who, asking again, will not wait for handlers.
        var impatientRequests = 0
    }

    private let broker: any Broker
    private let configuration: AsynqServer.Configuration
    private let clock: LoopClock
    private let logger: Logger
    private let pool: WorkerPool
    private let planner: FetchPlanner
    private let runner: AttemptRunner
    private let metrics: ServerMetrics?
    private let fetch: FetchLoop
    /// Queues that are looked after together: all, or each by itself if the broker serves them apart, so that one that does
    /// not answer holds up no other.
    private let parts: [[String]]
    /// In the order of the parts.
    private let forwards: [ForwardLoop]
    /// Of each part; empty if the server aggregates no groups.
    private let aggregates: [AggregateLoop]
    private let partOfQueue: [String: Int]
    private let state = Mutex(State())
    private let phaseChanged = Wakeup()
    private let concurrency: Int
    private let identity: ServerIdentity
    private let startedAt: Date

    init(broker: any Broker, handler: any TaskHandler, configuration: AsynqServer.Configuration, clock: LoopClock) {
        self.broker = broker
        self.configuration = configuration
        self.clock = clock
        logger = configuration.logger
        startedAt = clock.date()
        concurrency = configuration.concurrency < 1 ? Self.usableCores : configuration.concurrency
        pool = WorkerPool(concurrency: concurrency, clock: clock)
        planner = FetchPlanner(queues: configuration.queues, strict: configuration.strictPriority)
        metrics = ServerMetrics(configuration.metrics, handler: handler)
        runner = AttemptRunner(
            broker: broker,
            handler: handler,
            configuration: configuration,
            pool: pool,
            clock: clock,
            metrics: metrics,
            tracing: TaskTracing(configuration.tracer)
        )
        fetch = FetchLoop(planner: planner, runner: runner)
        let parts = broker.servesQueuesApart ? planner.names.map { [$0] } : [planner.names]
        self.parts = parts
        partOfQueue = Dictionary(
            uniqueKeysWithValues: parts.enumerated().flatMap { part in part.element.map { ($0, part.offset) } }
        )
        forwards = parts.map { [logger] queues in
            ForwardLoop(
                broker: broker,
                queues: queues,
                interval: configuration.delayedTaskCheckInterval,
                clock: clock,
                logger: logger
            )
        }
        aggregates = parts.compactMap { queues in
            let places = max(1, AggregateLoop.maxRunning / parts.count)
            return Self.aggregateLoop(broker, queues, places, configuration, clock)
        }
        identity = ServerIdentity(
            host: ProcessInfo.processInfo.hostName,
            pid: ProcessInfo.processInfo.processIdentifier,
            id: TaskID.random()
        )
    }

    /// `nil` if the server aggregates no groups.
    private static func aggregateLoop(
        _ broker: any Broker,
        _ queues: [String],
        _ places: Int,
        _ configuration: AsynqServer.Configuration,
        _ clock: LoopClock
    ) -> AggregateLoop? {
        guard let aggregator = configuration.groupAggregator, let policy = configuration.groupPolicy else { return nil }
        let runner = AggregationRunner(
            broker: broker,
            aggregator: aggregator,
            timeout: configuration.groupAggregatorTimeout,
            clock: clock,
            logger: configuration.logger
        )
        return AggregateLoop(
            queues: queues,
            policy: policy,
            runner: runner,
            interval: configuration.delayedTaskCheckInterval,
            maxRunning: places
        )
    }

    private static var usableCores: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

    // MARK: Requests

    func requestStop() {
        let isNews = state.withLock { state in
            guard state.phase == .active || state.phase == .new, !state.isShutdownRequested else { return false }
            state.phase = .stopped
            return true
        }
        guard isNews else { return }
        logger.info("server stops: no more tasks are taken")
        fetch.stop()
    }

    /// - Parameter isRepeatable: whether a second request ends the wait for handlers.
    func requestShutdown(isRepeatable: Bool = false) {
        state.withLock { state in
            state.isShutdownRequested = true
            if isRepeatable { state.impatientRequests += 1 }
        }
        phaseChanged.notify()
        pool.progressed.notify()
    }

    private var isShutdownRequested: Bool { state.withLock { $0.isShutdownRequested } }

    // MARK: Running

    func run() async {
        state.withLock { if $0.phase == .new { $0.phase = .active } }
        let watch = broker.makeWatch(queues: planner.names) { [weak self] in self?.received($0) }
        logger.info(
            "server started",
            metadata: [
                "broker": "\(broker.name)", "concurrency": "\(concurrency)",
                "queues": "\(planner.names.joined(separator: ","))", "server_id": "\(identity.id)",
            ]
        )
        // Leases are extended and outcomes stored until the last task is out of hand.
        await withTaskGroup(of: Void.self) { keepers in
            let heartbeat = heartbeat
            let finish = FinishLoop(broker: broker, pool: pool, clock: clock, logger: logger, metrics: metrics)
            let deadlines = DeadlineLoop(
                pool: pool,
                runner: runner,
                clock: clock,
                grace: configuration.cancellationGrace
            )
            keepers.addTask { await heartbeat.run() }
            keepers.addTask { await finish.run() }
            keepers.addTask { await deadlines.run() }
            await work(watch)
            await drain()
            keepers.cancelAll()
        }
        state.withLock { $0.phase = .closed }
        await watch.close()
        do {
            try await broker.clearServerState(identity)
        } catch {
            logger.warning("cannot remove this server from the list of servers", metadata: ["error": "\(error)"])
        }
        logger.info("server closed")
    }

    /// Takes tasks and moves due ones until a shutdown is requested.
    private func work(_ watch: any BrokerWatch) async {
        await withTaskGroup(of: Void.self) { group in
            let (fetch, interval) = (fetch, configuration.taskCheckInterval)
            group.addTask { await fetch.run(watch: watch) }
            group.addTask { await fetch.poll(every: interval, watch: watch) }
            group.addTask { await fetch.returnStalledStock() }
            for forward in forwards { group.addTask { await forward.run(watch: watch) } }
            for aggregate in aggregates { group.addTask { await aggregate.run(watch: watch) } }
            for loop in parts.flatMap(periodicLoops) + [healthCheckLoop].compactMap(\.self) {
                group.addTask { await loop.run() }
            }
            while !isShutdownRequested { await phaseChanged.wait() }
            logger.info("server shuts down", metadata: ["running": "\(pool.read { $0.running })"])
            state.withLock { if $0.phase == .active { $0.phase = .stopped } }
            fetch.stop()
            group.cancelAll()
        }
    }

    private var heartbeat: HeartbeatLoop {
        HeartbeatLoop(
            broker: broker,
            queues: planner.names,
            pool: pool,
            clock: clock,
            interval: configuration.heartbeatInterval,
            logger: logger,
            metrics: metrics
        ) { [self] in
            ServerState(
                identity: identity,
                concurrency: concurrency,
                queues: configuration.queues.filter { $0.value > 0 },
                strictPriority: configuration.strictPriority,
                status: state.withLock { $0.phase.rawValue },
                startedAt: startedAt,
                workers: []
            )
        }
    }

    private func loop(
        _ name: String,
        _ interval: Duration,
        _ step: @escaping @Sendable () async throws -> Void
    ) -> PeriodicLoop {
        PeriodicLoop(name: name, interval: interval, clock: clock, logger: logger, step: step)
    }

    /// The loops that look after some queues.
    private func periodicLoops(_ queues: [String]) -> [PeriodicLoop] {
        let (broker, batch) = (broker, configuration.janitorBatchSize)
        let recoverer = Recoverer(
            broker: broker,
            queues: queues,
            retryDelay: configuration.retryDelay,
            logger: logger,
            metrics: metrics
        )
        return [
            loop("recovery of expired leases", configuration.recovererInterval) { try await recoverer.recover() },
            loop("recovery of tasks that were being aggregated", configuration.recovererInterval) { [logger] in
                var count = 0
                while true {
                    let reclaimed = try await broker.reclaimStaleAggregationSets(queues: queues, limit: 1000)
                    count += reclaimed
                    if reclaimed == 0 { break }
                    try Task.checkCancellation()
                }
                guard count > 0 else { return }
                logger.notice(
                    "put tasks back into their groups that a server had taken to aggregate",
                    metadata: ["tasks": "\(count)"]
                )
            },
            loop("deletion of completed tasks", configuration.janitorInterval) {
                for queue in queues {
                    while try await broker.deleteExpiredCompleted(queue: queue, limit: batch) > 0 {
                        try Task.checkCancellation()
                    }
                }
            },
        ]
    }

    private var healthCheckLoop: PeriodicLoop? {
        configuration.healthCheck.map { [broker] healthCheck in
            loop("health check", configuration.healthCheckInterval) {
                do {
                    try await broker.ping()
                    healthCheck(nil)
                } catch {
                    if !Task.isCancelled { healthCheck(error) }
                }
            }
        }
    }

    private func received(_ signal: BrokerSignal) {
        switch signal {
        case .pending(let queue): fetch.reopen(queue)
        case .due(let queue): if let part = partOfQueue[queue] { forwards[part].dueChanged(queue) }
        case .groups(let queue): aggregate(queue)?.groupsChanged(queue)
        case .grown(let group): aggregate(group.queue)?.grew(group)
        case .cancel(let taskID): pool.cancel(taskID: taskID)
        case .live, .lost:
            fetch.reopenAll()
            for forward in forwards { forward.dueChangedAnywhere() }
            for aggregate in aggregates { aggregate.changedAnywhere() }
        }
    }

    private func aggregate(_ queue: String) -> AggregateLoop? {
        guard let part = partOfQueue[queue], aggregates.indices.contains(part) else { return nil }
        return aggregates[part]
    }

    // MARK: Ending

    /// Waits for handlers, hands back what they leave, and stores all outcomes.
    private func drain() async {
        await waitForHandlers(configuration.shutdownTimeout) { $0.impatientRequests > 1 }
        let left = pool.read { $0.running }
        if left > 0 {
            logger.notice("handing back tasks whose handlers are still running", metadata: ["tasks": "\(left)"])
            pool.cancelAll()
            // Time to return, so that a handler does not run on while another server has begun with its task.
            await waitForHandlers(.milliseconds(250)) { _ in false }
            for held in pool.read({ $0.held() }) where held.isRunning {
                // A task whose lease is lost is somebody else's.
                let isLost = pool.read { $0.cause(of: held.slot) } == .leaseLost
                pool.abandon(held.slot, isLost ? nil : .requeue)
            }
        }
        // Outcomes that the broker does not take are given up in the end: their leases end, and they are recovered.
        let deadline = clock.now().adding(.seconds(5))
        while pool.read({ $0.unstored }) > 0, clock.now() < deadline {
            await pool.progressed.wait(until: clock.now() + 100_000_000, clock)
        }
        let unstored = pool.read { $0.unstored }
        if unstored > 0 {
            logger.error(
                "outcomes could not be stored; the tasks will be recovered",
                metadata: ["tasks": "\(unstored)"]
            )
        }
    }

    private func waitForHandlers(_ limit: Duration, orUntil condition: (borrowing State) -> Bool) async {
        let deadline = clock.now().adding(limit)
        while pool.read({ $0.running }) > 0, clock.now() < deadline, !state.withLock({ condition($0) }) {
            await pool.progressed.wait(until: deadline, clock)
        }
    }
}
