import ArgumentParser
import Asynq
import Foundation

/// What waits for its time: many tasks that are due together, and single ones.
struct Due: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(name: .shortAndLong, help: "Tasks that are due in the same second.")
    var n = 100_000

    @Option(help: "Handlers at once.")
    var concurrency = 100

    @Option(help: "Tasks with times of their own, one after the other.")
    var single = 200

    func run() async throws {
        let broker = try target.makeBroker()
        try await broker.connect()
        try await together(broker)
        try await alone(broker)
        await broker.shutdown()
    }

    /// Tasks a second, from the moment at which all are due to the start of the last.
    private func together(_ broker: any Broker) async throws {
        let queue = newQueue()
        // Long enough to store all of them.
        let due = Date(timeIntervalSince1970: (Date().timeIntervalSince1970 + 4 + Double(n) / 40_000).rounded(.up))
        let client = AsynqClient(broker)
        let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue), .processAt(due))
        for start in stride(from: 0, to: n, by: 1000) {
            let batch = Array(repeating: task, count: min(1000, n - start))
            for result in await client.enqueue(batch: batch) { _ = try result.get() }
        }
        try await withServer(broker, queue, concurrency) { starts in
            var (first, last) = (Double.infinity, -Double.infinity)
            for _ in 0..<n {
                guard let start = await starts.next() else { break }
                let late = start.date.timeIntervalSince(due)
                (first, last) = (min(first, late), max(last, late))
            }
            var report = Report("due together")
            report.add("first_ms", first * 1000)
            report.add("last_ms", last * 1000)
            report.add(tasks: n, in: .milliseconds(Int64(last * 1000)))
            report.print()
        }
    }

    /// How late a single task starts.
    private func alone(_ broker: any Broker) async throws {
        let queue = newQueue()
        let client = AsynqClient(broker)
        try await withServer(broker, queue, concurrency) { starts in
            var waits: [Double] = []
            for _ in 0..<single {
                let due = Date().addingTimeInterval(.random(in: 0.02...0.1))
                let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue), .processAt(due))
                // A task starts at the next whole millisecond at the earliest.
                let time = try await client.enqueue(task).nextProcessAt ?? due
                guard let start = await starts.next() else { break }
                waits.append(start.date.timeIntervalSince(time) * 1000)
            }
            waits.sort()
            var report = Report("due alone")
            report.add("tasks", waits.count)
            report.add("earliest_ms", waits.first ?? .nan)
            report.add("p50_ms", waits[waits.count / 2])
            report.add("p99_ms", waits[waits.count * 99 / 100])
            report.add("max_ms", waits.last ?? .nan)
            report.print()
        }
    }
}

/// How soon a group that has reached its largest size is one task that has started.
struct Groups: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(name: .shortAndLong, help: "Groups, one after the other.")
    var n = 200

    @Option(help: "Tasks in each group.")
    var size = 20

    func run() async throws {
        let broker = try target.makeBroker()
        try await broker.connect()
        let queue = newQueue()
        let producer = try target.makeBroker()
        let client = AsynqClient(producer)
        let configure: (inout AsynqServer.Configuration) -> Void = { [size] configuration in
            configuration.groupMaxSize = size
            configuration.groupGracePeriod = .hours(1)
            configuration.groupAggregator = ClosureAggregator { _, _ in AsynqTask("bench:sum") }
        }
        try await withServer(broker, queue, 10, configure: configure) { starts in
            var waits: [Double] = []
            for group in -5..<n {
                let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue), .group("group-\(group)"))
                for result in await client.enqueue(batch: Array(repeating: task, count: size - 1)) {
                    _ = try result.get()
                }
                try await client.enqueue(task)
                let enqueued = ContinuousClock.now
                guard let start = await starts.next() else { break }
                if group >= 0 { waits.append((start.instant - enqueued).seconds * 1000) }
            }
            waits.sort()
            var report = Report("full groups")
            report.add("groups", waits.count)
            report.add("p50_ms", waits[waits.count / 2])
            report.add("p99_ms", waits[waits.count * 99 / 100])
            report.add("max_ms", waits.last ?? .nan)
            report.print()
        }
        await producer.shutdown()
        await broker.shutdown()
    }
}

/// The moment at which a handler started.
struct Start: Sendable {
    let date = Date()
    let instant = ContinuousClock.now
    let type: String
}

/// Runs a server on a queue meanwhile, whose handlers only tell when they start.
func withServer(
    _ broker: any Broker,
    _ queue: String,
    _ concurrency: Int,
    configure: (inout AsynqServer.Configuration) -> Void = { _ in },
    _ body: (inout AsyncStream<Start>.AsyncIterator) async throws -> Void
) async throws {
    let (started, report) = AsyncStream<Start>.makeStream()
    var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [queue: 1])
    configuration.logger.logLevel = .error
    configure(&configuration)
    let handler = ClosureHandler { task, _ in report.yield(Start(type: task.type)) }
    let server = AsynqServer(broker, handler: handler, configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run() }
        var starts = started.makeAsyncIterator()
        try await body(&starts)
        server.shutdown()
        try await group.waitForAll()
    }
}
