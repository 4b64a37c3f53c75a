/// In which order Sentinels are asked. A value with no I/O.
struct SentinelRoster {
    private var endpoints: [RedisConfiguration.Endpoint]
    private var silent: Set<RedisConfiguration.Endpoint> = []

    init(_ endpoints: [RedisConfiguration.Endpoint]) {
        self.endpoints = endpoints
    }

    /// The order for one search: those that did not answer last time come last. Another one begins each time, because one
    /// that is cut off from the others may go on naming an old master.
    mutating func nextOrder() -> [RedisConfiguration.Endpoint] {
        let order = endpoints.filter { !silent.contains($0) } + endpoints.filter { silent.contains($0) }
        endpoints.append(endpoints.removeFirst())
        return order
    }

    mutating func answered(_ endpoint: RedisConfiguration.Endpoint) { silent.remove(endpoint) }

    mutating func failed(_ endpoint: RedisConfiguration.Endpoint) { silent.insert(endpoint) }
}
