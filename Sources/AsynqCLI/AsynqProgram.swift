import ArgumentParser

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The program `asynq`.
package enum AsynqProgram {
    /// Shown by `asynq version`.
    static let version = "0.1.0"

    /// Runs the command line of this process, and ends the process: 0 done, 1 it failed, 64 it was called wrongly.
    package static func main() async -> Never {
        // A reader that has seen enough, such as `head`, is no failure: see Output.
        signal(SIGPIPE, SIG_IGN)
        let words = Array(CommandLine.arguments.dropFirst())
        ProcessArguments.hideSecrets()
        exit(await run(words))
    }

    /// - Returns: the exit status.
    private static func run(_ words: [String]) async -> Int32 {
        do {
            let words = try ArgumentOrder(AsynqTool.self).ordered(words)
            var command = try AsynqTool.parseAsRoot(words)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch {
            return report(error, words)
        }
    }

    /// A message of the parser, whose lists have a line for each value, with a hyphen in front.
    private static func oneLine(_ message: String) -> String {
        let lines = message.split(separator: "\n").map { line in
            let text = line.drop { $0 == " " }
            return text.hasPrefix("- ") ? text.dropFirst(2) : text
        }
        guard let first = lines.first else { return "" }
        return Printable.line(first + (lines.count > 1 ? " " : "") + lines.dropFirst().joined(separator: ", "))
    }

    private static func report(_ error: any Error, _ words: [String]) -> Int32 {
        if let failure = error as? Failure {
            for line in failure.message.split(separator: "\n") { Output.complain(String(line)) }
            return failure.status
        }
        let code = AsynqTool.exitCode(for: error)
        if code.isSuccess {
            // Help, or a script of completions.
            Output.write(Help.ordered(AsynqTool.fullMessage(for: error)) + "\n")
            return 0
        }
        if code == ExitCode.validationFailure {
            var message = oneLine(AsynqTool.message(for: error))
            let order = ArgumentOrder(AsynqTool.self)
            if message.hasPrefix("Missing expected argument"), let unknown = order.unknownOption(in: words) {
                message = unknown
            }
            if let way = order.wayToWriteValue(missingBy: message, in: words) { message += ". \(way)" }
            let help = (["asynq"] + order.path(in: words) + ["--help"]).joined(separator: " ")
            let stop = message.hasSuffix(".") || message.hasSuffix("?") ? "" : "."
            Output.complain("\(message)\(stop) Try '\(help)'.")
            return Failure.wrongUsage
        }
        if error is CancellationError { return 1 }
        Output.complain(String(describing: error))
        return 1
    }
}

/// Why a command failed: one line that says what, and what to do.
struct Failure: Error {
    static let wrongUsage: Int32 = 64

    var message: String
    var status: Int32 = 1

    init(_ message: String, status: Int32 = 1) {
        self.message = message
        self.status = status
    }

    static func usage(_ message: String) -> Failure { Failure(message, status: wrongUsage) }
}

/// `asynq` itself, which only has subcommands.
struct AsynqTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asynq",
        abstract: "Look at queues, tasks and servers, and put them in order.",
        discussion: """
            Works on Redis and on a SQLite file: name it with --uri, in ASYNQ_URI or in \
            ~/.asynq.yaml. Options of the connection may stand anywhere on the line. A SQLite file that \
            is not there is made by 'task enqueue' and 'bench' only: elsewhere it is taken for a mistake.

            Exit status: 0 done, 1 it failed, 64 wrong usage.
            """,
        version: AsynqProgram.version,
        subcommands: [
            StatsCommand.self, QueueCommand.self, TaskCommand.self, GroupCommand.self, CronCommand.self,
            ServerCommand.self, DashCommand.self, WatchCommand.self, DoctorCommand.self, MetricsCommand.self,
            UICommand.self,
            BenchCommand.self, CompletionsCommand.self, ManualCommand.self, VersionCommand.self,
        ]
    )
}
