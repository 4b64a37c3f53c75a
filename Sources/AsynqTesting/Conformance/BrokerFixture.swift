public import Asynq

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A broker under test, on a store of its own that is empty at first, with the means to look behind its back and to let
/// time pass.
public protocol BrokerFixture: Sendable {
    /// The broker.
    var broker: any Broker { get }

    /// Another broker on the same store, as another process would have it. The fixture shuts it down.
    func anotherBroker() async throws -> any Broker

    /// The time that the store goes by.
    func now() async throws -> Date

    /// Makes the store believe that time has passed: by a clock that was passed to it, or by making everything in it
    /// older.
    ///
    /// - Parameter duration: whole seconds.
    func advance(by duration: Duration) async throws

    /// Everything that the store holds for a queue, as it lies there.
    func contents(of queue: String) async throws -> StoredQueue

    /// Shuts down all brokers and deletes the store.
    func tearDown() async
}

extension BrokerFixture {
    func setPaused(_ isPaused: Bool, queue: String) async throws {
        try await broker.setPaused(isPaused, of: queue)
    }
}

/// All that a store holds for one queue.
public struct StoredQueue: Sendable, Hashable {
    /// A task, without regard to where it lies.
    public struct Task: Sendable, Hashable {
        public var message: TaskMessage
        /// The state that the task itself claims.
        public var state: TaskState
        /// Whether it is known since when it has been pending.
        public var hasPendingSince: Bool
        public var result: [UInt8]?

        public init(message: TaskMessage, state: TaskState, hasPendingSince: Bool, result: [UInt8]? = nil) {
            self.message = message
            self.state = state
            self.hasPendingSince = hasPendingSince
            self.result = result
        }
    }

    /// By id.
    public var tasks: [String: Task]
    /// The ids that lie in each place: each list, set or index of tasks in a state. Those of `pending` oldest first. A
    /// store where the task's own state is the only record of its place derives these from it.
    public var places: [TaskState: [String]]
    /// All-time counters.
    public var processed: Int
    public var failed: Int
    /// Those of today, by UTC.
    public var processedToday: Int
    public var failedToday: Int
    /// Contradictions that only this kind of store can have, in words: a leftover, an index without a task. Empty if there
    /// are none.
    public var faults: [String]

    public init(
        tasks: [String: Task] = [:],
        places: [TaskState: [String]] = [:],
        processed: Int = 0,
        failed: Int = 0,
        processedToday: Int = 0,
        failedToday: Int = 0,
        faults: [String] = []
    ) {
        self.tasks = tasks
        self.places = places
        self.processed = processed
        self.failed = failed
        self.processedToday = processedToday
        self.failedToday = failedToday
        self.faults = faults
    }

    /// What contradicts the rule that each task is in exactly one place, the one it claims.
    var contradictions: [String] {
        var found = faults
        var where_: [String: [TaskState]] = [:]
        for (state, ids) in places { for id in ids { where_[id, default: []].append(state) } }
        for (id, task) in tasks {
            if where_[id] != [task.state] {
                found.append("\(id) says it is \(task.state) but lies in \(where_[id] ?? [])")
            }
            if task.hasPendingSince != (task.state == .pending) {
                found.append("\(id) is \(task.state), and its pending time is \(task.hasPendingSince ? "" : "not ")set")
            }
            if task.message.id != id { found.append("\(id) holds the message of another task") }
            where_[id] = nil
        }
        return found + where_.map { "\($0.key) lies in \($0.value) and does not exist" }
    }
}
