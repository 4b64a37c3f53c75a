/// How to reach a Redis server (spec 2, "Connection").
public struct RedisConfiguration: Sendable {
    /// Where a server listens.
    public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
        case host(String, port: Int)
        case unixSocket(path: String)

        public var description: String {
            switch self {
            case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unixSocket(let path): path
            }
        }
    }

    /// How to encrypt the connection.
    public struct TLS: Sendable {
        /// What is checked of the server's certificate.
        public enum Verification: Sendable, Hashable {
            /// That it is signed by a trusted authority and is the server's.
            case full
            /// Nothing: encrypts, but anybody in between can read along. For tests.
            case insecure
        }

        /// The certificates (PEM) to trust instead of the system's. Default: the system's.
        public var caCertificateFile: String?
        /// The name in the server's certificate. Default: the host of the endpoint.
        public var serverName: String?
        /// The client's certificate chain (PEM), where the server asks for one. Needs ``privateKeyFile``.
        public var certificateFile: String?
        /// The key of the client's certificate (PEM).
        public var privateKeyFile: String?
        /// Default: full.
        public var verification = Verification.full

        public init() {}
    }

    /// The Sentinels that say which server is the master.
    public struct Sentinel: Sendable {
        /// Where they listen. One that can be reached is enough; name all, for the day on which some are away.
        public var endpoints: [Endpoint]
        /// The name under which they watch the master. Default: `mymaster`.
        public var masterName = "mymaster"
        /// The ACL user of the Sentinels themselves. Default: `default`, if there is a password.
        public var username: String?
        /// The password of the Sentinels themselves. That of the servers is ``RedisConfiguration/password``.
        public var password: String?

        public init(endpoints: [Endpoint]) {
            self.endpoints = endpoints
        }
    }

    /// The nodes of a Redis Cluster.
    public struct Cluster: Sendable, Hashable {
        /// Some of the nodes, which tell of the others. One that can be reached is enough; name several.
        public var endpoints: [Endpoint]

        public init(endpoints: [Endpoint]) {
            self.endpoints = endpoints
        }
    }

    /// What is expected to answer.
    enum Peer: Sendable {
        case server
        /// A server that may be written to: it is asked for its role.
        case master
        case sentinel
    }

    /// The server, unless ``sentinel`` names it or there is a ``cluster``. Default: 127.0.0.1:6379.
    public var endpoint: Endpoint
    /// The Sentinels to ask for the master, which is followed when it changes. User, password, database and
    /// time-outs are the servers'; ``tls`` is for both. Default: none, there is one server.
    public var sentinel: Sentinel?
    /// The Cluster that holds the tasks: each queue lies on one of its nodes. It has one database, 0. Default: none.
    public var cluster: Cluster?
    var peer = Peer.server
    /// The ACL user. Default: `default`, if there is a password.
    public var username: String?
    public var password: String?
    /// The number of the database. Default: 0.
    public var database = 0
    /// Default: no encryption.
    public var tls: TLS?
    /// How long connecting may take, with TLS and log-in, and how long a command waits for a connection, or for a place on it
    /// (``maxInFlight``). A server that has been away for longer than this is no longer waited for: each command fails with the
    /// next attempt to connect, at the latest after 2 s. Default: 5 s.
    public var dialTimeout = Duration.seconds(5)
    /// How long an answer may take before the connection is given up as dead: from the moment at which something was
    /// last sent or received, and a second more for each 16 MiB that were sent. Default: 3 s.
    public var readTimeout = Duration.seconds(3)
    /// How long the network may take no more of what is to be sent before the connection is given up. Default: 3 s.
    public var writeTimeout = Duration.seconds(3)
    /// How many connections carry commands, to each node of a Cluster. More than one helps only where large payloads hold up small ones.
    /// Default: 1.
    public var poolSize = 1
    /// How many requests may be on their way on a connection. As many again wait for their turn, each up to
    /// ``dialTimeout``; then, and if there are still more, they fail with ``RedisError/Code/tooManyRequests``. Default: 65 536.
    public var maxInFlight = 65_536
    /// The name that `CLIENT LIST` shows. Without spaces. Default: `swift-asynq`.
    public var clientName = "swift-asynq"

    public init(endpoint: Endpoint = .host("127.0.0.1", port: 6379)) {
        self.endpoint = endpoint
    }

    /// Checked when a client is made.
    func validate() throws(RedisError) {
        func require(_ condition: Bool, _ text: String) throws(RedisError) {
            if !condition { throw RedisError(.invalidConfiguration, "redis configuration: \(text)") }
        }
        try require(database >= 0, "the database must not be negative")
        try require(poolSize > 0, "poolSize must be at least 1")
        try require(maxInFlight > 0, "maxInFlight must be at least 1")
        try require(dialTimeout > .zero, "dialTimeout must be more than zero")
        try require(readTimeout > .zero, "readTimeout must be more than zero")
        try require(writeTimeout > .zero, "writeTimeout must be more than zero")
        try require(
            (tls?.certificateFile == nil) == (tls?.privateKeyFile == nil),
            "a client certificate needs both certificateFile and privateKeyFile"
        )
        if let cluster {
            try require(!cluster.endpoints.isEmpty, "at least one node of the Cluster must be named")
            try require(database == 0, "a Cluster has no database but 0")
            try require(sentinel == nil, "Sentinels do not watch a Cluster: set sentinel or cluster")
        }
        if let sentinel {
            try require(!sentinel.endpoints.isEmpty, "at least one Sentinel must be named")
            try require(
                !sentinel.masterName.isEmpty && !sentinel.masterName.contains(where: \.isWhitespace),
                "the master's name must not be empty or hold white space"
            )
        }
    }
}

extension RedisConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without user and password.
    public var description: String {
        if let sentinel {
            let places = sentinel.endpoints.map { "\($0)" }.joined(separator: ",")
            let scheme = tls == nil ? "redis-sentinel" : "rediss-sentinel"
            return "\(scheme)://\(places)/\(database)?master=\(sentinel.masterName)"
        }
        if let cluster {
            let places = cluster.endpoints.map { "\($0)" }.joined(separator: ",")
            return "\(tls == nil ? "redis-cluster" : "rediss-cluster")://\(places)"
        }
        return switch endpoint {
        case .host: "\(tls == nil ? "redis" : "rediss")://\(endpoint)/\(database)"
        case .unixSocket(let path): "redis-socket://\(path)?db=\(database)"
        }
    }

    public var debugDescription: String { description }

    /// So that `dump` shows no password either.
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension RedisConfiguration.Sentinel: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without user and password.
    public var description: String {
        "\(masterName) at \(endpoints.map { "\($0)" }.joined(separator: ","))"
    }

    public var debugDescription: String { description }

    /// So that `dump` shows no password either.
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}
