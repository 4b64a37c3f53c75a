public import Asynq
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A ``Broker`` that keeps everything in memory, for tests. It keeps every rule that the others keep, but what it holds
/// ends with it.
///
/// ```swift
/// let broker = MemoryBroker()
/// let signUp = SignUp(queue: AsynqClient(broker))
/// try await signUp.run(user)
/// #expect(try broker.enqueued(WelcomeEmail.self) == [WelcomeEmail(userID: user.id)])
/// ```
///
/// See ``AsynqTester`` for running handlers, and for time that passes when the test says so.
public final class MemoryBroker: Broker, InspectionBroker {
    struct State {
        var queues: [String: MemoryQueue] = [:]
        var servers: [ServerIdentity: (state: ServerState, end: Int64)] = [:]
        /// The places held in each semaphore, by holder: the last Unix second of each.
        var semaphores: [String: [String: Int64]] = [:]
        var schedule = MemorySchedule()
        /// Everything that was accepted, in order.
        var log: [TaskInfo] = []
        var watches: [ObjectIdentifier: MemoryWatch] = [:]
        /// When groups are ready, for those who ask whether all is done; `nil`: never.
        var groupPolicy: GroupPolicy?
        var idleWaiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
    }

    /// What several brokers may share, as they share a Redis.
    private final class Store: Sendable {
        let time: @Sendable () -> Int64
        let state = Mutex(State())

        init(time: @escaping @Sendable () -> Int64) { self.time = time }
    }

    private let store: Store
    let isShutDown = Atomic(false)

    public let name = "memory"

    /// - Parameter clock: what tells the time. Default: the system's.
    public init(clock: ManualClock? = nil) {
        if let clock {
            store = Store { clock.unixNanoseconds }
        } else {
            store = Store { Int64(Date().timeIntervalSince1970 * 1_000_000) * 1000 }
        }
    }

    /// Another broker on the same tasks.
    public init(sharing other: MemoryBroker) {
        store = other.store
    }

    // MARK: Broker

    public func connect() async throws { try check() }
    public func ping() async throws { try check() }

    public func shutdown() async {
        isShutDown.store(true, ordering: .relaxed)
    }

    nonisolated(nonsending) public func enqueue(
        _ requests: [EnqueueRequest]
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        change { state, now in
            requests.map { request -> Result<EnqueueReceipt, AsynqError> in
                guard !isShutDown.load(ordering: .relaxed) else { return .failure(Self.closed) }
                return state.enqueue(request, now: now)
            }
        }
    }

    public func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] {
        try check()
        return change { state, now in
            requests.flatMap { state.queues[$0.queue]?.dequeue($0.limit, now: now) ?? [] }
        }
    }

    public func finish(_ requests: [FinishRequest]) async -> [FinishResult] {
        change { state, now in
            requests.map { request -> FinishResult in
                guard !isShutDown.load(ordering: .relaxed) else { return .failed(Self.closed) }
                return state.queues[request.task.message.queue]?.finish(request, now: now) ?? .notFound
            }
        }
    }

    public func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool] {
        try check()
        return change { state, now in
            tasks.map { state.queues[$0.message.queue]?.extendLease($0, now: now) ?? false }
        }
    }

    public func forward(queues: [String], limit: Int) async throws -> ForwardResult {
        try check()
        return change { state, now in
            var result = ForwardResult(moved: 0, nextDueIn: nil)
            for queue in queues {
                result.moved += state.queues[queue]?.forward(limit: limit, now: now) ?? 0
                guard let next = state.queues[queue]?.waiting.first?.time else { continue }
                let wait = Duration.nanoseconds(max(0, next - now))
                result.nextDueIn = min(result.nextDueIn ?? wait, wait)
            }
            return result
        }
    }

    public func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] {
        try check()
        return change { state, now in
            queues.flatMap { state.queues[$0]?.expiredLeases(limit: limit, now: now) ?? [] }
        }
    }

    public func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int {
        try check()
        return change { state, now in state.queues[queue]?.deleteExpiredCompleted(limit: limit, now: now) ?? 0 }
    }

    public func writeResult(_ result: [UInt8], of task: LeasedTask) async throws {
        try check()
        let isWritten = change { state, _ in state.queues[task.message.queue]?.writeResult(result, of: task) ?? false }
        if !isWritten { throw AsynqError.taskNotRunning(task) }
    }

    public func cancel(taskID: String) async throws {
        try check()
        for watch in store.state.withLock({ Array($0.watches.values) }) { watch.signal(.cancel(taskID: taskID)) }
    }

    public func writeServerState(_ state: ServerState, ttl: Duration) async throws {
        try check()
        change { all, now in
            all.servers[state.identity] = (state, now.addingClamped(ttl.nanosecondsClamped))
        }
    }

    public func clearServerState(_ server: ServerIdentity) async throws {
        change { state, _ in state.servers[server] = nil }
    }

    public func makeWatch(
        queues: [String],
        onSignal: @escaping @Sendable (BrokerSignal) -> Void
    ) -> any BrokerWatch {
        let watch = MemoryWatch(broker: self, onSignal: onSignal)
        store.state.withLock { $0.watches[ObjectIdentifier(watch)] = watch }
        watch.signal(.live)
        return watch
    }

    // MARK: Inside

    static let closed = AsynqError(.brokerUnavailable, "the broker has been shut down")

    var isClosed: Bool { isShutDown.load(ordering: .relaxed) }

    func check() throws {
        if isClosed { throw Self.closed }
    }

    /// Does something to the whole, and tells those who wait for what came of it.
    func change<Value: Sendable>(_ body: (inout State, _ now: Int64) -> sending Value) -> Value {
        let (value, watches, idle) = store.state.withLock {
            state -> (Value, [MemoryWatch], [CheckedContinuation<Void, Never>]) in
            let now = store.time()
            let value = body(&state, now)
            guard state.isIdle(now) else { return (value, Array(state.watches.values), []) }
            let waiters = Array(state.idleWaiters.values)
            state.idleWaiters = [:]
            return (value, Array(state.watches.values), waiters)
        }
        for watch in watches { watch.look() }
        for waiter in idle { waiter.resume() }
        return value
    }

    /// Reads without a change.
    func read<Value: Sendable>(_ body: (borrowing State, _ now: Int64) -> sending Value) -> Value {
        store.state.withLock { body($0, store.time()) }
    }

    func remove(_ watch: MemoryWatch) {
        store.state.withLock { $0.watches[ObjectIdentifier(watch)] = nil }
    }

    /// Whether no task can run at this time. See ``waitUntilIdle()``.
    var isIdle: Bool { read { $0.isIdle($1) } }

    /// Returns when no task can run at this time: none is pending in a queue that is not paused, none is active, none is
    /// due, and no group is ready or being aggregated by a server that does that. Also when the caller is cancelled.
    ///
    /// A task of a server that has died stays active until another one recovers it.
    public func waitUntilIdle() async {
        let id = store.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isIdle = store.state.withLock { state in
                    if Task.isCancelled || state.isIdle(store.time()) { return true }
                    state.idleWaiters[id] = continuation
                    return false
                }
                if isIdle { continuation.resume() }
            }
        } onCancel: {
            store.state.withLock { $0.idleWaiters.removeValue(forKey: id) }?.resume()
        }
    }
}

extension MemoryBroker.State {
    func isIdle(_ now: Int64) -> Bool {
        queues.values.allSatisfy { queue in
            queue.active.isEmpty && (queue.isPaused || queue.pending.isEmpty)
                && (queue.waiting.first.map { $0.time > now } ?? true)
                && queue.sets.isEmpty && (queue.timeUntilGroupReady(groupPolicy, now: now) ?? .seconds(1)) > .zero
        }
    }
}
