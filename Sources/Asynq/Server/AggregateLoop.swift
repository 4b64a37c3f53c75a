import Logging
import Synchronization

/// Has groups aggregated that are ready. Sleeps until the earliest may be, and is woken when a group has its first task, or
/// grows and may have reached its maximal size.
final class AggregateLoop: Sendable {
    private struct State {
        var agenda = GroupAgenda()
        /// Queues that may have new groups unseen since they were last listened to.
        var unheard: Set<String>
        /// Something was signalled since the last look.
        var isSignalled = false
        /// How often in a row each group could not be aggregated.
        var failures: [GroupReference: Int] = [:]
    }

    /// So many groups are aggregated at once, at most, by all loops of a server that has not more of them.
    static let maxRunning = 16
    /// Groups in one step.
    private static let batch = 1000
    /// Signals that come this close together are one: closer while they are worth it.
    private static let (shortestPause, longestPause) = (Duration.milliseconds(5), Duration.milliseconds(15))

    private let broker: any Broker
    private let queues: [String]
    private let policy: GroupPolicy
    private let runner: AggregationRunner
    private let interval: Duration
    private let maxRunning: Int
    private let clock: LoopClock
    private let logger: Logger
    private let woken = Wakeup()
    private let state: Mutex<State>

    /// - Parameters:
    ///   - interval: how often to look while the broker cannot signal changes.
    ///   - maxRunning: how many groups to aggregate at once, at most.
    init(queues: [String], policy: GroupPolicy, runner: AggregationRunner, interval: Duration, maxRunning: Int) {
        self.queues = queues
        self.policy = policy
        self.runner = runner
        self.interval = interval
        self.maxRunning = maxRunning
        broker = runner.broker
        clock = runner.clock
        logger = runner.logger
        state = Mutex(State(unheard: Set(queues)))
    }

    /// The queue may have new groups.
    func groupsChanged(_ queue: String) {
        state.withLock { state in
            state.unheard.insert(queue)
            state.isSignalled = true
        }
        woken.notify()
    }

    /// The group may have more tasks.
    func grew(_ group: GroupReference) {
        let isToLookAt = state.withLock { state in
            state.agenda.changed(group)
            // Taking tasks out of it is a change too.
            guard !state.agenda.isBusy(group) else { return false }
            state.isSignalled = true
            return true
        }
        if isToLookAt { woken.notify() }
    }

    /// Any group may have changed.
    func changedAnywhere() {
        state.withLock { state in
            state.unheard = Set(queues)
            state.agenda.allChanged()
            state.isSignalled = true
        }
        woken.notify()
    }

    /// Runs until it is cancelled. What is staged then is put back.
    func run(watch: any BrokerWatch) async {
        var retry = Backoff()
        var pause = Self.shortestPause
        var lookAgainAt = nextLook(watch)
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                if clock.now() >= lookAgainAt {
                    changedAnywhere()
                    lookAgainAt = nextLook(watch)
                }
                do {
                    let listPause = try await list(watch)
                    let (sets, failure) = await check(watch)
                    for set in sets { group.addTask { await self.aggregate(set) } }
                    // Many servers may be told of each task of a group that is not full for long.
                    pause = sets.isEmpty ? min(pause * 2, Self.longestPause) : Self.shortestPause
                    if let failure { throw failure }
                    if retry.succeeded() { logger.info("looking at groups again") }
                    lookAgainAt = min(lookAgainAt, nextLook(watch))
                    let next = min(lookAgainAt, nextDue)
                    if next > clock.now() { await woken.wait(until: next, clock) }
                    if isSignalled { await clock.pause(max(pause, listPause)) }
                } catch {
                    if Task.isCancelled { break }
                    let delay = retry.failed()
                    if retry.isFirst {
                        logger.error("cannot look at groups; trying again", metadata: ["error": "\(error)"])
                    }
                    try? await clock.sleep(delay)
                }
            }
        }
    }

    /// A live watch says when to look again; the long interval is for a signal that was lost.
    private func nextLook(_ watch: any BrokerWatch) -> Int64 {
        clock.now().adding(queues.allSatisfy(watch.isLive) ? interval * 12 : interval)
    }

    /// `.max` while all places are taken: the end of an aggregation wakes the loop.
    private var nextDue: Int64 {
        state.withLock { $0.agenda.runningCount < maxRunning ? $0.agenda.next : .max }
    }

    private var isSignalled: Bool { state.withLock { $0.isSignalled } }

    /// Learns of new groups. Returns how long to let pass before the next time: a long list is not to be read all the time.
    private func list(_ watch: any BrokerWatch) async throws -> Duration {
        let queues = state.withLock { state in
            defer { state.unheard = [] }
            state.isSignalled = false
            return state.unheard
        }
        guard !queues.isEmpty else { return .zero }
        let start = ContinuousClock.now
        // First listen, then look: what is added in between is signalled.
        await watch.listenForGroups(in: Array(queues))
        do {
            let groups = try await broker.waitingGroups(in: Array(queues))
            state.withLock { $0.agenda.list(groups, in: queues) }
        } catch {
            state.withLock { $0.unheard.formUnion(queues) }
            throw error
        }
        return min(.seconds(1), (ContinuousClock.now - start) * 10)
    }

    /// Looks at the groups that may be ready. Returns what was staged, and why some could not be looked at.
    private func check(_ watch: any BrokerWatch) async -> (sets: [AggregationSet], failure: AsynqError?) {
        let (groups, free) = state.withLock { state in
            let free = maxRunning - state.agenda.runningCount
            return (free > 0 ? state.agenda.take(Self.batch, now: clock.now()) : [], free)
        }
        guard !groups.isEmpty else { return ([], nil) }
        // A group that only waits for its time need not be listened to: that time never comes earlier.
        if policy.maxSize != nil { await watch.listenForGrowth(of: groups) }
        let start = clock.now()
        let results = await broker.stageGroups(groups, policy: policy, limit: free)
        var sets: [AggregationSet] = []
        var failure: AsynqError?
        state.withLock { state in
            for (group, result) in zip(groups, results) {
                switch result {
                case .success(let check):
                    let wait = check.nextDueIn.map { min($0, .hours(1)).nanosecondsClamped }
                    let hasChanged = state.agenda.checked(group, due: wait.map { start + $0 })
                    guard let set = check.set else {
                        if hasChanged { state.isSignalled = true }
                        continue
                    }
                    state.agenda.began(group)
                    sets.append(set)
                case .failure(let error):
                    state.agenda.changed(group)
                    state.agenda.checked(group, due: nil)
                    failure = error
                }
            }
        }
        return (sets, failure)
    }

    private func aggregate(_ set: AggregationSet) async {
        let failures = state.withLock { $0.failures[set.group] ?? 0 }
        let isDone = await runner.run(set, retryIn: .seconds(min(60, 1 << min(failures, 6))))
        state.withLock { state in
            state.failures[set.group] = isDone ? nil : failures + 1
            state.agenda.ended(set.group)
        }
        woken.notify()
    }
}
