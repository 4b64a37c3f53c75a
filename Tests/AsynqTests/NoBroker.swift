import Asynq

/// A broker that has nothing and does nothing, for what needs one and does not use it.
struct NoBroker: Broker {
    struct Unused: Error {}

    var servesQueuesApart = false
    var extend: @Sendable ([LeasedTask]) async throws -> [Bool] = { _ in [] }
    var groups: @Sendable ([String]) async throws -> [GroupReference] = { _ in [] }
    var look: @Sendable () async -> ForwardResult = { .init(moved: 0, nextDueIn: nil) }
    var store: @Sendable ([EnqueueRequest]) async -> [Result<EnqueueReceipt, AsynqError>] = { _ in [] }
    var end: @Sendable ([FinishRequest]) async -> [FinishResult] = { _ in [] }

    var name: String { "none" }
    func connect() async throws {}
    func ping() async throws {}
    func shutdown() async {}
    func enqueue(_ requests: [EnqueueRequest]) async -> [Result<EnqueueReceipt, AsynqError>] { await store(requests) }
    func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] { [] }
    func finish(_ requests: [FinishRequest]) async -> [FinishResult] { await end(requests) }
    func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool] { try await extend(tasks) }
    func forward(queues: [String], limit: Int) async throws -> ForwardResult { await look() }
    func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] { [] }
    func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int { 0 }
    func writeResult(_ result: [UInt8], of task: LeasedTask) async throws {}
    func cancel(taskID: String) async throws {}
    func writeServerState(_ state: ServerState, ttl: Duration) async throws {}
    func clearServerState(_ server: ServerIdentity) async throws {}
    func queueNames() async throws -> [String] { [] }
    func hasQueue(_ queue: String) async throws -> Bool { false }
    func snapshots(of queues: [String]) async throws -> [QueueSnapshot?] { queues.map { _ in nil } }
    func history(of queues: [String], days: Int) async throws -> [[DailyCounts]] { queues.map { _ in [] } }
    func groups(of queue: String) async throws -> [GroupSize] { [] }
    func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing {
        TaskListing(tasks: [], total: 0)
    }
    func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?] { tasks.map { _ in nil } }
    func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>] { [] }
    func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch {
        MoveBatch(moved: 0, remaining: 0)
    }
    func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws {}
    func setPaused(_ isPaused: Bool, of queue: String) async throws {}
    func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion {
        QueueDeletion(deleted: 0, remaining: 0, isDone: true)
    }
    func servers() async throws -> [ServerInfo] { [] }
    func info() async throws -> BrokerInfo {
        BrokerInfo(kind: "none", address: name, version: "", sections: [])
    }
    func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? { nil }
    func releasePermit(_ lease: PermitLease) async throws -> Bool { false }
    func waitingGroups(in queues: [String]) async throws -> [GroupReference] { try await groups(queues) }
    func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>] { groups.map { _ in .success(GroupCheck(nextDueIn: nil)) } }
    func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError> { .failure(.aggregationSetEnded(set)) }
    func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws {}
    func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool] { sets.map { _ in false } }
    func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws {}
    func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int { 0 }
    func makeWatch(queues: [String], onSignal: @escaping @Sendable (BrokerSignal) -> Void) -> any BrokerWatch {
        Watch()
    }
    func enqueueOccurrences(_ occurrences: [EntryOccurrence]) async -> [Result<OccurrenceOutcome, AsynqError>] { [] }
    func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] { [] }
    func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        throw Unused()
    }
    func releaseSchedulerLease(_ group: String, holder: String) async throws {}
    func writeSchedulerEntries(_ entries: [SchedulerEntry], of scheduler: String, ttl: Duration) async throws {}
    func clearSchedulerEntries(of scheduler: String) async throws {}
    func schedulerEntries() async throws -> [SchedulerEntry] { [] }
    func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {}
    func enqueueEvents(ofEntry id: String, offset: Int, limit: Int) async throws -> [SchedulerEnqueueEvent] { [] }

    struct Watch: BrokerWatch {
        func isLive(for queue: String) -> Bool { false }
        func listenForPending(in queue: String, after delay: Duration) {}
        func listenForDue(in queues: [String]) async {}
        func listenForGroups(in queues: [String]) async {}
        func listenForGrowth(of groups: [GroupReference]) async {}
        func close() async {}
    }
}
