/// The log-in: the commands, sent together, and what their replies mean.
struct Handshake: Sendable {
    private let configuration: RedisConfiguration
    private let place: String

    init(_ configuration: RedisConfiguration, place: String) {
        self.configuration = configuration
        self.place = place
    }

    var commands: [RESPCommand] {
        var hello = ["3"]
        if configuration.password != nil || configuration.username != nil {
            hello += ["AUTH", configuration.username ?? "default", configuration.password ?? ""]
        }
        if !configuration.clientName.isEmpty { hello += ["SETNAME", configuration.clientName] }
        var commands = [RESPCommand("HELLO", arguments: hello)]
        if configuration.database != 0 { commands.append(RESPCommand("SELECT", String(configuration.database))) }
        // The last, so that its place is known.
        if configuration.peer == .master { commands.append(RESPCommand("ROLE")) }
        return commands
    }

    func verify(_ replies: [Result<RESPValue, RedisError>]) -> Result<Void, RedisError> {
        switch replies.first {
        case .success(let hello): if let error = unsupported(hello) { return .failure(error) }
        case .failure(let error): return .failure(explained(error))
        case nil: return .failure(RedisError(.protocolError, "no reply to HELLO from \(place)"))
        }
        if configuration.database != 0, replies.count > 1, case .failure(let error) = replies[1] {
            guard error.code == .serverError else { return .failure(error) }
            return .failure(
                RedisError(
                    .connectionFailed,
                    "cannot select database \(configuration.database) at \(place): \(error.message)"
                )
            )
        }
        return configuration.peer == .master ? verifyRole(replies.last) : .success(())
    }

    private func verifyRole(_ reply: Result<RESPValue, RedisError>?) -> Result<Void, RedisError> {
        switch reply {
        case .success(let value):
            let role = value.array?.first?.string ?? "nothing that is known"
            if role == "master" { return .success(()) }
            let text = "the Sentinels name \(place) as the master, which is \(role): a fail-over is under way"
            return .failure(RedisError(.connectionFailed, text))
        case .failure(let error): return .failure(explained(error))
        case nil: return .failure(RedisError(.protocolError, "no reply to ROLE from \(place)"))
        }
    }

    /// What is there, in a text.
    private var peer: String { configuration.peer == .sentinel ? "the Sentinel" : "Redis" }

    private func explained(_ error: RedisError) -> RedisError {
        guard error.code == .serverError else { return error }
        switch error.serverCode {
        case "WRONGPASS":
            return RedisError(.authenticationFailed, "wrong user or password for \(peer) at \(place)")
        case "NOAUTH":
            return RedisError(
                .authenticationFailed,
                "\(peer) at \(place) asks for a password: put one into the configuration"
            )
        case "NOPERM":
            return RedisError(.authenticationFailed, "\(peer) at \(place) denies the user: \(error.message)")
        case "NOPROTO":
            return unsupported("it does not speak RESP3")
        default:
            if error.message.lowercased().contains("unknown command") { return unsupported("it does not know HELLO") }
            if error.message.contains("without any password configured") {
                return RedisError(.authenticationFailed, "\(peer) at \(place) has no password, but one is configured")
            }
            return RedisError(.connectionFailed, "\(peer) at \(place) refuses the log-in: \(error.message)")
        }
    }

    private func unsupported(_ reason: String) -> RedisError {
        RedisError(.unsupportedServer, "the server at \(place) is too old (\(reason)): \(Self.needed)")
    }

    private static let needed = "Redis 6.2 or later, or Valkey 7.2 or later, is needed"

    private func unsupported(_ hello: RESPValue) -> RedisError? {
        let server = hello["server"]?.string ?? "redis"
        guard let version = hello["version"]?.string else { return unsupported("it does not tell its version") }
        let numbers = version.split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        let (major, minor) = (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
        let minimum = server == "valkey" ? (7, 2) : (6, 2)
        if (major, minor) >= minimum { return nil }
        return RedisError(
            .unsupportedServer,
            "the server at \(place) is \(server) \(version), which is too old: \(Self.needed)"
        )
    }
}
