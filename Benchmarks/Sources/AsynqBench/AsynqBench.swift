import ArgumentParser
import Asynq
import AsynqRedis
import Logging

@main
struct AsynqBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asynq-bench",
        abstract: "Measures swift-asynq. Each run prints one JSON line.",
        discussion: "Writes to queues of its own, named bench-…. Use a Redis that nobody needs.",
        subcommands: [Enqueue.self, Process.self, Latency.self, Growth.self]
    )
}

/// What every command needs.
struct Target: ParsableArguments {
    @Option(help: "The broker, as a Redis URI.")
    var redis = "redis://127.0.0.1:6379"

    @Option(help: "Bytes of payload of each task.")
    var payloadBytes = 100

    func broker() throws -> RedisBroker {
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        return try RedisBroker(redis, logger: logger)
    }

    var payload: [UInt8] { Array(repeating: UInt8(ascii: "x"), count: payloadBytes) }

    /// Enqueues in batches from several callers at once.
    func fill(_ count: Int, queue: String, _ broker: RedisBroker) async throws {
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
