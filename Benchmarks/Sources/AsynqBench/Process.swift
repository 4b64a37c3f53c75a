import ArgumentParser
import Asynq
import Foundation
import Logging
import Synchronization

/// How fast tasks that do nothing are processed, from the start of the server to the last handler. The queue is filled
/// first, by a process of its own, so that the memory is that of the server.
struct Process: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(name: .shortAndLong, help: "Tasks in all.")
    var n = 100_000

    @Option(help: "Handlers at once.")
    var concurrency = 10

    @Option(help: "Queues that the tasks are on, the same number on each.")
    var queues = 1

    @Option(help: "Process what `enqueue --queue` has left on this queue, instead of filling queues: for profilers.")
    var queue: String?

    @Option(help: "Servers in this process, each with a connection of its own and a share of the handlers.")
    var servers = 1

    func run() async throws {
        let names = queue.map { [$0] } ?? (0..<max(1, queues)).map { _ in newQueue() }
        for (index, name) in names.enumerated() where queue == nil {
            try Self.fill(n * (index + 1) / names.count - n * index / names.count, name, target)
        }
        let brokers = try (0..<max(1, servers)).map { _ in try target.makeBroker() }
        for broker in brokers { try await broker.connect() }
        let cpu = Report.cpuSeconds
        let share = max(1, concurrency / brokers.count)
        let duration = try await work(n, queues: names, concurrency: share, brokers)
        var report = Report("process")
        report.add("concurrency", concurrency)
        report.add("queues", names.count)
        report.add("servers", brokers.count)
        report.add("payload_bytes", target.payloadBytes)
        report.add(tasks: n, in: duration)
        report.add("cpu_seconds_per_100k", (Report.cpuSeconds - cpu) / Double(n) * 100_000)
        report.add("mib_per_second", Double(n * target.payloadBytes) / 1_048_576 / duration.seconds, digits: 1)
        report.print()
        for broker in brokers { await broker.shutdown() }
    }

    static func fill(_ count: Int, _ queue: String, _ target: Target) throws {
        let filler = Foundation.Process()
        filler.executableURL = Bundle.main.executableURL
        filler.arguments =
            ["enqueue"] + target.arguments
            + ["-n", "\(count)", "-c", "4", "--batch", "200", "--queue", queue]
        filler.standardOutput = FileHandle.nullDevice
        try filler.run()
        filler.waitUntilExit()
        guard filler.terminationStatus == 0 else { throw ExitCode(filler.terminationStatus) }
        // The disk's work on what was filled in is none of what is measured.
        sync()
    }
}

/// Runs a server on each broker until so many handlers have ended in all. Returns how long that took.
func work(_ count: Int, queues: [String], concurrency: Int, _ brokers: [any Broker]) async throws -> Duration {
    let (finished, report) = AsyncStream<Void>.makeStream()
    let counter = Counter(count) { report.finish() }
    let priorities = Dictionary(uniqueKeysWithValues: queues.map { ($0, 1) })
    var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: priorities)
    configuration.logger.logLevel = .error
    let handler = ClosureHandler { _, _ in counter.increment() }
    let servers = brokers.map { AsynqServer($0, handler: handler, configuration: configuration) }
    let clock = ContinuousClock()
    let start = clock.now
    return try await withThrowingTaskGroup(of: Void.self) { group in
        for server in servers { group.addTask { try await server.run() } }
        for await _ in finished {}
        let duration = clock.now - start
        for server in servers { server.shutdown() }
        try await group.waitForAll()
        return duration
    }
}

/// Counts to a number, and calls back there.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    private let limit: Int
    private let reached: @Sendable () -> Void

    init(_ limit: Int, reached: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.reached = reached
    }

    func increment() {
        if value.wrappingAdd(1, ordering: .relaxed).newValue == limit { reached() }
    }
}
