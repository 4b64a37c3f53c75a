public import Asynq
internal import GRDB
public import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The ``Broker`` in a file: durable, with nothing to install and nothing to run beside the program. For everything that
/// one machine can do; several processes on it may share the file.
///
/// ```swift
/// let broker = try SQLiteBroker(path: "tasks.db")
/// ```
///
/// What producers and workers do at the same moment shares transactions. A worker in the same process starts a task at
/// once, one in another process within about 15 ms. To enqueue in a transaction of your own see
/// ``enqueue(_:_:in:)-(AsynqTask,_,_)``.
///
/// The file must be on a local disk: SQLite's locks do not work on network file systems.
public final class SQLiteBroker: Broker {
    let file: SQLiteFile
    let writes: WriteQueue
    let watches: WatchHub
    let logger: Logger
    let configuration: SQLiteConfiguration
    let time: @Sendable () -> Int64
    private let isShutDown = Atomic(false)

    /// `sqlite:` and the path.
    public let name: String

    /// ``TaskIDScheme/timeOrdered``: tasks come and go about in the order of their ids, so that what changes in the index of
    /// ids lies together, however many tasks wait.
    public var taskIDScheme: TaskIDScheme { .timeOrdered }

    /// Opens the file, and makes it if there is none. Tables are made or brought up to date; their names begin with `asynq_`,
    /// so that the file may be an application's own database.
    ///
    /// - Parameters:
    ///   - path: of the file; two more, named after it, lie beside it. Its folder must exist.
    ///   - configuration: durability and time-outs.
    ///   - logger: for trouble with the file. Payloads never appear.
    /// - Throws: ``AsynqError`` that says what is wrong with the file.
    public convenience init(
        path: String,
        configuration: SQLiteConfiguration = .init(),
        logger: Logger = Logger(label: "asynq.sqlite")
    ) throws {
        try self.init(path: path, configuration: configuration, logger: logger) {
            Int64(Date().timeIntervalSince1970 * Double(second))
        }
    }

    /// - Parameter time: tells the time in Unix microseconds.
    package init(
        path: String,
        configuration: SQLiteConfiguration = .init(),
        logger: Logger,
        time: @escaping @Sendable () -> Int64
    ) throws {
        guard !path.isBlank else { throw AsynqError(.invalidArgument, "the path of the SQLite file is blank") }
        self.configuration = configuration
        self.logger = logger
        self.time = time
        name = "sqlite:\(path)"
        file = try SQLiteFile(path: path, configuration: configuration, time: time)
        let watches = WatchHub(file, logger: logger)
        self.watches = watches
        writes = WriteQueue(file, busyTimeout: configuration.busyTimeout) {
            watches.changed(pending: $0.pending, due: $0.due, groups: $0.groups)
        }
    }

    public func connect() async throws { try await ping() }

    public func ping() async throws {
        _ = try await read { store in try store.queue("") }
    }

    public func shutdown() async {
        guard !isShutDown.exchange(true, ordering: .relaxed) else { return }
        await writes.close()
        await watches.close()
        do {
            try file.close()
        } catch {
            logger.warning("the SQLite file could not be closed", metadata: ["path": "\(file.path)"])
        }
    }

    // MARK: Operations

    nonisolated(nonsending) public func enqueue(
        _ requests: [EnqueueRequest]
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        var results: [Result<EnqueueReceipt, AsynqError>] = []
        for chunk in requests.chunks() {
            do {
                results += try await writes.perform(weight: chunk.count) { try $0.enqueue(chunk) }
            } catch {
                results += chunk.map { _ in .failure(error) }
            }
        }
        return results
    }

    public func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] {
        let weight = requests.reduce(1) { $0 + min(max(0, $1.limit), Self.maxTasks) }
        return try await writes.perform(weight: weight) { store in
            try requests.flatMap { request in
                try store.dequeue(DequeueRequest(queue: request.queue, limit: min(request.limit, Self.maxTasks)))
            }
        }
    }

    public func finish(_ requests: [FinishRequest]) async -> [FinishResult] {
        var results: [FinishResult] = []
        for chunk in requests.chunks() {
            do {
                results += try await writes.perform(weight: chunk.count) { try $0.finish(chunk) }
            } catch {
                results += chunk.map { _ in .failed(error) }
            }
        }
        return results
    }

    public func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool] {
        var results: [Bool] = []
        for chunk in tasks.chunks() {
            results += try await writes.perform(weight: chunk.count) { store in
                try chunk.map { try store.extendLease($0) }
            }
        }
        return results
    }

    public func forward(queues: [String], limit: Int) async throws -> ForwardResult {
        let limit = min(max(0, limit), Self.maxTasks)
        // Looks first: most often nothing is due, and then there is nothing to write.
        let isDue = try await read { store in
            try queues.contains { name in
                try store.queue(name).flatMap(store.firstDue).map { $0 <= store.now } ?? false
            }
        }
        let moved = isDue ? try await forwardDue(queues, limit) : 0
        let wait = try await read { store -> Int64? in
            try queues.compactMap { name in try store.queue(name).flatMap(store.firstDue) }.min().map { $0 - store.now }
        }
        return ForwardResult(moved: moved, nextDueIn: wait.map { .microseconds(max(0, $0)) })
    }

    private func forwardDue(_ queues: [String], _ limit: Int) async throws -> Int {
        try await writes.perform(weight: limit) { store in
            try queues.reduce(0) { moved, name in
                try moved + (store.queue(name).map { try store.forward($0, limit: limit) } ?? 0)
            }
        }
    }

    public func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] {
        try await read { store in
            try queues.flatMap { try store.expiredLeases($0, limit: min(max(0, limit), Self.maxTasks)) }
        }
    }

    public func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int {
        let limit = min(max(0, limit), Self.maxTasks)
        guard try await read({ store in try store.queue(queue).map(store.hasExpired) ?? false }) else { return 0 }
        return try await writes.perform(weight: limit) { store in
            try store.queue(queue).map { try store.deleteExpired($0, limit: limit) } ?? 0
        }
    }

    public func writeResult(_ result: [UInt8], of task: LeasedTask) async throws {
        let isWritten = try await writes.perform(weight: 1) { try $0.writeResult(result, of: task) }
        if !isWritten { throw AsynqError.taskNotRunning(task) }
    }

    public func cancel(taskID: String) async throws {
        try await writes.perform(weight: 1) { try $0.cancel(taskID) }
    }

    public func writeServerState(_ state: ServerState, ttl: Duration) async throws {
        try await writes.perform(weight: 1) { try $0.writeServerState(state, ttl: ttl) }
    }

    public func clearServerState(_ server: ServerIdentity) async throws {
        try await writes.perform(weight: 1) { try $0.clearServerState(server) }
    }

    public func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? {
        try await writes.perform(weight: 1) { try $0.acquirePermit(request) }
    }

    public func releasePermit(_ lease: PermitLease) async throws -> Bool {
        try await writes.perform(weight: 1) { try $0.releasePermit(lease) }
    }

    public func makeWatch(
        queues: [String],
        onSignal: @escaping @Sendable (BrokerSignal) -> Void
    ) -> any BrokerWatch {
        SQLiteWatch(hub: watches, onSignal: onSignal)
    }

    // MARK: Inside

    /// The most tasks that one call gets at once.
    static let maxTasks = 1000

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (TaskStore) throws -> Value
    ) async throws(AsynqError) -> Value {
        guard !isShutDown.load(ordering: .relaxed) else { throw WriteQueue.closed }
        do {
            return try await file.read(body).get()
        } catch {
            throw AsynqError(sqlite: error, path: file.path, busyTimeout: configuration.busyTimeout)
        }
    }
}

extension Array {
    /// Pieces that fit into one transaction.
    func chunks() -> [[Element]] {
        count <= SQLiteBroker.maxTasks
            ? (isEmpty ? [] : [self])
            : stride(from: 0, to: count, by: SQLiteBroker.maxTasks).map { start in
                Array(self[start..<Swift.min(start + SQLiteBroker.maxTasks, count)])
            }
    }
}
