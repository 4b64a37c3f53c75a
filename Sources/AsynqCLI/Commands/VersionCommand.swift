import ArgumentParser

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version of asynq.")

    @OptionGroup var output: OutputOptions

    func run() {
        let version = AsynqProgram.version
        Output.write(output.json ? JSONValue.object(["version": .string(version)]).text + "\n" : "asynq \(version)\n")
    }
}
