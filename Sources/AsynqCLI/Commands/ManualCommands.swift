import ArgumentParser

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print a script that completes commands in a shell.",
        discussion: """
            bash: source <(asynq completions bash)
            zsh: asynq completions zsh > "${fpath[1]}/_asynq"
            fish: asynq completions fish > ~/.config/fish/completions/asynq.fish
            """
    )

    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish
    }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() {
        let shell: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Output.write(AsynqTool.completionScript(for: shell) + "\n")
    }
}

struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual",
        abstract: "Print the manual page, or docs/cli.md.",
        discussion: "asynq manual > /usr/local/share/man/man1/asynq.1"
    )

    @Flag(help: "Print Markdown.") var markdown = false

    func run() {
        let manual = Manual()
        Output.write(markdown ? manual.markdown : manual.page)
    }
}
