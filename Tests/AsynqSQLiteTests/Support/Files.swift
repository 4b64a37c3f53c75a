import Asynq
import AsynqSQLite
import Foundation
import GRDB

extension TemporaryFolder {
    /// Runs `body` with a broker on a file of this folder, which is shut down afterwards. It waits for a lock for as long as a
    /// busy machine may need.
    func withBroker(
        _ change: (inout SQLiteConfiguration) -> Void = { _ in },
        isolation: isolated (any Actor)? = #isolation,
        _ body: (SQLiteBroker) async throws -> Void
    ) async throws {
        var configuration = SQLiteConfiguration()
        configuration.busyTimeout = .seconds(60)
        change(&configuration)
        let broker = try SQLiteBroker(path: file(), configuration: configuration, logger: .silent)
        do {
            try await body(broker)
        } catch {
            await broker.shutdown()
            throw error
        }
        await broker.shutdown()
    }

    /// Another connection to the file, as a program that knows nothing of asynq has it.
    func connection(_ name: String = "tasks.db") throws -> DatabaseQueue {
        var settings = GRDB.Configuration()
        // For those who hold a lock over several calls.
        settings.allowsUnsafeTransactions = true
        settings.busyMode = .timeout(60)
        return try DatabaseQueue(path: file(name), configuration: settings)
    }

    /// The ids of all tasks in a state, in order.
    func ids(_ condition: String = "1", _ name: String = "tasks.db") throws -> [String] {
        let outside = try connection(name)
        defer { try? outside.close() }
        return try outside.read {
            try String.fetchAll($0, sql: "SELECT id FROM asynq_task WHERE \(condition) ORDER BY position, seq")
        }
    }
}

extension Broker {
    /// Enqueues these, and gives what became of each.
    @discardableResult
    func put(
        _ ids: [String],
        queue: String = "default",
        payload: [UInt8]? = nil
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        await enqueue(
            ids.map { EnqueueRequest(message: TaskMessage(type: "t", payload: payload, id: $0, queue: queue)) }
        )
    }

    func take(_ limit: Int, queue: String = "default") async throws -> [LeasedTask] {
        try await dequeue([DequeueRequest(queue: queue, limit: limit)])
    }
}

extension Result {
    var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}

extension FinishResult {
    var isFinished: Bool {
        if case .finished = self { true } else { false }
    }
}
