import Foundation
import Synchronization

/// A Redis Cluster of masters with one replica each. All nodes die with the process.
package final class ClusterSet: Sendable {
    /// A node as another one knows it.
    package struct Node: Sendable {
        package let id: String
        package let port: Int
        package let isMaster: Bool
        package let slots: [ClosedRange<Int>]
    }

    private static let masterCount = 3
    /// How long a node is silent before it counts as dead: little, for tests in which one dies.
    package static let littlePatience = Duration.milliseconds(1500)

    private let nodes: Mutex<[RedisServer]>

    private init(_ nodes: [RedisServer]) {
        self.nodes = Mutex(nodes)
    }

    package var servers: [RedisServer] { nodes.withLock { $0 } }

    package var uri: String {
        "redis-cluster://" + servers.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
    }

    /// The URIs of the nodes that were masters at first, each for itself.
    package var masters: [String] { servers.prefix(Self.masterCount).map(\.uri) }

    /// Runs `body` with a Cluster, whose nodes are killed afterwards.
    ///
    /// - Parameters:
    ///   - patience: how long a node may be silent before its replica takes its place. More where none is to die, as this
    ///     machine may be busy.
    ///   - arguments: for each redis-server, such as `--appendonly`, `yes`.
    package static func withCluster<Value>(
        patience: Duration = littlePatience,
        _ arguments: [String] = [],
        isolation: isolated (any Actor)? = #isolation,
        _ body: (ClusterSet) async throws -> Value
    ) async throws -> Value {
        await ServerSlots.shared.take()
        defer { ServerSlots.shared.giveBack() }
        var servers: [RedisServer] = []
        for _ in 0..<2 * Self.masterCount { servers.append(try await startNode(arguments)) }
        let set = ClusterSet(servers)
        defer { for server in set.servers { server.kill() } }
        try await set.join()
        // Not at the start, when they wait for each other as long.
        if patience != littlePatience { try set.setPatience(patience) }
        return try await body(set)
    }

    private static func startNode(_ arguments: [String] = []) async throws -> RedisServer {
        let bus = try RedisServer.freePort()
        let own = [
            "--cluster-enabled", "yes", "--cluster-node-timeout", "\(Int(littlePatience / .milliseconds(1)))",
            "--cluster-port", "\(bus)",
            "--cluster-replica-validity-factor", "0", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
            "--repl-ping-replica-period", "1",
        ]
        return try await RedisServer.start(own + arguments)
    }

    /// How long a node may be silent from now on before its replica takes its place.
    package func setPatience(_ patience: Duration) throws {
        for server in servers where server.isRunning {
            let answer = try server.cli("CONFIG", "SET", "cluster-node-timeout", "\(Int(patience / .milliseconds(1)))")
            guard answer == "OK" else { throw NeverHappened(description: "CONFIG SET: \(answer)") }
        }
    }

    private func join() async throws {
        let masters = Self.masterCount
        let servers = servers
        for (index, server) in servers.enumerated() {
            try server.cli("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
            for other in servers[..<index] { try meet(server, other) }
        }
        let share = 16_384 / masters
        for index in 0..<masters {
            let last = index == masters - 1 ? 16_383 : (index + 1) * share - 1
            try servers[index].cli("CLUSTER", "ADDSLOTSRANGE", "\(index * share)", "\(last)")
        }
        try await eventually("the nodes know each other") {
            try servers.allSatisfy { try Self.view(of: $0).count == servers.count }
        }
        for index in 0..<masters {
            let id = try servers[index].cli("CLUSTER", "MYID")
            try await eventually("a node becomes a replica") {
                try servers[masters + index].cli("CLUSTER", "REPLICATE", id) == "OK"
            }
        }
        try await eventually("the Cluster serves, and the replicas are in step") {
            try servers.allSatisfy { server in
                let nodes = try Self.view(of: server)
                // A replica is named to clients when it has told how far it is.
                let named = Set(try server.cli("CLUSTER", "SLOTS").split(separator: "\n").compactMap { Int($0) })
                guard try server.cli("CLUSTER", "INFO").contains("cluster_state:ok"),
                    nodes.count(where: \.isMaster) == masters,
                    servers.allSatisfy({ named.contains($0.port) })
                else { return false }
                let role = try server.cli("INFO", "replication")
                return role.contains("role:master")
                    ? role.contains("connected_slaves:1") : role.contains("master_link_status:up")
            }
        }
    }

    private func meet(_ server: RedisServer, _ other: RedisServer) throws {
        let bus = try other.cli("CONFIG", "GET", "cluster-port").split(separator: "\n").last ?? ""
        try server.cli("CLUSTER", "MEET", "127.0.0.1", "\(other.port)", "\(bus)")
    }

    /// Another master, which serves no slot yet.
    package func addMaster() async throws -> RedisServer {
        let server = try await Self.startNode()
        let others = servers
        for other in others { try meet(server, other) }
        nodes.withLock { $0.append(server) }
        try await eventually("the new node is known to all, and serves") {
            try servers.allSatisfy {
                try Self.view(of: $0).count == others.count + 1
                    && $0.cli("CLUSTER", "INFO").contains("cluster_state:ok")
            }
        }
        return server
    }

    /// Removes a node that serves no slot any more, and ends it.
    package func remove(_ server: RedisServer) async throws {
        let id = try server.cli("CLUSTER", "MYID")
        nodes.withLock { $0.removeAll { $0 === server } }
        let others = servers
        // One that hears of it from another before it has forgotten it itself knows it again.
        try await eventually("the node is forgotten by all") {
            for other in others { try other.cli("CLUSTER", "FORGET", id) }
            return try others.allSatisfy { try !$0.cli("CLUSTER", "NODES").contains(id) }
        }
        server.kill()
    }

    // MARK: Looking

    /// The nodes as a server knows them.
    package static func view(of server: RedisServer) throws -> [Node] {
        try server.cli("CLUSTER", "NODES").split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 8, !words[2].contains("handshake"),
                let port = words[1].split(separator: "@").first?.split(separator: ":").last.flatMap({ Int($0) })
            else { return nil }
            let slots = words.dropFirst(8).compactMap { text -> ClosedRange<Int>? in
                let ends = text.split(separator: "-").compactMap { Int($0) }
                guard let first = ends.first, !text.hasPrefix("[") else { return nil }
                return first...(ends.last ?? first)
            }
            let isMaster = words[2].contains("master") && !words[2].contains("fail")
            return Node(id: words[0], port: port, isMaster: isMaster, slots: slots)
        }
    }

    package func slot(of key: String) throws -> Int {
        guard let running = servers.first(where: \.isRunning) else { return -1 }
        return Int(try running.cli("CLUSTER", "KEYSLOT", key)) ?? -1
    }

    /// The running server that says that it is the master of a slot.
    package func master(of slot: Int) throws -> RedisServer? {
        try servers.first { server in
            guard server.isRunning, try server.cli("ROLE").hasPrefix("master") else { return false }
            return try Self.view(of: server).contains { node in
                node.port == server.port && node.slots.contains { $0.contains(slot) }
            }
        }
    }

    // MARK: Taking over

    /// Makes a replica the master in place of its own, in good order: asks until it is.
    ///
    /// - Throws: if it is not within a minute; with the last answer.
    package func failOver(to replica: RedisServer) async throws {
        var nextTry = ContinuousClock.now
        var answer = ""
        do {
            try await eventually("the replica is a master") {
                if ContinuousClock.now >= nextTry {
                    answer = try replica.cli("CLUSTER", "FAILOVER")
                    // It gives up on its own after five.
                    nextTry += .seconds(6)
                }
                return try replica.cli("ROLE").hasPrefix("master")
            }
        } catch {
            throw NeverHappened(description: "\(error); CLUSTER FAILOVER: \(answer)")
        }
    }

    // MARK: Moving

    private func order(_ server: RedisServer, _ words: String...) throws {
        let answer = try server.cli(["CLUSTER"] + words)[0]
        guard answer == "OK" else {
            throw NeverHappened(description: "CLUSTER \(words.joined(separator: " ")): \(answer)")
        }
    }

    /// Begins to move a slot: from now on the new node is asked for what the old one does not have.
    package func beginMove(_ slot: Int, from old: RedisServer, to new: RedisServer) throws {
        try order(new, "SETSLOT", "\(slot)", "IMPORTING", old.cli("CLUSTER", "MYID"))
        try order(old, "SETSLOT", "\(slot)", "MIGRATING", new.cli("CLUSTER", "MYID"))
    }

    /// Moves keys of a slot, at most so many. Returns how many.
    package func moveKeys(_ slot: Int, from old: RedisServer, to new: RedisServer, limit: Int) throws -> Int {
        let keys = try old.cli("CLUSTER", "GETKEYSINSLOT", "\(slot)", "\(limit)").split(separator: "\n").map(
            String.init
        )
        guard !keys.isEmpty else { return 0 }
        let command = ["MIGRATE", "127.0.0.1", "\(new.port)", "", "0", "5000", "KEYS"] + keys
        let answer = try old.cli(command)[0]
        guard answer == "OK" || answer == "NOKEY" else { throw NeverHappened(description: "MIGRATE: \(answer)") }
        return keys.count
    }

    /// Ends it: the new node serves the slot.
    package func endMove(_ slot: Int, to new: RedisServer) throws {
        let id = try new.cli("CLUSTER", "MYID")
        // The new one first: between the two steps somebody must serve it.
        try order(new, "SETSLOT", "\(slot)", "NODE", id)
        for server in servers where server.isRunning && server.port != new.port {
            guard try server.cli("ROLE").hasPrefix("master") else { continue }
            try order(server, "SETSLOT", "\(slot)", "NODE", id)
        }
    }

    package func move(_ slot: Int, from old: RedisServer, to new: RedisServer) throws {
        try beginMove(slot, from: old, to: new)
        while try moveKeys(slot, from: old, to: new, limit: 10) > 0 {}
        try endMove(slot, to: new)
    }
}
