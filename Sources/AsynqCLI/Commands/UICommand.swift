import ArgumentParser
import Asynq
import AsynqDashboard
import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct UICommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "ui",
        abstract: "Serve the web dashboard.",
        usage: "asynq ui [--port <number>] [--host <address>] [--user <name>] [<options>]",
        discussion: """
            Listens on this machine only, and lets in everybody who is on it. To listen on another address give it \
            users: --user with the password in ASYNQ_UI_PASSWORD, or --users-file. Programs may use the token in \
            ASYNQ_UI_TOKEN. What somebody changes is written to standard error, one line each.
            """
    )

    @OptionGroup var listening: UIListening
    @OptionGroup(title: "Who is let in") var access: UIAccess
    @OptionGroup(title: "What is shown") var pages: UIPages
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        guard (0...65_535).contains(listening.port) else {
            throw ValidationError("the port must be 0 to 65535: check --port")
        }
        for (name, length) in [("payload", pages.maxPayloadLength), ("result", pages.maxResultLength)]
        where length < 1 {
            throw ValidationError("the length of a \(name) must be at least 1: check --max-\(name)-length")
        }
        guard pages.refresh.duration >= .milliseconds(100) else {
            throw ValidationError("the time between two reads must be at least 100ms: check --refresh")
        }
    }

    func run(_ session: Session) async throws {
        let environment = ProcessInfo.processInfo.environment
        var settings = DashboardConfiguration()
        settings.host = listening.host
        settings.port = listening.port
        settings.rootPath = listening.rootPath
        settings.trustsProxyHeaders = listening.trustProxy
        settings.allowedHosts = Set(listening.allowedHosts.split(separator: ",").map(String.init))
        settings.authentication = try access.authentication(environment)
        settings.allowsPublicWithoutPassword = access.allowPublicWithoutPassword
        settings.isReadOnly = access.readOnly
        settings.maxPayloadLength = pages.maxPayloadLength
        settings.maxResultLength = pages.maxResultLength
        settings.refreshInterval = pages.refresh.duration
        if pages.noHistory { settings.historyInterval = nil }
        settings.prometheusAddress = pages.prometheusAddress
        settings.exportsMetrics = pages.enableMetricsExporter
        settings.resourceFolder = environment["ASYNQ_UI_RESOURCES"].flatMap { $0.isEmpty ? nil : $0 }
        var logger = Logger(label: "asynq.dashboard") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .notice
        let dashboard = AsynqDashboard(session.broker, configuration: settings, logger: logger)
        do {
            try await Interruption.end {
                try await dashboard.run { url in Output.write("serving \(Printable.line(url))\n") }
            }
        } catch let error as AsynqError where error.code == .invalidArgument {
            throw Failure(Self.worded(error.message))
        }
    }

    /// A sentence of the library in the words of the command line.
    private static func worded(_ message: String) -> String {
        let isPublic = message.hasPrefix("anybody who can reach")
        let way = "give --user and ASYNQ_UI_PASSWORD, or --users-file, or listen on 127.0.0.1, or allow it with "
        return isPublic
            ? message.prefix { $0 != ":" } + ": \(way)--allow-public-without-password"
            : Printable.line(message)
    }
}

struct UIListening: ParsableArguments {
    @Option(help: ArgumentHelp("The port to listen on; 0: a free one.", valueName: "number")) var port = 8080
    @Option(help: ArgumentHelp("The address to listen on.", valueName: "address")) var host = "127.0.0.1"
    @Option(help: ArgumentHelp("The path of the dashboard, such as /monitoring.", valueName: "path"))
    var rootPath = ""
    @Option(
        help: ArgumentHelp(
            "Other names of this machine that are answered without users, with commas between them.",
            valueName: "names"
        )
    )
    var allowedHosts = ""
    @Flag(help: "Believe X-Forwarded-For and X-Forwarded-Proto of the proxy in front.") var trustProxy = false
}

struct UIAccess: ParsableArguments {
    @Option(
        help: ArgumentHelp("A user who may do everything. (default: admin, if there is a password)", valueName: "name")
    )
    var user: String?
    @Option(help: ArgumentHelp("File of the user's password, instead of ASYNQ_UI_PASSWORD.", valueName: "path"))
    var passwordFile: String?
    @Option(
        help: ArgumentHelp(
            "File of users: a line admin:NAME:PASSWORD or read_only:NAME:PASSWORD for each.",
            valueName: "path"
        )
    )
    var usersFile: String?
    @Option(help: ArgumentHelp("File of the token of programs, instead of ASYNQ_UI_TOKEN.", valueName: "path"))
    var tokenFile: String?
    @Flag(help: "Let nobody change anything.") var readOnly = false
    @Flag(help: "Listen on any address without users.") var allowPublicWithoutPassword = false

    func authentication(_ environment: [String: String]) throws -> DashboardAuthentication {
        var users: [DashboardAuthentication.User] = []
        if let usersFile { users = try Self.users(try Self.read(usersFile, "--users-file")) }
        if let password = try secret(environment["ASYNQ_UI_PASSWORD"], passwordFile, "--password-file") {
            users.append(.init(user ?? environment["ASYNQ_UI_USER"] ?? "admin", password: password))
        } else if let user {
            throw Failure.usage(
                "--user \(Printable.line(user)) has no password: put it into ASYNQ_UI_PASSWORD, or name --password-file"
            )
        }
        let token = try secret(environment["ASYNQ_UI_TOKEN"], tokenFile, "--token-file")
        let tokens = token.map { [DashboardAuthentication.Token("token", token: $0)] } ?? []
        return users.isEmpty && tokens.isEmpty ? .none : .credentials(users: users, tokens: tokens)
    }

    private func secret(_ variable: String?, _ path: String?, _ option: String) throws -> String? {
        if let path {
            let text = try Self.read(path, option)
            return text.last?.isNewline == true ? String(text.dropLast()) : text
        }
        return variable.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func read(_ path: String, _ option: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self)
        else { throw Failure.usage("\(Printable.line(path)) cannot be read as text: check \(option)") }
        return text
    }

    /// What is in a line is not repeated: there is a password in it.
    private static func users(_ text: String) throws -> [DashboardAuthentication.User] {
        try text.split(whereSeparator: \.isNewline).enumerated().compactMap { index, line in
            if line.hasPrefix("#") { return nil }
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3, let role = DashboardRole(rawValue: parts[0]) else {
                throw Failure.usage(
                    "line \(index + 1) of --users-file is not of the form admin:NAME:PASSWORD or read_only:NAME:PASSWORD"
                )
            }
            return .init(parts[1], password: parts[2], role: role)
        }
    }
}

struct UIPages: ParsableArguments {
    @Option(help: ArgumentHelp("How many characters of a payload lists show.", valueName: "number"))
    var maxPayloadLength = 200
    @Option(help: ArgumentHelp("How many characters of a result lists show.", valueName: "number"))
    var maxResultLength = 200
    @Option(help: ArgumentHelp("How often to read anew while somebody looks.", valueName: "duration")) var refresh =
        DurationArgument(.seconds(2))
    @Flag(help: "Keep no history: read nothing while nobody looks.") var noHistory = false
    @Option(help: ArgumentHelp("Where Prometheus is, for the charts, such as http://localhost:9090.", valueName: "url"))
    var prometheusAddress: String?
    @Flag(help: "Serve the figures of all queues to Prometheus, at /metrics.") var enableMetricsExporter = false
}
