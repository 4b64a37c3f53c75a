import ArgumentParser
import Asynq
import AsynqRedis

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a command works with.
struct Session: Sendable {
    let broker: any Broker
    let inspector: AsynqInspector
    let output: Output

    init(_ broker: any Broker, _ output: Output) {
        self.broker = broker
        inspector = AsynqInspector(broker)
        self.output = output
    }

    /// Runs `body` with the broker that the options name, and says in one line what failed.
    static func run(
        _ options: ConnectionOptions,
        json: Bool,
        createsFile: Bool = false,
        _ body: (Session) async throws -> Void
    ) async throws {
        let environment = ProcessInfo.processInfo.environment
        let file = try ConfigurationFile.read(
            named: options.config ?? environment["ASYNQ_CONFIG"].flatMap { $0.isEmpty ? nil : $0 },
            home: environment["HOME"]
        )
        let settings = ConnectionSettings(options, environment: environment, file: file)
        let broker = try settings.makeBroker(createsFile: createsFile)
        do {
            try await body(Session(broker, Output(json: json, environment: environment)))
        } catch {
            await broker.shutdown()
            throw Failure(error, broker)
        }
        await broker.shutdown()
    }
}

extension Failure {
    /// An error of a broker, with the way out.
    init(_ error: any Error, _ broker: any Broker) {
        guard let error = error as? AsynqError else {
            self.init(
                (error as? Failure)?.message ?? String(describing: error),
                status: (error as? Failure)?.status ?? 1
            )
            return
        }
        let message = Printable.line(error.message)
        let cause = error.cause as? RedisError
        if let refusal = Self.refusal(cause, message) {
            self.init(refusal)
            return
        }
        switch error.code {
        case .brokerUnavailable:
            // Without the name of the command: whoever typed this one did not.
            let text = Printable.line(cause?.message ?? error.message)
            if cause?.code == .authenticationFailed {
                self.init("\(text); check --username and --password, or ASYNQ_PASSWORD")
            } else {
                self.init(text.hasSuffix("?") ? "\(text) If not, see --uri" : "\(text); check that it runs, and --uri")
            }
        case .queueNotFound: self.init("\(message); 'asynq queue ls' lists those that there are")
        case .taskNotFound: self.init("\(message); 'asynq task ls' lists those that there are")
        case .queueNotEmpty: self.init(message.replacing("or use force", with: "or use --force"))
        case .invalidArgument: self.init(message, status: Failure.wrongUsage)
        default: self.init(message)
        }
    }

    /// What Redis will not do, and the way out; `nil` for what says so itself.
    private static func refusal(_ error: RedisError?, _ message: String) -> String? {
        if message.contains("cluster support disabled") {
            return
                "this Redis is no node of a Cluster: leave out --cluster and --cluster-addrs, or name a node in --uri"
        }
        if message.contains("DB index is out of range") { return "this Redis has no database of that number: see --db" }
        switch error?.serverCode {
        case "READONLY": return "this Redis is a replica, and takes no writes: name the master in --uri"
        case "NOPERM":
            return "\(message); give this user the rights that the documentation lists under Security, or name another "
                + "with --username"
        default: return nil
        }
    }
}

/// A command that asks a broker.
protocol BrokerCommand: AsyncParsableCommand {
    var connection: ConnectionOptions { get }
    var printsJSON: Bool { get }
    /// Whether a SQLite file that is not there is made.
    var createsFile: Bool { get }
    func run(_ session: Session) async throws
}

extension BrokerCommand {
    var printsJSON: Bool { false }
    var createsFile: Bool { false }

    mutating func run() async throws {
        let command = self
        try await Session.run(connection, json: printsJSON, createsFile: createsFile) { try await command.run($0) }
    }
}
