import Asynq
import AsynqRedis
import Logging
import TestSupport
import Testing

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Settings for tests: no signals, and quick where the defaults are for production.
func configuration(
    concurrency: Int = 10,
    queues: [String: Int] = ["default": 1],
    _ change: (inout AsynqServer.Configuration) -> Void = { _ in }
) -> AsynqServer.Configuration {
    var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: queues)
    configuration.handlesSignals = false
    configuration.logger = .silent
    configuration.retryDelay = { _, _, _ in .seconds(3600) }
    change(&configuration)
    return configuration
}

func withBroker(
    _ server: RedisServer,
    _ body: (RedisBroker) async throws -> Void
) async throws {
    let broker = try RedisBroker(configuration: .patient(server.uri), logger: .silent)
    try await body(broker)
    await broker.shutdown()
}

/// A server that runs for as long as `body` does.
func withServer(
    _ broker: any Broker,
    _ configuration: AsynqServer.Configuration = configuration(),
    clock: any Clock<Duration> = ContinuousClock(),
    handler: any TaskHandler,
    _ body: (AsynqServer) async throws -> Void
) async throws {
    let server = AsynqServer(broker, handler: handler, configuration: configuration, clock: clock)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            do {
                try await server.run()
            } catch {
                // At once: the body may wait for what will never happen.
                Issue.record(error)
                throw error
            }
        }
        try await body(server)
        server.shutdown()
        try await group.waitForAll()
    }
}

/// A server, a broker and a Redis of the test's own.
func withServer(
    _ configuration: AsynqServer.Configuration = configuration(),
    handler: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void,
    _ body: (AsynqClient, RedisServer) async throws -> Void
) async throws {
    try await RedisServer.withServer { redis in
        try await withBroker(redis) { broker in
            try await withServer(broker, configuration, handler: ClosureHandler(handler)) { _ in
                try await body(AsynqClient(broker), redis)
            }
        }
    }
}

extension RedisServer {
    /// How many tasks are in each state of a queue.
    func count(_ state: String, queue: String = "default") throws -> Int {
        let isList = state == "pending" || state == "active"
        return Int(try cli(isList ? "LLEN" : "ZCARD", "asynq:{\(queue)}:\(state)")) ?? -1
    }

    /// Whether no task waits or runs any more.
    func isEmpty(queue: String = "default") throws -> Bool {
        try ["pending", "active", "scheduled", "retry"].allSatisfy { try count($0, queue: queue) == 0 }
    }

    /// What a task's message says, as far as it is text.
    func message(_ id: String, queue: String = "default") throws -> String {
        try cli("HGET", "asynq:{\(queue)}:t:\(id)", "msg")
    }
}
