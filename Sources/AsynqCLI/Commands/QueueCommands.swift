import ArgumentParser
import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "List, look at, pause and delete queues.",
        subcommands: [List.self, Inspect.self, History.self, Pause.self, Resume.self, Remove.self],
        aliases: ["queues"]
    )
}

extension QueueCommand {
    struct List: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List all queues.",
            usage: "asynq queue ls [<options>]",
            aliases: ["list"]
        )

        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let queues = try await session.inspector.snapshots()
            session.output.print(.object(["queues": .array(queues.map(JSONValue.init))])) { page in
                var table = Table([
                    .text("QUEUE"), .left("STATE"), .right("SIZE"), .right("LATENCY"), .right("MEMORY"),
                    .right("PROCESSED"), .right("FAILED"), .right("ERRORS"),
                ])
                for queue in queues {
                    table.add(
                        .init(queue.queue),
                        queue.isPaused ? .init("paused", .yellow) : .init("running", .green),
                        .init(queue.size),
                        .init(Times.short(queue.latency)),
                        .init(Times.bytes(queue.memoryUsage)),
                        .init(queue.processedToday),
                        .init(queue.failedToday),
                        .init(Times.percent(queue.failedToday, of: queue.processedToday))
                    )
                }
                page.table(table, ifEmpty: "There are no queues yet: the first task makes its queue.")
            }
        }
    }

    struct Inspect: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "inspect",
            abstract: "Show all figures of queues.",
            usage: "asynq queue inspect <queues> ... [<options>]"
        )

        @Argument(help: "Names of queues.") var queues: [String]
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let snapshots = try await inOrder(queues) { try await session.inspector.snapshot(of: $0) }
            session.output.print(.object(["queues": .array(snapshots.map(JSONValue.init))])) { page in
                for (index, queue) in snapshots.enumerated() {
                    if index > 0 { page.line() }
                    page.fields(Self.fields(queue))
                }
            }
        }

        static func fields(_ queue: QueueSnapshot) -> [(name: String, value: String)] {
            let states = TaskState.inOrder.map { (name: $0.rawValue.capitalized, value: "\(queue[$0])") }
            return [
                ("Queue", queue.queue),
                ("State", queue.pausedAt.map { "paused since \(Times.full($0, now: queue.time))" } ?? "running"),
                ("Size", "\(queue.size)"),
            ] + states + [
                ("Groups", "\(queue.groups)"),
                ("Latency", Times.short(queue.latency)),
                ("Memory", queue.memoryUsage == nil ? "not known" : "about \(Times.bytes(queue.memoryUsage))"),
                ("Today", Self.counts(queue.processedToday, queue.failedToday)),
                ("Ever", Self.counts(queue.processed, queue.failed)),
            ]
        }

        private static func counts(_ processed: Int, _ failed: Int) -> String {
            "\(processed) processed, \(failed) failed (\(Times.percent(failed, of: processed)))"
        }
    }

    struct History: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "history",
            abstract: "Show what queues did on each of the last days.",
            usage: "asynq queue history <queues> ... [--days <days>] [<options>]"
        )

        @Argument(help: "Names of queues.") var queues: [String]
        @Option(name: [.customShort("x"), .long], help: ArgumentHelp("How many days, 1 to 90.", valueName: "number"))
        var days = 10
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let days = days
            let histories = try await inOrder(queues) { try await session.inspector.history(of: $0, days: days) }
            let all = zip(queues, histories).flatMap { queue, history in history.map { JSONValue($0, queue: queue) } }
            session.output.print(.object(["history": .array(all)])) { page in
                for (index, (queue, history)) in zip(queues, histories).enumerated() {
                    if index > 0 { page.line() }
                    page.heading("Queue \(Printable.line(queue))")
                    var table = Table([
                        .left("DATE (UTC)"), .right("PROCESSED"), .right("SUCCEEDED"), .right("FAILED"),
                        .right("ERRORS"),
                    ])
                    for day in history {
                        table.add(
                            .init(Times.day(day.day)),
                            .init(day.processed),
                            .init(day.succeeded),
                            .init(day.failed),
                            .init(Times.percent(day.failed, of: day.processed))
                        )
                    }
                    page.table(table, ifEmpty: "Nothing.")
                }
            }
        }
    }

    struct Pause: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause",
            abstract: "Let servers take no more tasks of queues.",
            usage: "asynq queue pause <queues> ... [<options>]"
        )

        @Argument(help: "Names of queues.") var queues: [String]
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            try await each(queues, session, "paused") { try await session.inspector.pause($0) }
        }
    }

    struct Resume: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume",
            abstract: "Let paused queues go on.",
            usage: "asynq queue resume <queues> ... [<options>]",
            aliases: ["unpause"]
        )

        @Argument(help: "Names of queues.") var queues: [String]
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            try await each(queues, session, "resumed") { try await session.inspector.resume($0) }
        }
    }

    struct Remove: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm",
            abstract: "Delete queues.",
            usage: "asynq queue rm <queues> ... [--force] [--yes] [<options>]",
            discussion: "A queue that holds tasks is deleted only with --force, and with its tasks.",
            aliases: ["remove"]
        )

        @Argument(help: "Names of queues.") var queues: [String]
        @Flag(name: [.customShort("f"), .long], help: "Delete the tasks as well.") var force = false
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            if force, !yes, Output.canAsk {
                let names = queues.map { "\"\(Printable.line($0))\"" }.joined(separator: ", ")
                guard Output.confirm("Delete \(names) with all tasks?") else { throw Failure("nothing was deleted") }
            }
            let force = force
            try await each(queues, session, "deleted") { try await session.inspector.deleteQueue($0, force: force) }
        }
    }
}

/// Asks for many things at once, which go out together. Results are in order.
func inOrder<Key: Sendable, Value: Sendable>(
    _ keys: [Key],
    _ body: @escaping @Sendable (Key) async throws -> Value
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        for (index, key) in keys.enumerated() { group.addTask { (index, try await body(key)) } }
        var values: [(Int, Value)] = []
        for try await value in group { values.append(value) }
        return values.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

/// Does something with each of some things, and says so. One that fails does not hold up the others.
///
/// - Throws: ``Failure`` with a line for each that failed.
func each(
    _ names: [String],
    _ session: Session,
    _ done: String,
    _ body: (String) async throws -> Void
) async throws {
    var failures: [Failure] = []
    for name in names {
        do {
            try await body(name)
            Output.write("\(done) \(Printable.line(name))\n")
        } catch let error as AsynqError where error.code != .brokerUnavailable {
            failures.append(Failure(error, session.broker))
        }
    }
    guard let first = failures.first else { return }
    throw Failure(failures.map(\.message).joined(separator: "\n"), status: first.status)
}
