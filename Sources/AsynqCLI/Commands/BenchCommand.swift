import ArgumentParser
import Asynq
import Logging
import Synchronization

struct BenchCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure how fast this broker enqueues and processes tasks.",
        usage: "asynq bench [--tasks <number>] [<options>]",
        discussion: """
            Enqueues tasks on a queue of its own, processes them in this process, and deletes the \
            queue. Asks first if there is such a queue.
            """
    )

    @Option(help: ArgumentHelp("How many tasks.", valueName: "number")) var tasks = 20_000
    @Option(help: ArgumentHelp("Bytes of each payload.", valueName: "number")) var payload = 128
    @Option(help: ArgumentHelp("How many enqueue, and handle, at once.", valueName: "number")) var concurrency = 50
    @Option(name: [.customShort("q"), .long], help: ArgumentHelp("The queue.", valueName: "name"))
    var queue = "asynq-bench"
    @Flag(name: [.customShort("y"), .long], help: "Use a queue that exists, and delete it.") var yes = false
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    var printsJSON: Bool { output.json }
    var createsFile: Bool { true }

    func validate() throws {
        guard (1...10_000_000).contains(tasks) else { throw ValidationError("--tasks must be 1 to 10000000") }
        guard (0...1_000_000).contains(payload) else { throw ValidationError("--payload must be 0 to 1000000") }
        guard (1...10_000).contains(concurrency) else { throw ValidationError("--concurrency must be 1 to 10000") }
    }

    func run(_ session: Session) async throws {
        let name = Printable.line(queue)
        if try await session.inspector.queues().contains(queue), !yes {
            guard Output.canAsk else {
                throw Failure(
                    "there is a queue \"\(name)\", which would be deleted: name another with --queue, or use --yes"
                )
            }
            guard Output.confirm("There is a queue \"\(name)\". Use it, and delete it with all its tasks?") else {
                throw Failure("nothing was done")
            }
        }
        if try await session.inspector.servers().contains(where: { $0.queues.keys.contains(queue) }) {
            throw Failure("a running server takes tasks of the queue \"\(name)\": name another with --queue")
        }
        let times = Mutex<(enqueue: Duration, process: Duration)?>(nil)
        do {
            try await Interruption.end {
                let measured = try await measure(session)
                times.withLock { $0 = measured }
            }
        } catch {
            // What failed first is what there is to say.
            _ = try? await session.inspector.deleteQueue(queue, force: true)
            throw error
        }
        try await session.inspector.deleteQueue(queue, force: true)
        guard let measured = times.withLock({ $0 }) else {
            throw Failure("interrupted; the queue \"\(name)\" is deleted", status: 130)
        }
        show(measured.enqueue, measured.process, session)
    }

    private func measure(_ session: Session) async throws -> (Duration, Duration) {
        let clock = ContinuousClock()
        let enqueued = try await clock.measure { try await enqueue(session) }
        // One that was there may be paused.
        try await session.inspector.resume(queue)
        return (enqueued, try await clock.measure { try await process(session) })
    }

    private func show(_ enqueued: Duration, _ processed: Duration, _ session: Session) {
        let rates = [enqueued, processed].map { Int(Double(tasks) / ($0 / .seconds(1))) }
        let json = JSONValue.object([
            "tasks": .int(tasks),
            "payload_bytes": .int(payload),
            "concurrency": .int(concurrency),
            "enqueued_per_second": .int(rates[0]),
            "processed_per_second": .int(rates[1]),
        ])
        session.output.print(json) { page in
            var table = Table([.left(""), .right("TASKS"), .right("SECONDS"), .right("PER SECOND")])
            for (title, time, rate) in [("enqueue", enqueued, rates[0]), ("process", processed, rates[1])] {
                table.add(.init(title), .init(tasks), .init(Times.decimal(time / .seconds(1), digits: 2)), .init(rate))
            }
            page.table(table, ifEmpty: "")
        }
    }

    /// So many callers enqueue one task after another.
    private func enqueue(_ session: Session) async throws {
        let client = AsynqClient(session.broker)
        let task = AsynqTask("asynq:bench", payload: Array(repeating: UInt8(ascii: "x"), count: payload), .queue(queue))
        let (tasks, callers) = (tasks, min(concurrency, tasks))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<callers {
                group.addTask {
                    for _ in 0..<(tasks / callers + (caller < tasks % callers ? 1 : 0)) {
                        try Task.checkCancellation()
                        try await client.enqueue(task)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// A server handles them all, with nothing to do for each.
    private func process(_ session: Session) async throws {
        var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [queue: 1])
        configuration.handlesSignals = false
        configuration.logger = Logger(label: "asynq") { _ in SwiftLogNoOpLogHandler() }
        let countdown = Countdown(tasks)
        let handler = ClosureHandler { _, _ in countdown.count() }
        let server = AsynqServer(session.broker, handler: handler, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                await countdown.end()
                server.shutdown()
            }
            try await group.waitForAll()
        }
    }
}

/// Waits until something has happened so many times.
private final class Countdown: Sendable {
    private let left: Atomic<Int>
    private let stream: AsyncStream<Void>
    private let input: AsyncStream<Void>.Continuation

    init(_ count: Int) {
        left = Atomic(count)
        (stream, input) = AsyncStream.makeStream()
    }

    func count() {
        if left.subtract(1, ordering: .relaxed).newValue == 0 { input.finish() }
    }

    func end() async {
        for await _ in stream {}
    }
}
