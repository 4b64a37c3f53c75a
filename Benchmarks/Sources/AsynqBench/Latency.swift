import ArgumentParser
import Asynq
import Foundation
import Synchronization

/// How soon an idle server starts a task: from the return of enqueue to the start of the handler.
struct Latency: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(name: .shortAndLong, help: "Tasks, one after the other.")
    var n = 500

    @Option(help: "Milliseconds between a task and the next.")
    var gap = 20

    @Option(help: "Queues that the server serves; the tasks go on one of them.")
    var queues = 1

    @Option(help: "Servers that serve the same queues, each with a connection of its own.")
    var servers = 1

    @Flag(help: "Enqueue through the server's own broker, not through another as another process would.")
    var shared = false

    func run() async throws {
        let broker = try target.makeBroker()
        let queue = newQueue()
        let (started, report) = AsyncStream<ContinuousClock.Instant>.makeStream()
        let priorities = Dictionary(
            uniqueKeysWithValues: (1..<max(1, queues)).map { ("\(queue)-\($0)", 1) } + [(queue, 1)]
        )
        var configuration = AsynqServer.Configuration(concurrency: 10, queues: priorities)
        configuration.logger.logLevel = .error
        let handler = ClosureHandler { _, _ in report.yield(.now) }
        var brokers = [broker]
        for _ in 1..<max(1, servers) { brokers.append(try target.makeBroker()) }
        let all = brokers.map { AsynqServer($0, handler: handler, configuration: configuration) }
        let producer = shared ? broker : try target.makeBroker()
        let client = AsynqClient(producer)
        var waits: [Double] = []
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in all { group.addTask { try await server.run() } }
            var starts = started.makeAsyncIterator()
            // The first ones warm up.
            for turn in -10..<n {
                try await Task.sleep(for: .milliseconds(gap))
                try await client.enqueue(AsynqTask("bench:noop", payload: target.payload, .queue(queue)))
                let enqueued = ContinuousClock.now
                guard let start = await starts.next() else { break }
                if turn >= 0 { waits.append(max(0, (start - enqueued).seconds * 1000)) }
            }
            for server in all { server.shutdown() }
            try await group.waitForAll()
        }
        waits.sort()
        func percentile(_ share: Double) -> Double { waits[min(waits.count - 1, Int(Double(waits.count) * share))] }
        var line = Report("latency")
        line.add("tasks", waits.count)
        line.add("gap_ms", gap)
        line.add("queues", queues)
        line.add("servers", servers)
        line.add("p50_ms", percentile(0.5))
        line.add("p90_ms", percentile(0.9))
        line.add("p99_ms", percentile(0.99))
        line.add("max_ms", waits.last ?? 0)
        line.print()
        if !shared { await producer.shutdown() }
        for broker in brokers { await broker.shutdown() }
    }
}
