/// Looks at queues, tasks and servers, and moves tasks by hand.
///
/// ```swift
/// let inspector = AsynqInspector(broker)
/// for queue in try await inspector.snapshots() {
///     print(queue.queue, queue.pending, queue.failedToday)
/// }
/// let failed = try await inspector.tasks(in: .archived, queue: "default")
/// try await inspector.runAll(.archived, queue: "default")
/// ```
///
/// Works beside any number of clients and servers, ours and Go's: no call holds them up for long, whatever the queues hold.
/// Errors are ``AsynqError``: `queueNotFound`, `taskNotFound` and those that a call names; `brokerUnavailable` and
/// `brokerFailure` from each.
public struct AsynqInspector: Sendable {
    let broker: any Broker

    public init(_ broker: any Broker) {
        self.broker = broker
    }

    // MARK: Queues

    /// The names of all queues, sorted.
    public func queues() async throws -> [String] {
        try await broker.queueNames().sorted()
    }

    /// The figures of all queues, sorted by name. Two round trips, however many queues there are.
    public func snapshots() async throws -> [QueueSnapshot] {
        try await broker.snapshots(of: queues()).compactMap(\.self)
    }

    /// The figures of one queue.
    public func snapshot(of queue: String) async throws -> QueueSnapshot {
        guard let snapshot = try await broker.snapshots(of: [queue]).first ?? nil else {
            throw AsynqError.queueNotFound(queue)
        }
        return snapshot
    }

    /// What was processed on each of the last days, today first.
    ///
    /// - Parameters:
    ///   - queue: its name.
    ///   - days: 1 to 90, for which counters are kept. Default: 10.
    /// - Throws: ``AsynqError``, also with code `invalidArgument`.
    public func history(of queue: String, days: Int = 10) async throws -> [DailyCounts] {
        try check(days: days)
        async let isKnown = broker.hasQueue(queue)
        async let history = broker.history(of: [queue], days: days)
        guard try await isKnown else { throw AsynqError.queueNotFound(queue) }
        return try await history.first ?? []
    }

    /// What all queues processed on each of the last days, today first.
    ///
    /// - Parameter days: 1 to 90. Default: 90.
    public func history(days: Int = 90) async throws -> [String: [DailyCounts]] {
        try check(days: days)
        let queues = try await broker.queueNames()
        return Dictionary(zip(queues, try await broker.history(of: queues, days: days))) { first, _ in first }
    }

    /// The groups of a queue that have tasks which wait to be aggregated, sorted by name.
    public func groups(of queue: String) async throws -> [GroupSize] {
        async let isKnown = broker.hasQueue(queue)
        async let groups = broker.groups(of: queue)
        guard try await isKnown else { throw AsynqError.queueNotFound(queue) }
        return try await groups.sorted { $0.group < $1.group }
    }

    /// Stops a queue: its tasks stay, and servers take none. What runs goes on. No change if it is paused already.
    public func pause(_ queue: String) async throws { try await setPaused(true, queue) }

    /// Lets a paused queue go on. No change if it is not paused.
    public func resume(_ queue: String) async throws { try await setPaused(false, queue) }

    private func setPaused(_ isPaused: Bool, _ queue: String) async throws {
        guard try await broker.hasQueue(queue) else { throw AsynqError.queueNotFound(queue) }
        try await broker.setPaused(isPaused, of: queue)
    }

    /// Deletes a queue with all that belongs to it. It is there again with its next task.
    ///
    /// Cancelling the caller stops it between two steps: what is left stays, in a queue that stays paused.
    ///
    /// - Parameters:
    ///   - queue: its name.
    ///   - force: delete the tasks that it holds as well. Default: no.
    ///   - progress: told after each step.
    /// - Returns: how many tasks were deleted.
    /// - Throws: ``AsynqError``, also with code `queueNotEmpty`: it holds tasks, in whatever state, and `force` is not set;
    ///   or tasks are active, which `force` does not delete unless their leases have ended; or tasks are enqueued
    ///   faster than they can be deleted.
    @discardableResult
    public func deleteQueue(
        _ queue: String,
        force: Bool = false,
        progress: BulkProgress.Handler? = nil
    ) async throws -> Int {
        var deleted = 0
        var rounds = BulkRounds()
        while true {
            try Task.checkCancellation()
            let step = try await broker.deleteQueue(queue, force: force, limit: Self.step)
            deleted += step.deleted
            progress?(BulkProgress(done: deleted, remaining: step.remaining))
            if step.isDone { return deleted }
            guard rounds.isToGoOn(after: step.deleted, remaining: step.remaining) else {
                throw AsynqError.queueNotEmpty(queue, size: step.remaining, active: 0)
            }
        }
    }

    // MARK: The rest

    /// The servers that are running, with the tasks that they run. Sorted by host, process and id.
    public func servers() async throws -> [ServerInfo] {
        try await broker.servers().sorted {
            ($0.identity.host, $0.identity.pid, $0.identity.id) < ($1.identity.host, $1.identity.pid, $1.identity.id)
        }
    }

    /// What the store says of itself: version, memory, clients and so on.
    public func info() async throws -> BrokerInfo { try await broker.info() }

    /// The hash slot of a queue on a Redis Cluster; `nil` if the broker is not on Redis.
    public func keySlot(of queue: String) -> Int? { broker.keySlot(of: queue) }

    /// The addresses of the nodes that hold a queue: on a Redis Cluster the master of its slot and then the replicas,
    /// behind Sentinels the master, or the one server. None if the broker is not on Redis.
    public func nodes(of queue: String) async throws -> [String] { try await broker.nodes(of: queue) }

    /// What `CLUSTER NODES` says: the nodes of a Redis Cluster as one of them knows them, a line each. `nil` if the broker is
    /// not on Redis.
    ///
    /// - Throws: ``AsynqError`` with code `brokerFailure` if that Redis is no Cluster: ``info()`` says in `redis_mode` what
    ///   it is.
    public func clusterNodes() async throws -> String? { try await broker.clusterNodes() }

    /// How many tasks a step of a bulk operation takes at most; between two steps others get their turn.
    static let step = 1000

    private func check(days: Int) throws {
        guard (1...90).contains(days) else {
            throw AsynqError(.invalidArgument, "a history of \(days) days: it must be 1 to 90, which is what is kept")
        }
    }
}
