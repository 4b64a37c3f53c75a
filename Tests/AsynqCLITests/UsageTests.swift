import ArgumentParser
import Asynq
import Foundation
import TestSupport
import Testing

@testable import AsynqCLI

/// What happens to a line that is wrong.
@Suite struct UsageTests {
    @Test(arguments: [
        (["stat"], "'asynq' has no command 'stat'; did you mean 'asynq stats'?"),
        (["queue", "sl"], "'asynq queue' has no command 'sl'; did you mean 'asynq queue ls'?"),
        (["task", "xyzzy"], "'asynq task' has no command 'xyzzy'; try 'asynq task --help'"),
        (["stats", "--jsn"], "Unknown option '--jsn'. Did you mean '--json'? Try 'asynq stats --help'."),
        (
            ["task", "ls", "--quee", "x", "-s", "retry"],
            "Unknown option '--quee'. Did you mean '--queue'? Try 'asynq task ls"
        ),
        (
            ["task", "enqueue", "--typ=x"],
            "Unknown option '--typ'. Did you mean '--type'? Try 'asynq task enqueue --help'."
        ),
        (["help", "queue", "lx"], "'asynq queue' has no command 'lx'; did you mean 'asynq queue ls'?"),
        (["queue", "ls", "-u", "sqlite:x", "--cluster"], "--cluster is for Redis; a SQLite file has no such thing"),
        (["task", "ls", "-q", "x"], "Missing expected argument '--state <state>'. Try 'asynq task ls --help'."),
        (["task", "enqueue", "-t", "a", "--timeout", "5"], "Try 'asynq task enqueue --help'."),
        (
            ["task", "enqueue", "-t", "a", "--process_in", "-5s"],
            "Missing value for '--process-in <duration>'. One that begins with '-' is written '--process-in=-…'. Try '"
        ),
        (["stats", "--password", "-secret"], "Missing value for '--password <text>'. One that begins with '-' is"),
        (["stats", "--password", "--json"], "Missing value for '--password <text>'. Try 'asynq stats --help'."),
        (
            ["task", "enqueue", "-t", "-x"],
            "Missing value for '-t <name>'. One that begins with '-' is written '-t=-…'. Try '"
        ),
        (["task", "enqueue", "--retry", "-q", "low"], "Missing value for '--retry <count>'. Try 'asynq"),
        (
            ["task", "enqueue", "--header", "a=b", "--header", "-x=1"],
            "Missing value for '--header <name=value>'. One that begins with '-' is written '--header=-…'."
        ),
        (["stats", "--password"], "Missing value for '--password <text>'. Try 'asynq stats --help'."),
        (["metrics", "--port", "70000"], "asynq: --port must be 0 to 65535. Try 'asynq metrics --help'."),
        (["completions", "tcsh"], "'<shell>'. Please provide one of 'bash', 'zsh' or 'fish'. Try"),
    ])
    func `is one line, with the nearest that is right, and status 64`(_ words: [String], _ message: String) async throws
    {
        let outcome = try await Program.run(words)
        #expect(outcome.status == 64)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("asynq: ") && outcome.errors.contains(message), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
        #expect(!outcome.errors.contains("secret"))
    }

    @Test func `the nearest word is found, and none if none is near`() {
        #expect(Suggestion.nearest(to: "puase", among: ["pause", "resume"]) == "pause")
        #expect(Suggestion.nearest(to: "x", among: ["pause", "resume"]) == nil)
        #expect(Suggestion.distance("kitten", "sitting") == 3)
    }

    @Test func `the help of each command fits into 80 columns`() async throws {
        func check(_ path: [String], _ command: any ParsableCommand.Type) async throws {
            let outcome = try await Program.run(path + ["--help"], environment: ["COLUMNS": "80"])
            #expect(outcome.status == 0)
            #expect(outcome.output.contains("USAGE: \((["asynq"] + path).joined(separator: " "))"))
            for line in outcome.lines { #expect(Printable.width(line) <= 80, "\(path): \(line)") }
            for next in command.configuration.subcommands {
                try await check(path + [next.configuration.commandName ?? ""], next)
            }
        }
        try await check([], AsynqTool.self)
    }

    @Test func `help begins with what is the command's own`() async throws {
        let help = try await Program.run(["task", "enqueue", "--help"]).output
        let sections = help.split(separator: "\n\n").compactMap { $0.split(separator: "\n").first }
        #expect(sections.suffix(2) == ["OPTIONS:", "CONNECTION:"], "\(sections)")
        #expect(help.contains("--process-at <time>") && help.hasSuffix("\n"))
        #expect(Help.ordered("OVERVIEW: x\n\nOPTIONS:\n  -h\n") == "OVERVIEW: x\n\nOPTIONS:\n  -h\n")
        #expect(
            Help.ordered("A\n\nCONNECTION:\n  u\n\nB:\n  b\n\nOPTIONS:\n  h\n")
                == "A\n\nB:\n  b\n\nOPTIONS:\n  h\n\nCONNECTION:\n  u\n"
        )
    }

    @Test func `a version is printed, also as JSON`() async throws {
        #expect(try await Program.run(["version"]).output == "asynq \(AsynqProgram.version)\n")
        #expect(try await Program.run(["version", "--json"]).json()["version"] as? String == AsynqProgram.version)
    }

    @Test func `a result that cannot be written is no success, and says so`() async throws {
        try await withFolder { folder in
            let errors = folder.appendingPathComponent("errors")
            let process = try ChildProcess(
                "/bin/bash",
                ["-c", "'\(try Program.path)' version > /dev/full 2> '\(errors.path)'"]
            )
            try await eventually("it ends") { !process.isRunning }
            #expect(process.waitUntilExit() == 1)
            let text = try String(contentsOf: errors, encoding: .utf8)
            #expect(text.hasPrefix("asynq: cannot write the result: No space left on device"), "\(text)")
        }
    }

    @Test func `a reader that has seen enough ends the program quietly`() async throws {
        try await Store.sqlite.with { place in
            let tasks = (0..<2000).map {
                AsynqTask("a", payload: Array("task \($0) \(String(repeating: "x", count: 100))".utf8))
            }
            _ = await place.client.enqueue(batch: tasks)
            let outcome = try await withFolder { folder in
                let log = folder.appendingPathComponent("errors").path
                let line =
                    "set -o pipefail; '\(try Program.path)' task ls -q default -s pending --size 2000 2>'\(log)' | head -n 1"
                let output = folder.appendingPathComponent("output")
                _ = FileManager.default.createFile(atPath: output.path, contents: nil)
                let process = try ChildProcess(
                    "/bin/bash",
                    ["-c", line],
                    environment: ["ASYNQ_URI": place.uri, "PATH": "/usr/bin:/bin"],
                    output: try FileHandle(forWritingTo: output)
                )
                try await eventually("the pipe ends") { !process.isRunning }
                return (process.waitUntilExit(), try String(contentsOfFile: log, encoding: .utf8))
            }
            #expect(outcome == (0, ""))
        }
    }
}
