import ArgumentParser
import Asynq

extension TaskCommand {
    struct RunAll: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "runall",
            abstract: "Put all tasks of a state at the end of their queue now.",
            usage: "asynq task runall --queue <name> --state <state> [<options>]",
            discussion: TaskMove.run.statesInWords
        )

        @OptionGroup var selection: SelectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let progress = Progress("pending")
            let count = try await session.inspector.runAll(
                selection.state,
                queue: selection.queue,
                group: selection.group,
                progress: progress.handler
            )
            progress.end(count, key: "run", session.output)
        }
    }

    struct ArchiveAll: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "archiveall",
            abstract: "Archive all tasks of a state.",
            usage: "asynq task archiveall --queue <name> --state <state> [<options>]",
            discussion: TaskMove.archive.statesInWords
        )

        @OptionGroup var selection: SelectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            let progress = Progress("archived")
            let count = try await session.inspector.archiveAll(
                selection.state,
                queue: selection.queue,
                group: selection.group,
                progress: progress.handler
            )
            progress.end(count, key: "archived", session.output)
        }
    }

    struct DeleteAll: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "deleteall",
            abstract: "Delete all tasks of a state. Asks first at a terminal.",
            usage: "asynq task deleteall --queue <name> --state <state> [<options>]",
            discussion: TaskMove.delete.statesInWords
        )

        @OptionGroup var selection: SelectionOptions
        @Flag(name: [.customShort("y"), .long], help: "Do not ask.") var yes = false
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }

        func run(_ session: Session) async throws {
            if !yes, Output.canAsk {
                let count = try await session.inspector.tasks(
                    in: selection.state,
                    queue: selection.queue,
                    group: selection.group,
                    pageSize: 1
                ).total
                let question =
                    "Delete \(count) \(selection.state.rawValue) tasks of \"\(Printable.line(selection.queue))\"?"
                guard count == 0 || Output.confirm(question) else { throw Failure("nothing was deleted") }
            }
            let progress = Progress("deleted")
            let count = try await session.inspector.deleteAll(
                selection.state,
                queue: selection.queue,
                group: selection.group,
                progress: progress.handler
            )
            progress.end(count, key: "deleted", session.output)
        }
    }
}

extension TaskMove {
    /// In which states it takes all tasks.
    fileprivate var statesInWords: String {
        let states = TaskState.inOrder.filter(bulkStates.contains).map(\.rawValue)
        return "The state may be \(states.dropLast().joined(separator: ", ")) or \(states.last ?? "")."
    }
}

/// How far a bulk operation is: on one line of the terminal, if there is one.
private struct Progress {
    private let done: String

    init(_ done: String) {
        self.done = done
    }

    var handler: BulkProgress.Handler? {
        guard Output.canAsk else { return nil }
        return { [done] progress in
            let isLast = progress.remaining == 0
            Output.toErrors("\r\u{1B}[K" + (isLast ? "" : "\(progress.done) \(done), \(progress.remaining) to go"))
        }
    }

    func end(_ count: Int, key: String, _ output: Output) {
        output.print(.object([.init(key: key, value: .int(count))])) { page in
            page.line("\(count) \(count == 1 ? "task is" : "tasks are") \(done)")
        }
    }
}
