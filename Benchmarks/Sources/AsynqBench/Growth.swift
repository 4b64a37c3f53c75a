import ArgumentParser
import Asynq

/// Whether the rate of processing holds as more tasks wait, and as more are active.
struct Growth: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(help: "Handlers at once.")
    var concurrency = 100

    @Option(help: "Tasks processed for each figure.")
    var n = 100_000

    @Option(parsing: .upToNextOption, help: "How many tasks wait.")
    var backlogs = [10_000, 100_000, 1_000_000]

    @Option(help: "How many tasks are active elsewhere. Default: none, and 10000 in a last figure.")
    var active: Int?

    func run() async throws {
        let broker = try target.makeBroker()
        try await broker.connect()
        for backlog in backlogs { try await measure(backlog: backlog, active: 0, broker) }
        for backlog in backlogs { try await measure(backlog: backlog, active: active ?? 0, broker) }
        if active == nil { try await measure(backlog: 10_000, active: 10_000, broker) }
        await broker.shutdown()
    }

    /// Processes `n` tasks while about `backlog` wait: in rounds, if fewer wait.
    private func measure(backlog: Int, active: Int, _ broker: any Broker) async throws {
        var total = Duration.zero
        var done = 0
        let queue = newQueue()
        if active > 0 {
            try await target.fill(active, queue: queue, broker)
            var taken = 0
            while taken < active {
                taken += try await broker.dequeue([DequeueRequest(queue: queue, limit: active - taken)]).count
            }
        }
        while done < n {
            try Process.fill(backlog, queue, target)
            let round = min(backlog, n - done)
            total += try await work(round, queues: [queue], concurrency: concurrency, [broker])
            done += round
            if round < backlog { break }
        }
        var report = Report("growth")
        report.add("backlog", backlog)
        report.add("active", active)
        report.add(tasks: done, in: total)
        report.print()
    }
}
