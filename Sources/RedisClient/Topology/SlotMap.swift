/// Which node of a Cluster serves which slot. A value with no I/O.
struct SlotMap: Sendable, Equatable {
    typealias Endpoint = RedisConfiguration.Endpoint

    /// A master and its replicas.
    struct Shard: Sendable, Equatable {
        var master: Endpoint
        var replicas: [Endpoint] = []
    }

    private(set) var shards: [Shard] = []
    /// An index of `shards` for each slot, -1 where nobody serves it.
    private var owners = [Int16](repeating: -1, count: KeySlot.count)

    /// Reads the reply to `CLUSTER SLOTS`.
    ///
    /// - Parameter asked: the node that answered, which may leave out its own address.
    init(_ reply: RESPValue, from asked: Endpoint) throws(RedisError) {
        guard let ranges = reply.array else {
            throw RedisError(.protocolError, "\(asked) does not say which slots the nodes of the Cluster serve")
        }
        for range in ranges {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                first >= 0, first <= last, last < KeySlot.count,
                let master = Self.endpoint(parts[2], from: asked)
            else { continue }
            let index = index(of: master)
            shards[index].replicas = parts.dropFirst(3).compactMap { Self.endpoint($0, from: asked) }
            for slot in Int(first)...Int(last) { owners[slot] = Int16(index) }
        }
        guard !shards.isEmpty else {
            throw RedisError(.connectionFailed, "no node serves any slot, says \(asked): the Cluster is not set up")
        }
    }

    /// The master that serves a slot, and its replicas.
    func shard(of slot: Int) -> Shard? {
        owners[slot] < 0 ? nil : shards[Int(owners[slot])]
    }

    var masters: [Endpoint] { shards.map(\.master) }

    /// All nodes.
    var endpoints: [Endpoint] { masters + shards.flatMap(\.replicas) }

    /// A node has said that this one serves the slot now.
    mutating func assign(_ slot: Int, to master: Endpoint) {
        guard owners.indices.contains(slot) else { return }
        owners[slot] = Int16(index(of: master))
    }

    private mutating func index(of master: Endpoint) -> Int {
        if let index = shards.firstIndex(where: { $0.master == master }) { return index }
        shards.append(Shard(master: master))
        return shards.count - 1
    }

    /// A node: its host, its port, and more that is not needed here.
    private static func endpoint(_ node: RESPValue, from asked: Endpoint) -> Endpoint? {
        guard let parts = node.array, parts.count >= 2, let port = parts[1].int else { return nil }
        let host = parts[0].string ?? ""
        // It knows itself by a name that it does not know.
        guard host != "?" else { return nil }
        return endpoint(host: host, port: Int(port), from: asked)
    }

    /// - Parameter host: empty where it is that of the node that says so.
    static func endpoint(host: String, port: Int, from asked: Endpoint) -> Endpoint? {
        guard host.isEmpty else { return .host(host, port: port) }
        guard case .host(let own, _) = asked else { return nil }
        return .host(own, port: port)
    }
}
