import ArgumentParser
import Asynq
import AsynqRedis
import AsynqSQLite
import Logging

@main
struct AsynqBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asynq-bench",
        abstract: "Measures swift-asynq. Each run prints one JSON line.",
        discussion: "Writes to queues of its own, named bench-…. Use a Redis or a file that nobody needs.",
        subcommands: [
            Enqueue.self, Process.self, Through.self, Latency.self, Due.self, Groups.self, Growth.self, Inspect.self,
            Schedule.self,
            Idle.self, RawSQLite.self,
        ]
    )
}

/// What every command needs.
struct Target: ParsableArguments {
    @Option(name: .customLong("broker"), help: "The broker: redis://HOST:PORT or sqlite:PATH.")
    var uri: String?

    @Option(help: "The same, where it is a Redis.")
    var redis = "redis://127.0.0.1:6379"

    @Flag(help: "With SQLite: what was acknowledged survives a loss of power.")
    var full = false

    @Option(help: "Bytes of payload of each task.")
    var payloadBytes = 100

    func makeBroker() throws -> any Broker {
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        let uri = uri ?? redis
        guard uri.hasPrefix("sqlite:") else { return try RedisBroker(uri, logger: logger) }
        var configuration = SQLiteConfiguration()
        configuration.durability = full ? .full : .normal
        return try SQLiteBroker(
            path: String(uri.dropFirst("sqlite:".count)),
            configuration: configuration,
            logger: logger
        )
    }

    /// For another process of this program that uses the same broker.
    var arguments: [String] {
        ["--broker", uri ?? redis, "--payload-bytes", "\(payloadBytes)"] + (full ? ["--full"] : [])
    }

    var payload: [UInt8] { Array(repeating: UInt8(ascii: "x"), count: payloadBytes) }

    /// Enqueues in batches from several callers at once.
    func fill(_ count: Int, queue: String, _ broker: any Broker) async throws {
        let client = AsynqClient(broker)
        let task = AsynqTask("bench:noop", payload: payload, .queue(queue))
        try await withThrowingTaskGroup(of: Void.self) { group in
            let callers = 4
            for caller in 0..<callers {
                group.addTask {
                    var left = count / callers + (caller < count % callers ? 1 : 0)
                    while left > 0 {
                        let size = min(left, 200)
                        for result in await client.enqueue(batch: Array(repeating: task, count: size)) {
                            _ = try result.get()
                        }
                        left -= size
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

func newQueue() -> String { "bench-\(UInt64.random(in: 0 ... .max))" }

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
