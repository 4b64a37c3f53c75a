import ArgumentParser

/// Brings a command line into the order that the parser reads: commands first, then their options. So options of the
/// connection may stand in front (`asynq -u … stats`), and `_` may be written for `-` in the names of options, as in
/// Go's tool.
struct ArgumentOrder {
    private let root: any ParsableCommand.Type
    /// Options of the connection that take a value.
    private static let valued: Set<String> = [
        "-u", "--uri", "-n", "--db", "-U", "--username", "-p", "--password", "--cluster-addrs", "--tls-server",
        "--config",
    ]

    init(_ root: any ParsableCommand.Type) {
        self.root = root
    }

    /// - Throws: ``Failure`` for a command that does not exist, with the nearest that does.
    func ordered(_ words: [String]) throws -> [String] {
        var (path, options, rest) = split(words.map(Self.withHyphens))
        let group = command(path)
        if let word = rest.first, !word.hasPrefix("-"), word != "help", !group.configuration.subcommands.isEmpty {
            throw unknown(word, in: group, path)
        }
        if rest.first == "help", path.isEmpty {
            try check(rest.dropFirst())
            path = rest
            rest = []
        }
        return path + options + rest
    }

    /// What help is asked of.
    private func check(_ names: ArraySlice<String>) throws {
        var path: [String] = []
        for name in names where !name.hasPrefix("-") {
            let group = command(path)
            guard !group.configuration.subcommands.isEmpty else { return }
            guard Self.subcommand(name, of: group) != nil else { throw unknown(name, in: group, path) }
            path.append(name)
        }
    }

    /// A sentence about the first option of a line that its command does not have; `nil` if there is none. The parser says
    /// only that one is missing.
    func unknownOption(in words: [String]) -> String? {
        let help = AsynqTool.helpMessage(for: command(path(in: words)))
        let known = help.matches(of: /--[a-z][a-z-]*/).map { String($0.output) }
        let given = words.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { word in
            Self.withHyphens(String(word.prefix { $0 != "=" }))
        }
        guard let unknown = given.first(where: { !known.contains($0) }) else { return nil }
        let hint = Suggestion.nearest(to: unknown, among: known).map { " Did you mean '\($0)'?" } ?? ""
        return "Unknown option '\(Printable.line(unknown))'.\(hint)"
    }

    /// A sentence for one who has given a value that begins with a hyphen, such as `--retry -1`, which the parser takes for an
    /// option; `nil` if an option of the command stands there, or nothing. The value may be a secret and is not repeated.
    func wayToWriteValue(missingBy message: String, in words: [String]) -> String? {
        guard let option = message.firstMatch(of: /^Missing value for '(-[a-zA-Z]|--[a-z][a-z-]*)/)?.output.1 else {
            return nil
        }
        let help = AsynqTool.helpMessage(for: command(path(in: words)))
        let known = help.matches(of: /-[a-zA-Z]\b|--[a-z][a-z-]*/).map(\.output)
        let isValueGiven = zip(words, words.dropFirst()).contains { word, next in
            Self.withHyphens(word) == option && next.count > 1 && next.hasPrefix("-") && !next.hasPrefix("--")
                && !known.contains(next[...])
        }
        return isValueGiven ? "One that begins with '-' is written '\(option)=-…'" : nil
    }

    /// The commands that a line names.
    func path(in words: [String]) -> [String] { split(words).path }

    private func split(_ words: [String]) -> (path: [String], options: [String], rest: [String]) {
        var path: [String] = []
        var options: [String] = []
        var index = 0
        var group: any ParsableCommand.Type = root
        while index < words.count, !group.configuration.subcommands.isEmpty {
            let word = words[index]
            if let next = Self.subcommand(word, of: group) {
                path.append(word)
                group = next
            } else if word.hasPrefix("-"), word != "--", word != "-" {
                options.append(word)
                if Self.valued.contains(word), index + 1 < words.count {
                    index += 1
                    options.append(words[index])
                }
            } else {
                break
            }
            index += 1
        }
        return (path, options, Array(words[index...]))
    }

    private func command(_ path: [String]) -> any ParsableCommand.Type {
        path.reduce(root) { group, name in Self.subcommand(name, of: group) ?? group }
    }

    private static func subcommand(_ name: String, of group: any ParsableCommand.Type) -> (any ParsableCommand.Type)? {
        group.configuration.subcommands.first {
            $0.configuration.commandName == name || $0.configuration.aliases.contains(name)
        }
    }

    private func unknown(_ word: String, in group: any ParsableCommand.Type, _ path: [String]) -> Failure {
        let names = group.configuration.subcommands.flatMap {
            [$0.configuration.commandName ?? ""] + $0.configuration.aliases
        }
        let place = (["asynq"] + path).joined(separator: " ")
        let hint =
            Suggestion.nearest(to: word, among: names).map { "did you mean '\(place) \($0)'?" }
            ?? "try '\(place) --help'"
        return .usage("'\(place)' has no command '\(Printable.line(word))'; \(hint)")
    }

    /// `--cluster_addrs=a_b` as `--cluster-addrs=a_b`.
    private static func withHyphens(_ word: String) -> String {
        guard word.hasPrefix("--"), word.contains("_") else { return word }
        let end = word.firstIndex(of: "=") ?? word.endIndex
        return String(word[..<end].replacing("_", with: "-")) + String(word[end...])
    }
}
