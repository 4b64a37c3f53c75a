import ArgumentParser
import Asynq
import Foundation
import Synchronization

/// Producers and a server at once: tasks a second that go through, and how long each waits at a share of that load.
struct Through: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(help: "Seconds to measure.")
    var seconds = 5.0

    @Option(help: "Handlers at once.")
    var concurrency = 100

    @Option(name: .shortAndLong, help: "Producers at once.")
    var c = 50

    @Option(help: "Tasks a second to enqueue in all. Default: as fast as they are processed.")
    var rate: Int?

    /// What producers and handlers have done.
    private final class Progress: Sendable {
        let sent = Atomic<Int>(0)
        let isOver = Atomic(false)
        let handled = Mutex<(count: Int, waits: [Double])>((0, []))

        var waiting: Int { sent.load(ordering: .relaxed) - handled.withLock { $0.count } }
    }

    func run() async throws {
        let (broker, producer) = (try target.makeBroker(), try target.makeBroker())
        try await broker.connect()
        try await producer.connect()
        let queue = newQueue()
        let clock = ContinuousClock()
        let start = clock.now
        let progress = Progress()
        let handler = ClosureHandler { task, _ in
            // The payload begins with the moment at which it was enqueued.
            let sent = (task.payload ?? []).prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
            let wait = (clock.now - start).seconds * 1000 - Double(sent) / 1000
            progress.handled.withLock { handled in
                handled.count += 1
                handled.waits.append(wait)
            }
        }
        var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [queue: 1])
        configuration.logger.logLevel = .error
        let server = AsynqServer(broker, handler: handler, configuration: configuration)
        let (client, padding, seconds, c, rate) = (AsynqClient(producer), target.payload, seconds, c, rate)
        // With no rate given, producers wait while so many tasks have not been processed.
        let ahead = 10_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await withThrowingTaskGroup(of: Void.self) { producers in
                for caller in 0..<c {
                    producers.addTask {
                        var number = 0
                        while !progress.isOver.load(ordering: .relaxed) {
                            if let rate {
                                number += 1
                                let due = Double(number * c + caller) / Double(rate)
                                try await Task.sleep(until: start + .seconds(due), tolerance: .zero, clock: clock)
                            } else if progress.waiting > ahead {
                                try await Task.sleep(for: .milliseconds(1))
                                continue
                            }
                            let now = Int64((clock.now - start).seconds * 1_000_000)
                            let moment = (0..<8).map { UInt8(truncatingIfNeeded: now >> (56 - 8 * $0)) }
                            let payload = moment + padding.dropFirst(8)
                            try await client.enqueue(AsynqTask("bench:noop", payload: payload, .queue(queue)))
                            progress.sent.add(1, ordering: .relaxed)
                        }
                    }
                }
                try await Task.sleep(for: .seconds(1))
                progress.handled.withLock { $0.waits = [] }
                let (first, begin) = (progress.handled.withLock { $0.count }, clock.now)
                try await Task.sleep(for: .seconds(seconds))
                let (last, duration) = (progress.handled.withLock { $0 }, clock.now - begin)
                progress.isOver.store(true, ordering: .relaxed)
                try await producers.waitForAll()
                let waits = last.waits.sorted()
                var report = Report("through")
                report.add("rate", rate ?? 0)
                report.add(tasks: last.count - first, in: duration)
                for (name, share) in [("p50_ms", 0.5), ("p99_ms", 0.99)] where !waits.isEmpty {
                    report.add(name, waits[min(waits.count - 1, Int(Double(waits.count) * share))])
                }
                report.print()
            }
            server.shutdown()
            try await group.waitForAll()
        }
        await producer.shutdown()
        await broker.shutdown()
    }
}
