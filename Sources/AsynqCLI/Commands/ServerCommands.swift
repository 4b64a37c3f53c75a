import ArgumentParser
import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "List running servers.",
        subcommands: [List.self],
        aliases: ["servers"]
    )

    struct List: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List the servers that are running, and what they run.",
            usage: "asynq server ls [--workers] [<options>]",
            aliases: ["list"]
        )

        @Flag(name: [.customShort("w"), .long], help: "List the tasks that they are running as well.") var workers =
            false
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let servers = try await session.inspector.servers()
            let now = Date()
            session.output.print(.object(["servers": .array(servers.map(JSONValue.init))])) { page in
                var table = Table([
                    .text("HOST"), .right("PID"), .left("STATE"), .right("WORKERS"), .text("QUEUES"), .right("UP"),
                ])
                for server in servers {
                    table.add(
                        .init(server.identity.host),
                        .init(Int(server.identity.pid)),
                        .init(server.status, server.status == "active" ? .green : .yellow),
                        .init("\(server.workers.count)/\(server.concurrency)"),
                        .init(server.queueText),
                        .init(Times.short(Times.between(server.startedAt, now)))
                    )
                }
                page.table(table, ifEmpty: "No server is running.")
                let running = servers.flatMap(\.workers)
                guard workers, !running.isEmpty else { return }
                page.line()
                var tasks = Table([.text("TASK"), .text("TYPE"), .text("QUEUE"), .right("FOR"), .text("PAYLOAD")])
                for worker in running {
                    tasks.add(
                        .init(worker.taskID),
                        .init(worker.taskType),
                        .init(worker.queue),
                        .init(Times.short(Times.between(worker.startedAt, now))),
                        .init(Printable.line(worker.taskPayload))
                    )
                }
                page.table(tasks, ifEmpty: "")
            }
        }
    }
}

extension ServerInfo {
    /// Such as `critical:6 default:3`, highest priority first.
    var queueText: String {
        queues.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key):\($0.value)" }.joined(separator: " ")
            + (strictPriority ? " (strict)" : "")
    }
}

struct GroupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "List groups of tasks that wait to be aggregated.",
        subcommands: [List.self],
        aliases: ["groups"]
    )

    struct List: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List the groups of a queue.",
            usage: "asynq group ls --queue <name> [<options>]",
            aliases: ["list"]
        )

        @Option(name: [.short, .long], help: ArgumentHelp("The queue.", valueName: "name")) var queue: String
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let groups = try await session.inspector.groups(of: queue)
            let json = JSONValue.object(["queue": .string(queue), "groups": .array(groups.map(JSONValue.init))])
            session.output.print(json) { page in
                var table = Table([.text("GROUP"), .right("SIZE")])
                for group in groups { table.add(.init(group.group), .init(group.size)) }
                page.table(table, ifEmpty: "The queue has no groups with tasks.")
            }
        }
    }
}

struct CronCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron",
        abstract: "List periodic tasks, and when they were enqueued.",
        subcommands: [List.self, History.self]
    )

    struct List: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List the entries of all schedulers.",
            usage: "asynq cron ls [<options>]",
            aliases: ["list"]
        )

        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let entries = try await session.inspector.schedulerEntries()
            let now = Date()
            session.output.print(.object(["entries": .array(entries.map(JSONValue.init))])) { page in
                var table = Table([
                    .text("ENTRY"), .text("SPEC"), .text("TYPE"), .left("NEXT"), .left("PREVIOUS"), .text("OPTIONS"),
                    .text("PAYLOAD"),
                ])
                for entry in entries {
                    table.add(
                        .init(entry.id),
                        .init(entry.spec),
                        .init(entry.taskType),
                        .init(entry.nextEnqueueAt.map { Times.relative($0, now: now) } ?? "never"),
                        .init(Times.relative(entry.previousEnqueueAt, now: now)),
                        .init(entry.options.joined(separator: ", ")),
                        .init(Printable.line(entry.payload))
                    )
                }
                page.table(table, ifEmpty: "No scheduler is running.")
            }
        }
    }

    struct History: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "history",
            abstract: "List when entries enqueued their tasks, newest first.",
            usage: "asynq cron history <entries> ... [<options>]"
        )

        @Argument(help: "Ids of entries.") var entries: [String]
        @OptionGroup var pages: PageOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let pages = pages
            let histories = try await inOrder(entries) { entry in
                try await session.inspector.enqueueEvents(ofEntry: entry, page: pages.page, pageSize: pages.size)
            }
            let now = Date()
            session.output.print(.object(["events": .array(histories.joined().map(JSONValue.init))])) { page in
                for (index, (entry, events)) in zip(entries, histories).enumerated() {
                    if index > 0 { page.line() }
                    page.heading("Entry \(Printable.line(entry))")
                    var table = Table([.text("TASK"), .left("ENQUEUED")])
                    for event in events {
                        table.add(.init(event.taskID), .init(Times.full(event.enqueuedAt, now: now)))
                    }
                    page.table(table, ifEmpty: "It has enqueued nothing, or there is no such entry.")
                }
            }
        }
    }
}

/// Which part of a list.
struct PageOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Which page, from 1.", valueName: "number")) var page = 1
    @Option(help: ArgumentHelp("How many a page has.", valueName: "number")) var size = 30

    func validate() throws {
        guard page >= 1 else { throw ValidationError("pages are counted from 1") }
        guard (1...10_000).contains(size) else { throw ValidationError("a page has 1 to 10000 lines") }
    }
}
