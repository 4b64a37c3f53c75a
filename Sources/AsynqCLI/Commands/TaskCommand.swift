import ArgumentParser
import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct TaskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task",
        abstract: "List, look at, move, delete and enqueue tasks.",
        subcommands: [
            List.self, Inspect.self, Enqueue.self, Run.self, Archive.self, Delete.self, Cancel.self, RunAll.self,
            ArchiveAll.self, DeleteAll.self,
        ],
        aliases: ["tasks"]
    )
}

/// Which tasks: those of a queue and state.
struct SelectionOptions: ParsableArguments {
    @Option(name: [.short, .long], help: ArgumentHelp("The queue.", valueName: "name")) var queue: String
    @Option(name: [.short, .long], help: "The state of the tasks.") var state: TaskState
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Only those of this group, with the state aggregating.", valueName: "name")
    )
    var group: String?
}

/// Which tasks: by their ids.
struct ReferenceOptions: ParsableArguments {
    @Option(name: [.short, .long], help: ArgumentHelp("The queue.", valueName: "name")) var queue: String
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("The id of the task; several times for several.", valueName: "id")
    )
    var id: [String]
}

extension TaskCommand {
    struct List: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List the tasks of a queue in one state, page by page.",
            usage: "asynq task ls --queue <name> --state <state> [<options>]",
            aliases: ["list"]
        )

        @OptionGroup var selection: SelectionOptions
        @OptionGroup var pages: PageOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let tasks = try await session.inspector.tasks(
                in: selection.state,
                queue: selection.queue,
                group: selection.group,
                page: pages.page,
                pageSize: pages.size
            )
            let json = JSONValue.object([
                "tasks": .array(tasks.tasks.map(JSONValue.init)),
                "page": .int(tasks.page),
                "page_size": .int(tasks.pageSize),
                "page_count": .int(tasks.pageCount),
                "total": .int(tasks.total),
            ])
            session.output.print(json) { page in
                page.table(
                    TaskTable.table(tasks.tasks, selection.state, now: Date()),
                    ifEmpty: tasks.total > 0
                        ? "There is no such page."
                        : selection.group.map { "No task waits in the group \(Printable.line($0))." }
                            ?? "No task \(TaskTable.verb(selection.state))."
                )
                if tasks.pageCount > 1 {
                    page.line()
                    page.line("page \(tasks.page) of \(tasks.pageCount), \(tasks.total) tasks")
                }
            }
        }
    }

    struct Inspect: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "inspect",
            abstract: "Show all there is to know of tasks.",
            usage: "asynq task inspect --queue <name> --id <id> ... [<options>]"
        )

        @OptionGroup var reference: ReferenceOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let tasks = try await session.inspector.tasks(reference.id, queue: reference.queue).map { try $0.get() }
            session.output.print(.object(["tasks": .array(tasks.map(JSONValue.init))])) { page in
                for (index, task) in tasks.enumerated() {
                    if index > 0 { page.line() }
                    page.fields(TaskTable.fields(task, now: Date()))
                }
            }
        }
    }

    struct Run: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "run",
            abstract: "Put tasks at the end of their queue now.",
            usage: "asynq task run --queue <name> --id <id> ... [<options>]",
            discussion: "They may be scheduled, in retry, archived, completed or in a group."
        )

        @OptionGroup var reference: ReferenceOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            try report(
                try await session.inspector.run(reference.id, queue: reference.queue),
                reference,
                session,
                "pending"
            )
        }
    }

    struct Archive: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "archive",
            abstract: "Archive tasks: keep them, and do not run them.",
            usage: "asynq task archive --queue <name> --id <id> ... [<options>]"
        )

        @OptionGroup var reference: ReferenceOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            let results = try await session.inspector.archive(reference.id, queue: reference.queue)
            try report(results, reference, session, "archived")
        }
    }

    struct Delete: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete",
            abstract: "Delete tasks.",
            usage: "asynq task delete --queue <name> --id <id> ... [<options>]",
            aliases: ["rm"]
        )

        @OptionGroup var reference: ReferenceOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            let results = try await session.inspector.delete(reference.id, queue: reference.queue)
            try report(results, reference, session, "deleted")
        }
    }

    struct Cancel: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "cancel",
            abstract: "Ask the servers that run tasks to cancel them.",
            usage: "asynq task cancel <ids> ... [<options>]",
            discussion: "A task that is cancelled has failed, and is retried like any other. No error if none runs."
        )

        @Argument(help: "Ids of tasks.") var ids: [String]
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        func run(_ session: Session) async throws {
            try await session.inspector.cancel(ids)
            for id in ids { Output.write("asked to cancel \(Printable.line(id))\n") }
        }
    }

    /// Says what became of each task.
    ///
    /// - Throws: ``Failure`` with a line for each that failed.
    private static func report(
        _ results: [Result<Void, AsynqError>],
        _ reference: ReferenceOptions,
        _ session: Session,
        _ done: String
    ) throws {
        var failures: [Failure] = []
        for (id, result) in zip(reference.id, results) {
            switch result {
            case .success: Output.write("\(done) \(Printable.line(id))\n")
            case .failure(let error): failures.append(Failure(error, session.broker))
            }
        }
        guard let first = failures.first else { return }
        throw Failure(failures.map(\.message).joined(separator: "\n"), status: first.status)
    }
}

/// Tasks as rows, and one task in full.
enum TaskTable {
    static func table(_ tasks: [TaskInfo], _ state: TaskState, now: Date) -> Table {
        let columns: [(Table.Column, (TaskInfo) -> Table.Cell)] =
            [(.id("ID"), { .init($0.id) }), (.text("TYPE"), { .init($0.type) })] + special(state, now: now) + [
                (.text("PAYLOAD"), { .init(Printable.line($0.payload ?? [])) })
            ]
        var table = Table(columns.map(\.0))
        table.rows = tasks.map { task in columns.map { $0.1(task) } }
        return table
    }

    /// What a task of a state does.
    static func verb(_ state: TaskState) -> String {
        state == .retry ? "waits for a retry" : "is \(state.rawValue)"
    }

    /// What matters in one state.
    private static func special(_ state: TaskState, now: Date) -> [(Table.Column, (TaskInfo) -> Table.Cell)] {
        let next: (Table.Column, (TaskInfo) -> Table.Cell) = (
            .left("NEXT"), { .init(Times.relative($0.nextProcessAt, now: now)) }
        )
        let retries: (Table.Column, (TaskInfo) -> Table.Cell) = (
            .right("RETRIED"), { .init("\($0.retried)/\($0.maxRetry)") }
        )
        let failed: (Table.Column, (TaskInfo) -> Table.Cell) = (
            .left("FAILED"), { .init(Times.relative($0.lastFailedAt, now: now)) }
        )
        let error: (Table.Column, (TaskInfo) -> Table.Cell) = (.text("ERROR"), { .init($0.lastError ?? "-") })
        switch state {
        case .active:
            return [
                (.left("LEASE"), { $0.isOrphaned ? .init("orphaned", .red) : .init("held", .green) }), retries,
                (.left("DEADLINE"), { .init(Times.relative($0.deadline, now: now)) }),
            ]
        case .pending: return [retries]
        case .scheduled: return [next]
        case .retry: return [next, retries, error]
        case .archived: return [failed, retries, error]
        case .completed:
            return [
                (.left("COMPLETED"), { .init(Times.relative($0.completedAt, now: now)) }),
                (.left("EXPIRES"), { .init(Times.relative(expiry($0), now: now)) }),
                (.text("RESULT"), { .init($0.result.map { Printable.line($0) } ?? "-") }),
            ]
        case .aggregating: return [(.text("GROUP"), { .init($0.group ?? "-") })]
        }
    }

    private static func expiry(_ task: TaskInfo) -> Date? {
        task.completedAt.map { $0.addingTimeInterval(task.retention / .seconds(1)) }
    }

    static func fields(_ task: TaskInfo, now: Date) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = [
            ("ID", task.id), ("Queue", task.queue), ("Type", task.type),
            ("State", task.state.rawValue + (task.isOrphaned ? " (orphaned: its server is gone)" : "")),
            ("Payload", text(task.payload)),
        ]
        func add(_ name: String, _ value: String?) {
            if let value { fields.append((name, value)) }
        }
        add("Retried", "\(task.retried) of \(task.maxRetry)")
        add("Next", task.nextProcessAt.map { Times.full($0, now: now) })
        add("Timeout", task.timeout.map(GoDuration.format))
        add("Deadline", task.deadline.map { Times.full($0, now: now) })
        add("Group", task.group)
        add("Error", task.lastError)
        add("Failed", task.lastFailedAt.map { Times.full($0, now: now) })
        add("Completed", task.completedAt.map { Times.full($0, now: now) })
        add("Retention", task.retention > .zero ? GoDuration.format(task.retention) : nil)
        for (name, value) in task.headers.sorted(by: { $0.key < $1.key }) { add("Header", "\(name): \(value)") }
        add("Result", task.result.map(text))
        return fields
    }

    private static func text(_ bytes: [UInt8]?) -> String {
        guard let bytes, !bytes.isEmpty else { return "(none)" }
        return Printable.line(bytes)
    }
}
