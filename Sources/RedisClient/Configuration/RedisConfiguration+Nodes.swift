/// URIs that name several nodes.
extension RedisConfiguration {
    init(sentinels text: Substring) throws(RedisError) {
        self.init()
        let query = text.lastIndex(of: "?") ?? text.endIndex
        // What stands before the nodes is for the Sentinels.
        let address = try takeCredentials(text[..<query])
        let (user, secret) = (username, password)
        (username, password) = (nil, nil)
        let slash = address.firstIndex(of: "/") ?? address.endIndex
        var sentinel = Sentinel(endpoints: try Self.endpoints(address[..<slash], port: 26_379))
        (sentinel.username, sentinel.password) = (user, secret)
        let path = address[slash...].dropFirst()
        if !path.isEmpty { database = try Self.database(path) }
        for item in text[query...].dropFirst().split(separator: "&") {
            let equals = item.firstIndex(of: "=") ?? item.endIndex
            let value = try Self.unescaped(item[equals...].dropFirst())
            switch item[..<equals] {
            case "master": sentinel.masterName = value
            case "username": username = value
            case "password": password = value
            default: throw Self.invalid("only master, username and password are understood after the ?")
            }
        }
        self.sentinel = sentinel
    }

    init(cluster text: Substring) throws(RedisError) {
        self.init()
        let address = try takeCredentials(text)
        guard !address.contains(where: { $0 == "/" || $0 == "?" }) else {
            throw Self.invalid("a Cluster has one database: nothing may follow its nodes")
        }
        cluster = Cluster(endpoints: try Self.endpoints(address, port: 6379))
    }

    /// Nodes with commas in between.
    private static func endpoints(_ text: Substring, port: Int) throws(RedisError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !part.isEmpty || endpoints.isEmpty else { throw invalid("a node between two commas is missing") }
            let endpoint = try endpoint(part, port: port)
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return endpoints
    }
}
