extension RedisConfiguration {
    /// Reads a connection URI:
    ///
    /// - `redis://[user[:password]@]host[:port][/db]`, and `rediss://…` for TLS
    /// - `redis-socket://[:password@]path[?db=n]`
    /// - `redis-sentinel://[[user]:password@]host[:port][,host[:port]…][/db][?master=name]`, `rediss-sentinel://…` for TLS.
    ///   User and password are the Sentinels', as in Go's asynq; those of the servers are `username=…` and `password=…`
    ///   in the query. Default port: 26379; default name of the master: `mymaster`.
    /// - `redis-cluster://[user[:password]@]host[:port][,host[:port]…]`, `rediss-cluster://…` for TLS
    /// - `host:port` or `host`
    ///
    /// User and password may hold percent escapes; IPv6 addresses stand between brackets.
    ///
    /// - Throws: ``RedisError`` with code `invalidConfiguration` that says which part is wrong, without the password.
    public init(_ uri: String) throws(RedisError) {
        guard let scheme = uri.firstRange(of: "://") else {
            self.init()
            endpoint = try Self.endpoint(uri[...])
            return
        }
        let rest = uri[scheme.upperBound...]
        switch uri[..<scheme.lowerBound] {
        case "redis": try self.init(server: rest)
        case "rediss":
            try self.init(server: rest)
            tls = TLS()
        case "redis-socket": try self.init(socket: rest)
        case "redis-sentinel": try self.init(sentinels: rest)
        case "rediss-sentinel":
            try self.init(sentinels: rest)
            tls = TLS()
        case "redis-cluster": try self.init(cluster: rest)
        case "rediss-cluster":
            try self.init(cluster: rest)
            tls = TLS()
        case let other:
            throw Self.invalid(
                "\"\(other)://\" is not known; use redis://, rediss:// (TLS), redis-socket://, redis-sentinel://, "
                    + "redis-cluster:// or host:port"
            )
        }
    }

    /// - Parameter text: repeats nothing that may be a password, wherever one was put by mistake.
    static func invalid(_ text: String) -> RedisError {
        RedisError(.invalidConfiguration, "redis URI: \(text)")
    }

    private init(server text: Substring) throws(RedisError) {
        self.init()
        let address = try takeCredentials(text)
        if address.contains("?") {
            throw Self.invalid("a server's URI has no query, nothing may follow the number of the database")
        }
        let slash = address.firstIndex(of: "/") ?? address.endIndex
        endpoint = try Self.endpoint(address[..<slash])
        let path = address[slash...].dropFirst()
        if !path.isEmpty { database = try Self.database(path) }
    }

    private init(socket text: Substring) throws(RedisError) {
        self.init()
        // A path may hold an @ as well.
        let address = text.hasPrefix("/") ? text : try takeCredentials(text)
        let query = address.firstIndex(of: "?") ?? address.endIndex
        let path = address[..<query]
        guard !path.isEmpty else { throw Self.invalid("there is no path to a socket") }
        endpoint = .unixSocket(path: try Self.unescaped(path))
        for item in address[query...].dropFirst().split(separator: "&") {
            guard item.hasPrefix("db=") else {
                throw Self.invalid("only db=n is understood after the path, not \"\(item.prefix { $0 != "=" })\"")
            }
            database = try Self.database(item.dropFirst(3))
        }
    }

    /// Takes user and password from the front. The last `@` ends them, so that a password may hold one.
    mutating func takeCredentials(_ text: Substring) throws(RedisError) -> Substring {
        guard let at = text.lastIndex(of: "@") else { return text }
        let credentials = text[..<at]
        let colon = credentials.firstIndex(of: ":") ?? credentials.endIndex
        let user = try Self.unescaped(credentials[..<colon])
        if !user.isEmpty { username = user }
        if colon < credentials.endIndex {
            let secret = try Self.unescaped(credentials[colon...].dropFirst())
            if !secret.isEmpty { password = secret }
        }
        return text[text.index(after: at)...]
    }

    static func database(_ text: Substring) throws(RedisError) -> Int {
        guard let number = Int(text), number >= 0 else {
            throw invalid("the database is no number; it must be 0 or more")
        }
        return number
    }

    static func endpoint(_ text: Substring, port standard: Int = 6379) throws(RedisError) -> Endpoint {
        guard !text.contains("@") else { throw invalid("before user and password redis:// or rediss:// is missing") }
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw invalid("the IPv6 address has no closing bracket") }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw invalid("only a port may follow the address") }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { throw invalid("an IPv6 address must stand between brackets") }
        }
        guard !host.contains(where: \.isWhitespace) else { throw invalid("the host holds white space") }
        var number = standard
        if let port {
            guard let value = Int(port), (1...65_535).contains(value) else {
                throw invalid("the port is no number from 1 to 65535; a password needs an @ behind it")
            }
            number = value
        }
        return .host(host.isEmpty ? "127.0.0.1" : String(host), port: number)
    }

    static func unescaped(_ text: Substring) throws(RedisError) -> String {
        guard text.contains("%") else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(Substring(rest.prefix(2)), radix: 16) else {
                throw invalid("a % in the user or password is not followed by two hexadecimal digits; write it as %25")
            }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
