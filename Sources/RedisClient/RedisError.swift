/// What went wrong with Redis: a code, the text, and the command's name. Never its arguments: payloads are private.
public struct RedisError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case serverError, connectionFailed, authenticationFailed, connectionLost, commandTimedOut, protocolError
            case unsupportedServer, tooManyRequests, invalidConfiguration, cancelled, closed
        }
        private let kind: Kind
        private init(_ kind: Kind) { self.kind = kind }
        public var description: String { kind.rawValue }

        /// The server answered the command with an error.
        public static let serverError = Code(.serverError)
        /// No connection could be made; the command was not sent.
        public static let connectionFailed = Code(.connectionFailed)
        /// The server refuses the user or the password.
        public static let authenticationFailed = Code(.authenticationFailed)
        /// The connection was lost before the answer came; the command may have run or not.
        public static let connectionLost = Code(.connectionLost)
        /// No answer came in time; the command may have run or not.
        public static let commandTimedOut = Code(.commandTimedOut)
        /// The server sent what is not RESP3.
        public static let protocolError = Code(.protocolError)
        /// The server is too old.
        public static let unsupportedServer = Code(.unsupportedServer)
        /// ``RedisConfiguration/maxInFlight`` is reached, and no place became free in time; the command was not sent. Redis is
        /// too slow for this load: send less, or wait before the next attempt.
        public static let tooManyRequests = Code(.tooManyRequests)
        /// A setting is not allowed; the message says which.
        public static let invalidConfiguration = Code(.invalidConfiguration)
        /// The caller was cancelled while waiting; the command may have run or not.
        public static let cancelled = Code(.cancelled)
        /// The client has been shut down.
        public static let closed = Code(.closed)
    }

    public var code: Code
    /// The server's text, or ours.
    public var message: String
    /// The name of the command, if it concerns one.
    public var command: String?
    /// The first word of a server's error, such as `NOSCRIPT`, `MOVED` or `OOM`.
    public var serverCode: String? {
        guard code == .serverError || code == .authenticationFailed else { return nil }
        let word = message.prefix { $0 != " " }
        return !word.isEmpty && word.allSatisfy { $0.isUppercase || $0.isNumber } ? String(word) : nil
    }

    /// Whether the server has refused a command that it may well run a little later: it starts, is busy, or is on the way from
    /// one role or one place to another.
    package var isPassing: Bool {
        if isOfMigration { return true }
        // UNBLOCKED ends a wait, for replicas say, when the server becomes a replica itself.
        return ["ASK", "MOVED", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "LOADING", "BUSY", "NOREPLICAS", "UNBLOCKED"]
            .contains(serverCode)
    }

    /// Whether Redis has reached its `maxmemory`. Redis 6.2 puts that into the text of a script's error.
    package var isOutOfMemory: Bool {
        code == .serverError && (serverCode == "OOM" || message.contains("OOM command not allowed"))
    }

    /// Some of the keys have moved to another node of a Cluster, and others have not: a script may have come upon one that it
    /// does not name.
    var isOfMigration: Bool {
        code == .serverError
            && (serverCode == "TRYAGAIN" || message.contains("access a non local key in a cluster node"))
    }

    public init(_ code: Code, _ message: String, command: String? = nil) {
        self.code = code
        self.message = message
        self.command = command
    }

    public var description: String {
        switch (code, command) {
        case (.serverError, let command?): "Redis refused \(command): \(message)"
        case (_, let command?): "\(message) (\(command))"
        case (_, nil): message
        }
    }

    func with(command: String) -> RedisError {
        RedisError(code, message, command: command)
    }
}
