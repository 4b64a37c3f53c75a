import Asynq

/// A broker that says of each look at it, and each change by hand, that it is about to happen; it may wait or fail there.
struct WatchedBroker: Broker {
    /// Given the name of what is called.
    typealias Hook = @Sendable (_ call: String) async throws -> Void

    private let base: any Broker
    private let hook: Hook

    init(_ base: any Broker, hook: @escaping Hook) {
        self.base = base
        self.hook = hook
    }

    private func watched<Value>(_ call: String, _ body: () async throws -> Value) async throws -> Value {
        try await hook(call)
        return try await body()
    }

    // MARK: What a dashboard calls

    func ping() async throws { try await watched("ping") { try await base.ping() } }

    func queueNames() async throws -> [String] { try await watched("queueNames") { try await base.queueNames() } }

    func hasQueue(_ queue: String) async throws -> Bool {
        try await watched("hasQueue") { try await base.hasQueue(queue) }
    }

    func snapshots(of queues: [String]) async throws -> [QueueSnapshot?] {
        try await watched("snapshots") { try await base.snapshots(of: queues) }
    }

    func history(of queues: [String], days: Int) async throws -> [[DailyCounts]] {
        try await watched("history") { try await base.history(of: queues, days: days) }
    }

    func groups(of queue: String) async throws -> [GroupSize] {
        try await watched("groups") { try await base.groups(of: queue) }
    }

    func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing {
        try await watched("tasks") { try await base.tasks(selection, offset: offset, limit: limit) }
    }

    func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?] {
        try await watched("tasks by id") { try await base.tasks(tasks) }
    }

    func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>] {
        do {
            try await hook("move")
        } catch {
            return tasks.map { _ in .failure(AsynqError(.brokerUnavailable, "the hook failed", cause: error)) }
        }
        return await base.move(tasks, move)
    }

    func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch {
        try await watched("moveSome") { try await base.moveSome(selection, move, limit: limit) }
    }

    func servers() async throws -> [ServerInfo] { try await watched("servers") { try await base.servers() } }

    func info() async throws -> BrokerInfo { try await watched("info") { try await base.info() } }

    func schedulerEntries() async throws -> [SchedulerEntry] {
        try await watched("schedulerEntries") { try await base.schedulerEntries() }
    }

    // MARK: The rest

    var name: String { base.name }
    func connect() async throws { try await base.connect() }
    func shutdown() async { await base.shutdown() }
    func enqueue(_ requests: [EnqueueRequest]) async -> [Result<EnqueueReceipt, AsynqError>] {
        await base.enqueue(requests)
    }
    func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] { try await base.dequeue(requests) }
    func finish(_ requests: [FinishRequest]) async -> [FinishResult] { await base.finish(requests) }
    func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool] { try await base.extendLeases(tasks) }
    func forward(queues: [String], limit: Int) async throws -> ForwardResult {
        try await base.forward(queues: queues, limit: limit)
    }
    func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] {
        try await base.expiredLeases(queues: queues, limit: limit)
    }
    func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int {
        try await base.deleteExpiredCompleted(queue: queue, limit: limit)
    }
    func writeResult(_ result: [UInt8], of task: LeasedTask) async throws {
        try await base.writeResult(result, of: task)
    }
    func cancel(taskID: String) async throws { try await base.cancel(taskID: taskID) }
    func writeServerState(_ state: ServerState, ttl: Duration) async throws {
        try await base.writeServerState(state, ttl: ttl)
    }
    func clearServerState(_ server: ServerIdentity) async throws { try await base.clearServerState(server) }
    func makeWatch(queues: [String], onSignal: @escaping @Sendable (BrokerSignal) -> Void) -> any BrokerWatch {
        base.makeWatch(queues: queues, onSignal: onSignal)
    }
    func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws {
        try await base.updatePayload(payload, of: task)
    }
    func setPaused(_ isPaused: Bool, of queue: String) async throws { try await base.setPaused(isPaused, of: queue) }
    func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion {
        try await base.deleteQueue(queue, force: force, limit: limit)
    }
    func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? { try await base.acquirePermit(request) }
    func releasePermit(_ lease: PermitLease) async throws -> Bool { try await base.releasePermit(lease) }
    func waitingGroups(in queues: [String]) async throws -> [GroupReference] {
        try await base.waitingGroups(in: queues)
    }
    func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>] { await base.stageGroups(groups, policy: policy, limit: limit) }
    func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError> { await base.completeAggregation(set, with: request) }
    func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws {
        try await base.releaseAggregation(set, retryIn: delay)
    }
    func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool] { try await base.extendAggregations(sets) }
    func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws {
        try await base.archiveStaged(errors, of: set)
    }
    func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int {
        try await base.reclaimStaleAggregationSets(queues: queues, limit: limit)
    }
    func enqueueOccurrences(_ occurrences: [EntryOccurrence]) async -> [Result<OccurrenceOutcome, AsynqError>] {
        await base.enqueueOccurrences(occurrences)
    }
    func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] { await base.entryMarks(entries) }
    func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        try await base.holdSchedulerLease(group, holder: holder, ttl: ttl)
    }
    func releaseSchedulerLease(_ group: String, holder: String) async throws {
        try await base.releaseSchedulerLease(group, holder: holder)
    }
    func writeSchedulerEntries(_ entries: [SchedulerEntry], of scheduler: String, ttl: Duration) async throws {
        try await base.writeSchedulerEntries(entries, of: scheduler, ttl: ttl)
    }
    func clearSchedulerEntries(of scheduler: String) async throws {
        try await base.clearSchedulerEntries(of: scheduler)
    }
    func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {
        try await base.recordEnqueueEvents(events)
    }
    func enqueueEvents(ofEntry id: String, offset: Int, limit: Int) async throws -> [SchedulerEnqueueEvent] {
        try await base.enqueueEvents(ofEntry: id, offset: offset, limit: limit)
    }
}
