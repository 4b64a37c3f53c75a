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

struct DashCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "dash",
        abstract: "Show queues and tasks on the whole terminal, and act on them.",
        usage: "asynq dash [--refresh <duration>] [<options>]",
        discussion: "Press ? for the keys."
    )

    @Option(help: ArgumentHelp("How often to read anew.", valueName: "duration")) var refresh = DurationArgument(
        .seconds(2)
    )
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        guard refresh.duration >= .milliseconds(100) else { throw ValidationError("--refresh must be at least 100ms") }
    }

    func run(_ session: Session) async throws {
        let depth = ColourDepth(environment: ProcessInfo.processInfo.environment)
        let program = DashProgram(session: session, refresh: refresh.duration, depth: depth)
        if let number = try await program.run() {
            // Ends as the signal asks, now that the terminal is as it was.
            signal(number, SIG_DFL)
            Terminal.raiseHere(number)
        }
    }
}
