import Asynq
import AsynqDashboard
import AsynqRedis
import AsynqSQLite
import AsynqTesting
import Foundation
import TestSupport
import Testing

/// The brokers that the dashboard is run on.
enum Store: String, CaseIterable, CustomTestStringConvertible {
    case redis, sqlite, memory

    var testDescription: String { rawValue }

    static func broker(_ uri: String) throws -> RedisBroker {
        try RedisBroker(configuration: .patient(uri), logger: .silent)
    }

    /// One that is real and empty.
    func with(isolation: isolated (any Actor)? = #isolation, _ body: (any Broker) async throws -> Void) async throws {
        switch self {
        case .redis:
            try await RedisServer.withServer { server in
                let broker = try Self.broker(server.uri)
                try await body(broker)
                await broker.shutdown()
            }
        case .sqlite:
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-ui-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let broker = try SQLiteBroker(path: folder.appendingPathComponent("tasks.db").path, logger: .silent)
            try await body(broker)
            await broker.shutdown()
        case .memory: try await body(MemoryBroker())
        }
    }

    /// As ``with(isolation:_:)``, with a dashboard.
    func withSite(
        _ change: (inout DashboardConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (Site, any Broker) async throws -> Void
    ) async throws {
        try await with { broker in
            try await withDashboard(broker, change) { try await body($0, broker) }
        }
    }
}

extension Broker {
    func enqueue(_ id: String, type: String = "t", payload: String? = nil, _ options: TaskOption...) async throws {
        let task = AsynqTask(type, payload: payload.map { Array($0.utf8) }, options: options + [.taskID(id)])
        try await AsynqClient(self).enqueue(task)
    }

    /// Takes the next tasks, and ends each of them so.
    func end(_ outcome: FinishRequest.Outcome, count: Int = 1) async throws {
        let tasks = try await take(count: count)
        for case .notFound in await finish(tasks.map { FinishRequest(task: $0, outcome: outcome) }) {
            Issue.record("a task was not running")
        }
    }

    @discardableResult
    func take(count: Int = 1) async throws -> [LeasedTask] {
        var tasks: [LeasedTask] = []
        while tasks.count < count {
            let more = try await dequeue([DequeueRequest(queue: "default", limit: count - tasks.count)])
            try #require(!more.isEmpty, "fewer tasks than asked for")
            tasks += more
        }
        return tasks
    }

    /// One task in each state, whose id is the state's name.
    func putOneInEachState() async throws {
        let keep = TaskOption.retention(.hours(1))
        try await enqueue("archived", payload: "p", .maxRetry(3))
        try await end(.archive(error: "it broke"))
        try await enqueue("retry", payload: "p")
        try await end(.retry(delay: .hours(1), error: "it failed", countsAsFailure: true))
        try await enqueue("completed", payload: "p", keep)
        let task = try await take()[0]
        try await writeResult(Array("fine".utf8), of: task)
        _ = await finish([FinishRequest(task: task, outcome: .done)])
        try await enqueue("active", payload: "p")
        try await take()
        try await enqueue("pending", payload: "p", .timeout(.seconds(90)), .header("h", "v"))
        try await enqueue("scheduled", payload: "p", .processIn(.hours(1)))
        try await enqueue("aggregating", payload: "p", .group("g"))
    }

    func state(_ id: String, queue: String = "default") async throws -> TaskState? {
        try await tasks([TaskReference(queue: queue, id: id)])[0]?.state
    }
}
