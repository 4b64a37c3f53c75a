import ArgumentParser
import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TaskCommand {
    struct Enqueue: BrokerCommand {
        static let configuration = CommandConfiguration(
            commandName: "enqueue",
            abstract: "Enqueue a task.",
            usage: "asynq task enqueue --type <name> [--payload <text>] [<options>]",
            discussion: "Durations are such as 1h30m or 250ms; times such as 2026-01-31T09:30:00Z."
        )

        @Option(name: [.customShort("t"), .long], help: ArgumentHelp("Type of the task.", valueName: "name")) var type:
            String
        @Option(
            name: [.customShort("l"), .long],
            help: ArgumentHelp("Its payload; - reads it from standard input, @FILE from a file.", valueName: "text")
        )
        var payload: String?
        @Option(name: [.customShort("q"), .long], help: ArgumentHelp("The queue.", valueName: "name")) var queue =
            "default"
        @Option(help: ArgumentHelp("How often it is tried again. (default: 25)", valueName: "count")) var retry: Int?
        @Option(
            help: ArgumentHelp("How long an attempt may take. (default: 30m without a deadline)", valueName: "duration")
        ) var timeout: DurationArgument?
        @Option(help: ArgumentHelp("When no attempt may run any more.", valueName: "time")) var deadline: TimeArgument?
        @Option(help: ArgumentHelp("Refuse it while an equal one is there, for so long.", valueName: "duration"))
        var unique: DurationArgument?
        @Option(help: ArgumentHelp("Not before so much time has passed.", valueName: "duration")) var processIn:
            DurationArgument?
        @Option(help: ArgumentHelp("Not before this time.", valueName: "time")) var processAt: TimeArgument?
        @Option(help: ArgumentHelp("How long to keep it after it is done.", valueName: "duration")) var retention:
            DurationArgument?
        @Option(
            name: [.customShort("g"), .long],
            help: ArgumentHelp("Aggregate it with this group.", valueName: "name")
        )
        var group: String?
        @Option(name: [.customShort("i"), .long], help: "Its id. (default: a new one)") var id: String?
        @Option(help: ArgumentHelp("A header; several times for several.", valueName: "name=value"))
        var header: [HeaderArgument] = []
        @OptionGroup var output: OutputOptions
        @OptionGroup(title: "Connection") var connection: ConnectionOptions

        var printsJSON: Bool { output.json }
        var createsFile: Bool { true }

        func run(_ session: Session) async throws {
            var options: [TaskOption] = [.queue(queue)]
            if let retry {
                guard retry >= 0 else { throw Failure.usage("--retry is \(retry): it must be 0 or more") }
                options.append(.maxRetry(retry))
            }
            if let timeout { options.append(.timeout(timeout.duration)) }
            if let deadline { options.append(.deadline(deadline.date)) }
            if let unique { options.append(.unique(for: unique.duration)) }
            if processIn != nil, processAt != nil {
                throw Failure.usage("--process-in and --process-at exclude each other: give one of them")
            }
            if let processIn { options.append(.processIn(processIn.duration)) }
            if let processAt { options.append(.processAt(processAt.date)) }
            if let retention { options.append(.retention(retention.duration)) }
            if let group { options.append(.group(group)) }
            if let id { options.append(.taskID(id)) }
            options += header.map { .header($0.name, $0.value) }
            let task = AsynqTask(type, payload: try payloadBytes(), options: options)
            let info = try await AsynqClient(session.broker).enqueue(task)
            session.output.print(.object(["task": JSONValue(info)])) { page in
                let when = info.state == .scheduled ? ", \(Times.relative(info.nextProcessAt, now: Date()))" : ""
                page.line(
                    "enqueued \(Printable.line(info.id)) in \(Printable.line(info.queue)) (\(info.state.rawValue)\(when))"
                )
            }
        }

        private func payloadBytes() throws -> [UInt8]? {
            guard let payload else { return nil }
            if payload == "-" { return try StandardInput.all() }
            guard payload.hasPrefix("@") else { return Array(payload.utf8) }
            let path = String(payload.dropFirst())
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Failure("the file \(Printable.line(path)) cannot be read: check --payload")
            }
            return Array(data)
        }
    }
}
