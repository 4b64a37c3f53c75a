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

    func run() async throws {
        let queue = newQueue()
        try Self.fill(n, queue, target)
        let broker = try target.makeBroker()
        try await broker.connect()
        let cpu = Report.cpuSeconds
        let duration = try await work(n, queue: queue, concurrency: concurrency, broker)
        var report = Report("process")
        report.add("concurrency", concurrency)
        report.add("payload_bytes", target.payloadBytes)
        report.add(tasks: n, in: duration)
        report.add("cpu_seconds_per_100k", (Report.cpuSeconds - cpu) / Double(n) * 100_000)
        report.print()
        await broker.shutdown()
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

/// Runs a server until so many handlers have ended. Returns how long that took.
func work(_ count: Int, queue: String, concurrency: Int, _ broker: any Broker) async throws -> Duration {
    let (finished, report) = AsyncStream<Void>.makeStream()
    let counter = Counter(count) { report.finish() }
    var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [queue: 1])
    configuration.logger.logLevel = .error
    let server = AsynqServer(
        broker,
        handler: ClosureHandler { _, _ in counter.increment() },
        configuration: configuration
    )
    let clock = ContinuousClock()
    let start = clock.now
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run() }
        for await _ in finished {}
        let duration = clock.now - start
        server.shutdown()
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
