import Logging
import Synchronization

/// Takes tasks from the broker as places become free: asks all open queues in one round trip, and sleeps while there is
/// no room or no queue that may have tasks. Where handlers are short two round trips overlap, so that the broker works
/// on the next tasks while the last ones are read.
///
/// A broker whose queues lie on several servers is asked for each in a call of its own. One that does not answer soon has no
/// say in what the others do: it is left alone until it answers, and the places that were kept for its tasks are given to them.
final class FetchLoop: Sendable {
    private struct State {
        var planner: FetchPlanner
        var stock: StockController
        /// What is known of who answers: for each queue, or one named "" for all of them.
        var lanes: [String: Lane] = [:]
        /// Rounds that somebody waits for.
        var inFlight = 0
        var isStopped = false
    }

    private struct Lane {
        var retry = Backoff()
        /// Not to ask again before then.
        var pausedUntil = Int64.min
        /// It owes an answer.
        var isLate = false
    }

    /// What was asked at once. Over when each call was answered, or is late.
    private final class Round: Sendable {
        private let open: Atomic<Int>

        init(_ calls: Int) { open = Atomic(calls) }

        /// Returns whether the round is over.
        func end() -> Bool { open.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
    }

    /// The part of a round that one queue answers.
    private final class Call: Sendable {
        private let isInRound = Atomic(true)
        private let hasPlaces = Atomic(true)

        /// Returns whether the round waited for it until now.
        func leaveRound() -> Bool { isInRound.exchange(false, ordering: .acquiringAndReleasing) }

        /// Returns whether places were kept for its tasks until now.
        func leavePlaces() -> Bool { hasPlaces.exchange(false, ordering: .acquiringAndReleasing) }
    }

    private enum Step {
        case ask([DequeueRequest])
        case wait
        case pause(until: Int64)
        case end
    }

    /// The most tasks to ask for in one round trip: what a broker gives at once.
    private static let batch = 256
    private static let maxInFlight = 2
    /// When a call is late, and the round no longer waits for it: few servers that are well take so long.
    private static let patience = Duration.milliseconds(100)
    /// How much later its tasks are no longer expected: one that does not answer takes much longer.
    private static let morePatience = Duration.milliseconds(400)

    private let state: Mutex<State>
    private let broker: any Broker
    /// Each queue is asked in a call of its own.
    private let isApart: Bool
    private let pool: WorkerPool
    private let runner: AttemptRunner
    private let clock: LoopClock
    private let logger: Logger
    private let names: [String]

    init(planner: FetchPlanner, runner: AttemptRunner) {
        let stock = StockController(limit: runner.configuration.prefetchLimit)
        state = Mutex(State(planner: planner, stock: stock))
        names = planner.names
        broker = runner.broker
        isApart = broker.servesQueuesApart
        pool = runner.pool
        clock = runner.clock
        logger = runner.configuration.logger
        self.runner = runner
    }

    /// Runs until ``stop()``. Not by cancellation: that could lose the answer to a dequeue, and the tasks in it.
    func run(watch: any BrokerWatch) async {
        await withDiscardingTaskGroup { group in
            while true {
                switch next() {
                case .ask(let requests): group.addTask { await self.fetch(requests, watch) }
                case .wait: await pool.roomChanged.wait()
                case .pause(let end): await pool.roomChanged.wait(until: end, clock)
                case .end: return
                }
            }
        }
    }

    private func next() -> Step {
        let demand = min(Self.batch, pool.read { $0.demand })
        let now = clock.now()
        let step = state.withLock { state -> Step in
            if state.isStopped { return .end }
            if let end = state.lanes[""]?.pausedUntil, end > now { return .pause(until: end) }
            guard state.inFlight < Self.maxInFlight else { return .wait }
            let away = isApart ? state.lanes.filter { $1.isLate || $1.pausedUntil > now } : [:]
            let requests = state.planner.draw(demand, except: away.isEmpty ? [] : Set(away.keys))
            if requests.isEmpty {
                let end = away.values.lazy.filter { !$0.isLate }.map(\.pausedUntil).min()
                return end.map { .pause(until: $0) } ?? .wait
            }
            state.inFlight += 1
            return .ask(requests)
        }
        // Only this loop asks, so the demand is still there.
        if case .ask(let requests) = step { pool.request(requests.total) }
        return step
    }

    /// One round trip.
    private func fetch(_ requests: [DequeueRequest], _ watch: any BrokerWatch) async {
        guard isApart else {
            await take(requests, lane: "", watch)
            return end(Round(1), places: requests.total)
        }
        let round = Round(requests.count)
        await withDiscardingTaskGroup { group in
            for request in requests { group.addTask { await self.fetch(request, round, watch) } }
        }
    }

    private func fetch(_ request: DequeueRequest, _ round: Round, _ watch: any BrokerWatch) async {
        let call = Call()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await self.clock.sleep(Self.patience)
                    if call.leaveRound() {
                        self.state.withLock { $0.lanes[request.queue, default: Lane()].isLate = true }
                        self.end(round, places: 0)
                    }
                    try await self.clock.sleep(Self.morePatience)
                    if call.leavePlaces() { self.pool.answered(request.limit) }
                } catch {
                    // It has answered.
                }
            }
            await take([request], lane: request.queue, watch)
            group.cancelAll()
        }
        let places = call.leavePlaces() ? request.limit : 0
        if call.leaveRound() {
            end(round, places: places)
        } else {
            state.withLock { $0.lanes[request.queue]?.isLate = false }
            pool.answered(places)
        }
    }

    /// The round no longer waits for a call, and so many tasks are no longer expected.
    private func end(_ round: Round, places: Int) {
        if round.end() { state.withLock { $0.inFlight -= 1 } }
        pool.answered(places)
    }

    private func take(_ requests: [DequeueRequest], lane: String, _ watch: any BrokerWatch) async {
        let start = clock.now()
        do {
            let tasks = try await broker.dequeue(requests)
            runner.metrics?.dequeued(tasks.count)
            pool.admit(tasks, dequeuedAt: start) { ticket in
                // Unstructured, because a handler that ignores its cancellation must not hold up the server.
                Task { [runner] in await runner.work(ticket) }
            }
            let (target, isBack) = state.withLock { state in
                // Read under the lock: two round trips overlap, and the count must not go back between them.
                state.stock.dequeued(from: start, to: clock.now(), finished: pool.read { $0.finishedCount })
                var own = state.lanes.removeValue(forKey: lane)
                return (state.stock.target, own?.retry.succeeded() == true)
            }
            pool.setStockTarget(target)
            listen(to: exhausted(requests, tasks, watch), watch)
            if isBack { logger.info("taking tasks again", metadata: metadata(lane)) }
        } catch {
            let isFirst = state.withLock { state in
                var own = state.lanes[lane] ?? Lane()
                own.pausedUntil = clock.now().adding(own.retry.failed())
                state.lanes[lane] = own
                return own.retry.isFirst
            }
            if isFirst {
                let details = metadata(lane).merging(["error": "\(error)"]) { $1 }
                logger.error("cannot take tasks; trying again", metadata: details)
            }
        }
    }

    private func metadata(_ lane: String) -> Logger.Metadata { lane.isEmpty ? [:] : ["queue": "\(lane)"] }

    /// Takes no more tasks. ``run(watch:)`` returns when those on the way have been handed back.
    func stop() {
        state.withLock { $0.isStopped = true }
        pool.stopAccepting()
    }

    /// The queue may have tasks.
    func reopen(_ queue: String) {
        if state.withLock({ $0.planner.reopen(queue) }) { pool.roomChanged.notify() }
    }

    /// Any queue may have tasks.
    func reopenAll() {
        state.withLock { $0.planner.reopenAll() }
        pool.roomChanged.notify()
    }

    /// The queues that gave less than they were asked for, and how often each gave nothing.
    private func exhausted(
        _ requests: [DequeueRequest],
        _ tasks: [LeasedTask],
        _ watch: any BrokerWatch
    ) -> [(queue: String, misses: Int)] {
        var counts: [String: Int] = [:]
        if requests.count == 1 {
            counts[requests[0].queue] = tasks.count
        } else {
            for task in tasks { counts[task.message.queue, default: 0] += 1 }
        }
        let isWatched = requests.map { watch.isLive(for: $0.queue) }
        return state.withLock { state in
            zip(requests, isWatched).compactMap { request, isWatched in
                let count = counts[request.queue] ?? 0
                guard state.planner.received(count, for: request, isWatched: isWatched) else {
                    return nil
                }
                return (request.queue, state.planner.misses(request.queue))
            }
        }
    }

    /// A server that was woken for nothing looks again a little later, so that many idle ones are no herd.
    private func listen(to queues: [(queue: String, misses: Int)], _ watch: any BrokerWatch) {
        for (queue, misses) in queues {
            let most = misses < 2 ? 0 : min(50_000, 500 << min(misses, 7))
            watch.listenForPending(in: queue, after: .microseconds(Int.random(in: 0...most)))
        }
    }

    /// Stands in for the watch of queues for which it has no connection, and makes up for a signal that was lost, once a while.
    func poll(every interval: Duration, watch: any BrokerWatch) async {
        var turn = 0
        while !Task.isCancelled {
            try? await clock.sleep(interval * Double.random(in: 0.75...1.25))
            turn += 1
            if turn.isMultiple(of: 30) { reopenAll() }
            for queue in names where !watch.isLive(for: queue) { reopen(queue) }
        }
    }

    /// Hands the stock back when it has not moved for a while: the handlers have become long, and another server may
    /// be free.
    func returnStalledStock() async {
        while !Task.isCancelled {
            await pool.stockAdded.wait()
            var finished = pool.read { $0.finishedCount }
            while !Task.isCancelled, pool.read({ $0.stockCount }) > 0 {
                try? await clock.sleep(.milliseconds(100))
                let now = pool.read { $0.finishedCount }
                if now == finished {
                    state.withLock { $0.stock.stalled() }
                    pool.handBackStock()
                }
                finished = now
            }
        }
    }
}

extension [DequeueRequest] {
    fileprivate var total: Int { reduce(0) { $0 + $1.limit } }
}
