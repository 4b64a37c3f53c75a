import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging
import TestSupport
import Testing

/// The brokers that the program is run against.
enum Store: String, CaseIterable, CustomTestStringConvertible {
    case redis, sqlite

    var testDescription: String { rawValue }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func broker(_ uri: String) throws -> RedisBroker {
        try RedisBroker(configuration: .patient(uri), logger: logger)
    }

    /// One that is real and empty, and how the program is told of it.
    func with(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Place) async throws -> Void
    ) async throws {
        switch self {
        case .redis:
            try await RedisServer.withServer { server in
                let broker = try Self.broker(server.uri)
                try await body(Place(uri: server.uri, broker: broker))
                await broker.shutdown()
            }
        case .sqlite:
            try await withFolder { folder in
                let path = folder.appendingPathComponent("tasks.db").path
                let broker = try SQLiteBroker(path: path, logger: Self.logger)
                try await body(Place(uri: "sqlite:\(path)", broker: broker))
                await broker.shutdown()
            }
        }
    }
}

struct Place {
    let uri: String
    let broker: any Broker
    var client: AsynqClient { AsynqClient(broker) }
    var inspector: AsynqInspector { AsynqInspector(broker) }

    func run(_ arguments: String..., input: String? = nil) async throws -> Program.Outcome {
        try await Program.run(arguments, environment: ["ASYNQ_URI": uri], input: input)
    }

    /// Takes the next task of a queue and lets it end.
    func end(_ queue: String, _ outcome: FinishRequest.Outcome) async throws {
        let task = try await broker.dequeue([DequeueRequest(queue: queue, limit: 1)])[0]
        _ = await broker.finish([FinishRequest(task: task, outcome: outcome)])
    }
}
