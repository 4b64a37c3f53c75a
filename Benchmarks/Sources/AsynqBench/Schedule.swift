import ArgumentParser
import Asynq
import Foundation
import Logging
import Synchronization

/// What a scheduler costs, and how late its runs are enqueued.
struct Schedule: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(help: "Entries, each of which runs once a minute.")
    var entries = 10_000

    @Option(help: "For how long to measure.")
    var seconds = 120

    @Flag(help: "All entries run at the same second. Default: spread over the minute.")
    var together = false

    func run() async throws {
        let broker = try target.makeBroker()
        let queue = newQueue()
        let lateness = Mutex<[Double]>([])
        var configuration = AsynqScheduler.Configuration()
        configuration.logger.logLevel = .error
        configuration.postEnqueue = { run, result in
            if (try? result.get()) == nil { return }
            let late = Date().timeIntervalSince(run.time) * 1000
            lateness.withLock { $0.append(late) }
        }
        let scheduler = AsynqScheduler(broker, configuration: configuration)
        for entry in 0..<entries {
            let second = together ? 30 : entry % 60
            let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue))
            try scheduler.register("\(second) * * * * *", task, id: "\(queue)-\(entry)")
        }
        let (entries, seconds, together) = (entries, seconds, together)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await scheduler.run() }
            // Until all have been registered and shown.
            try await Task.sleep(for: .seconds(15))
            lateness.withLock { $0 = [] }
            let before = Report.cpuSeconds
            let start = ContinuousClock.now
            try await Task.sleep(for: .seconds(seconds))
            let took = start.duration(to: .now).seconds
            let used = Report.cpuSeconds - before
            let all = lateness.withLock { $0.sorted() }
            scheduler.shutdown()
            try await group.waitForAll()
            var report = Report("schedule")
            report.add("entries", entries)
            report.add("together", together ? 1 : 0)
            report.add("runs", all.count)
            report.add("seconds", took)
            report.add("percent_of_a_core", used / took * 100)
            for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] where !all.isEmpty {
                report.add("late_ms_\(name)", all[min(all.count - 1, Int(Double(all.count) * share))])
            }
            report.print()
        }
        await broker.shutdown()
    }
}
