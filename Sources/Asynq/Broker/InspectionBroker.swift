/// What ``AsynqInspector`` asks of a broker: to look at queues and to move tasks by hand (spec 2, "Inspector").
///
/// A queue or a task that is not there is no error here unless it says so; ``AsynqInspector`` turns it into one. What a
/// call gives is of one moment for each queue: a task that moves meanwhile is in one list or in none, never twice and
/// never with a state that it does not have. No call holds up the store for long, however many tasks it holds.
public protocol InspectionBroker: Sendable {
    /// The names of all queues, in no order.
    func queueNames() async throws -> [String]

    /// Whether the queue has ever been used, and has not been deleted since.
    func hasQueue(_ queue: String) async throws -> Bool

    /// Figures of many queues at once, in the order of their names; `nil` where there is no such queue.
    func snapshots(of queues: [String]) async throws -> [QueueSnapshot?]

    /// What was processed on each of the last `days` (1 to 90, or the nearest), today first; one list a queue, in
    /// their order.
    func history(of queues: [String], days: Int) async throws -> [[DailyCounts]]

    /// The groups of a queue that have tasks which wait to be aggregated, in no order.
    func groups(of queue: String) async throws -> [GroupSize]

    /// Tasks in one state: pending and active ones oldest first, all others in the order of their times (due, archived,
    /// end of retention, added to the group). With a limit of 0 only the total.
    ///
    /// Tasks that are being aggregated at the moment are in no list.
    func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing

    /// Tasks by their ids, in their order; `nil` where there is none.
    func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?]

    /// Runs, archives or deletes tasks, each for itself, in order. An archive that grows too large is trimmed; what is
    /// deleted frees its uniqueness lock.
    ///
    /// - Returns: for each the state that it was in, or why it was left alone: ``AsynqError/taskNotFound(_:)``,
    ///   ``AsynqError/cannotMove(_:_:in:)``, or a failure of the broker.
    func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>]

    /// Runs, archives or deletes up to `limit` tasks of one state, in the order of ``tasks(_:offset:limit:)``. May do fewer:
    /// as many as can be done without holding up others.
    func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch

    /// Gives a scheduled task another payload. One that is unique takes the lock of its new payload, and frees that of the
    /// old one.
    ///
    /// - Throws: ``AsynqError`` with code `taskNotFound`, `invalidTaskState` if it is not scheduled, or `duplicateTask` if
    ///   another task holds the new lock; then nothing has changed.
    func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws

    /// Pauses a queue or lets it go on; no change if it is so already. A queue that has never been used is made by a pause.
    func setPaused(_ isPaused: Bool, of queue: String) async throws

    /// Deletes up to `limit` tasks of a queue and, when none is left, everything else of it: its name, groups, counters and
    /// locks. To be called until it is done. A queue of which something is left stays paused.
    ///
    /// - Parameters:
    ///   - queue: its name.
    ///   - force: delete the tasks that it holds. Otherwise it must hold none.
    ///   - limit: the most tasks that one call deletes; at least 1.
    /// - Throws: ``AsynqError`` with code `queueNotFound`; `queueNotEmpty` if it holds tasks, in any state, and `force` is
    ///   not set, or if it has active tasks whose lease has not ended.
    func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion

    /// The servers that have shown themselves lately, with what they are running.
    func servers() async throws -> [ServerInfo]

    /// What the store says of itself.
    func info() async throws -> BrokerInfo

    /// The hash slot of a queue's keys, for a broker that has such.
    func keySlot(of queue: String) -> Int?

    /// The addresses of the nodes that hold a queue, the one that is written to first. Default: none.
    func nodes(of queue: String) async throws -> [String]

    /// The nodes of a Cluster as one of them knows them, a line each. Default: none.
    ///
    /// Asked of a broker only whose ``info()`` says that it is on a Cluster (`redis_mode` is `cluster`).
    func clusterNodes() async throws -> String?
}

extension InspectionBroker {
    public func keySlot(of queue: String) -> Int? { nil }

    public func nodes(of queue: String) async throws -> [String] { [] }

    public func clusterNodes() async throws -> String? { nil }
}
