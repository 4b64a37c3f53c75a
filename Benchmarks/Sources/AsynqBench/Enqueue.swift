import ArgumentParser
import Asynq

/// How fast tasks are enqueued.
struct Enqueue: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(name: .shortAndLong, help: "Tasks in all.")
    var n = 100_000

    @Option(name: .shortAndLong, help: "Callers at once.")
    var c = 50

    @Option(help: "Tasks in each call.")
    var batch = 1

    @Flag(help: "The callers run where the connection lives.")
    var onConnection = false

    @Option(help: "Leave the tasks on this queue.")
    var queue: String?

    func run() async throws {
        let broker = try target.makeBroker()
        try await broker.connect()
        let client = AsynqClient(broker)
        let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue ?? newQueue()))
        let (n, c, batch) = (n, c, batch)
        let executor = onConnection ? client.taskExecutor : nil
        let duration = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<c {
                    group.addTask(executorPreference: executor) {
                        var left = n / c + (caller < n % c ? 1 : 0)
                        if batch == 1 {
                            for _ in 0..<left { try await client.enqueue(task) }
                            return
                        }
                        while left > 0 {
                            let size = min(left, batch)
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
        var report = Report("enqueue")
        report.add("callers", c)
        report.add("batch", batch)
        report.add("payload_bytes", target.payloadBytes)
        report.add(tasks: n, in: duration)
        report.print()
        await broker.shutdown()
    }
}
