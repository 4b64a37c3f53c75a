import ArgumentParser

/// The manual, made from the commands themselves.
struct Manual {
    private struct Entry {
        let path: [String]
        let command: any ParsableCommand.Type

        var name: String { path.joined(separator: " ") }
        var abstract: String { command.configuration.abstract }
        /// As `--help` prints it on a terminal of 80 columns.
        var help: String { Help.ordered(AsynqTool.helpMessage(for: command, columns: 80)) }
    }

    private let entries: [Entry]

    init() {
        func collect(_ path: [String], _ command: any ParsableCommand.Type) -> [Entry] {
            [Entry(path: path, command: command)]
                + command.configuration.subcommands.flatMap { collect(path + [$0.configuration.commandName ?? ""], $0) }
        }
        entries = collect(["asynq"], AsynqTool.self)
    }

    // MARK: Markdown

    var markdown: String {
        var text = """
            # The command line

            <!-- Printed by `asynq manual --markdown`; a test compares the two. -->

            \(Self.settings)

            ## Commands

            | command | |
            |---|---|

            """
        for entry in entries.dropFirst() where entry.command.configuration.subcommands.isEmpty {
            let anchor = entry.name.replacing(" ", with: "-")
            text += "| [`\(entry.name)`](#\(anchor)) | \(entry.abstract) |\n"
        }
        for entry in entries where entry.command.configuration.subcommands.isEmpty {
            text += "\n### \(entry.name)\n\n```\n\(Self.trimmed(entry.help))\n```\n"
        }
        return text + "\n## JSON\n\n" + JSONDocumentation.markdown
    }

    private static let settings = """
        Each option of the connection is looked for on the command line, then in the environment, then in a file:

        | option | environment | key in `~/.asynq.yaml`, `~/.asynq.json` or `--config` |
        |---|---|---|
        \(ConnectionSettings.Name.allCases.map { name in
            let option = name.rawValue.replacing("_", with: "-")
            return "| `--\(option)` | `\(name.environmentName)` | `\(name.rawValue)` |"
        }.joined(separator: "\n"))

        `ASYNQ_CONFIG` names the file where `--config` does not.

        Where a URI itself names a database, a user or a password, only an option from a place that is at least as strong \
        as the URI's replaces it. In names of options and keys `_` and `-` mean the same.

        The exit status is 0 when all was done, 1 when something failed (one line on standard error says what, and what to \
        do), 64 when the call was wrong. A pipe and `NO_COLOR` turn colours off; in a pipe nothing is cut to the width of a \
        terminal.
        """

    private static func trimmed(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
        return String(lines.joined(separator: "\n").reversed().drop { $0 == "\n" }.reversed())
    }

    // MARK: roff

    /// For `man`.
    var page: String {
        var text = """
            .TH ASYNQ 1 "" "asynq \(AsynqProgram.version)" "User Commands"
            .SH NAME
            asynq \\- look at queues, tasks and servers, and put them in order
            .SH SYNOPSIS
            .B asynq
            .I command
            [\\fIoptions\\fR]
            .SH COMMANDS

            """
        for entry in entries.dropFirst() where entry.command.configuration.subcommands.isEmpty {
            text += ".TP\n.B \(Self.escaped(entry.name))\n\(Self.escaped(entry.abstract))\n"
        }
        for entry in entries where entry.command.configuration.subcommands.isEmpty {
            text += ".SH \"\(Self.escaped(entry.name.uppercased()))\"\n.nf\n"
            text += Self.trimmed(entry.help).split(separator: "\n", omittingEmptySubsequences: false)
                .map { Self.escaped(String($0)) }.joined(separator: "\n")
            text += "\n.fi\n"
        }
        text += ".SH FILES\n.TP\n.B ~/.asynq.yaml, ~/.asynq.json\nOptions of the connection.\n.SH ENVIRONMENT\n"
        for name in ConnectionSettings.Name.allCases {
            text +=
                ".TP\n.B \(name.environmentName)\nAs \\-\\-\(Self.escaped(name.rawValue.replacing("_", with: "-"))).\n"
        }
        text += ".TP\n.B ASYNQ_CONFIG\nAs \\-\\-config.\n"
        return text
            + ".SH \"EXIT STATUS\"\n0 done, 1 it failed, 64 wrong usage.\n"
    }

    private static func escaped(_ text: String) -> String {
        let text = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        // A line that begins so is a command of roff.
        return text.hasPrefix(".") || text.hasPrefix("'") ? "\\&" + text : text
    }
}
