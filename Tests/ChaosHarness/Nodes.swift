import Foundation
import TestSupport

/// What a run's processes work on, and what can go wrong with it.
protocol Nodes: Sendable {
    /// For clients that no proxy stands before.
    var uri: String { get }
    /// The port that proxies stand before; `nil` if there can be none.
    var proxyTarget: Int? { get }
    /// Whether each acknowledged task is promised to survive.
    var isDurable: Bool { get }
    /// Whether enqueues wait for a replica.
    var isConfirmed: Bool { get }
    /// What goes wrong with the servers; none: nothing does.
    func lane(_ seed: UInt64) -> FaultLane?
    /// Makes something go wrong, and well again.
    ///
    /// - Returns: to whom.
    func inject(_ fault: Fault) async throws -> String
    /// Brings all servers back. They serve when it returns.
    func heal() async throws
    /// The servers that hold data, one for each part of it.
    func masters() throws -> [RedisServer]
    /// All servers, for their logs.
    var servers: [RedisServer] { get }
}

extension Nodes {
    /// CLIENT KILL, CLIENT PAUSE and the like.
    ///
    /// - Returns: `nil` if it is something else.
    func injectCommon(_ fault: Fault, _ masters: [RedisServer]) async throws -> String? {
        guard let server = masters.isEmpty ? nil : masters[fault.choice % masters.count] else {
            throw ChaosFailure("there is no master")
        }
        let name = "node\(server.port)"
        func run(_ words: String...) async throws {
            let answer = try await blocking { try server.cli(words)[0] }
            guard !answer.hasPrefix("ERR") else { throw ChaosFailure("\(words[0]): \(answer)") }
        }
        switch fault.kind {
        case .pauseClients:
            try await run("CLIENT", "PAUSE", "\(fault.length)", fault.choice.isMultiple(of: 2) ? "WRITE" : "ALL")
            try await Task.sleep(for: .milliseconds(fault.length))
        case .sleep:
            try await run("DEBUG", "SLEEP", "\(Double(fault.length) / 1000)")
        case .flushScripts:
            for master in masters { _ = try await blocking { try master.cli("SCRIPT", "FLUSH") } }
        case .killClients:
            try await run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        case .killListeners:
            try await run("CLIENT", "KILL", "TYPE", "pubsub")
        case .fillMemory:
            try await run("CONFIG", "SET", "maxmemory", "1")
            try await Task.sleep(for: .milliseconds(fault.length))
            try await run("CONFIG", "SET", "maxmemory", "0")
        case .stopNode:
            server.suspend()
            try await Task.sleep(for: .milliseconds(fault.length))
            server.resume()
        default: return nil
        }
        return name
    }
}

/// Runs what blocks on a thread of its own kind, so that nothing else waits for it.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}

/// One Redis with an append-only file.
struct StandaloneNodes: Nodes {
    let server: RedisServer
    /// `appendfsync always`, rather than `everysec`.
    let isSynced: Bool

    static func arguments(isSynced: Bool) -> [String] {
        ["--appendonly", "yes", "--appendfsync", isSynced ? "always" : "everysec"]
    }

    var uri: String { server.uri }
    var proxyTarget: Int? { server.port }
    var isDurable: Bool { isSynced }
    var isConfirmed: Bool { false }
    var servers: [RedisServer] { [server] }

    func lane(_ seed: UInt64) -> FaultLane? {
        FaultLane(
            "nodes",
            seed: seed,
            pause: 1000...5000,
            [
                (.killNode, 4, 0...3000), (.stopNode, 2, 50...4500), (.pauseClients, 2, 50...4000),
                (.sleep, 1, 100...2000),
                (.flushScripts, 3, 0...0), (.killClients, 3, 0...0), (.killListeners, 2, 0...0),
                (.fillMemory, 2, 100...1500),
            ]
        )
    }

    func inject(_ fault: Fault) async throws -> String {
        if let name = try await injectCommon(fault, [server]) { return name }
        server.kill()
        try await Task.sleep(for: .milliseconds(fault.length))
        try await server.start()
        return "node\(server.port)"
    }

    func heal() async throws {
        if !server.isRunning { try await server.start() }
        server.resume()
        try await eventually("the server answers") { try await blocking { try server.cli("PING") } == "PONG" }
        _ = try await blocking { try server.cli("CONFIG", "SET", "maxmemory", "0") }
    }

    func masters() throws -> [RedisServer] { [server] }
}

/// A master, two replicas and three Sentinels.
struct SentinelNodes: Nodes {
    static let arguments = ["--appendonly", "yes", "--appendfsync", "everysec"]

    let redis: SentinelSet

    var uri: String { redis.uri }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { false }
    var isConfirmed: Bool { true }
    var servers: [RedisServer] { redis.servers + redis.sentinels }

    func lane(_ seed: UInt64) -> FaultLane? {
        FaultLane(
            "nodes",
            seed: seed,
            pause: 1000...5000,
            [
                (.killNode, 3, 2000...6000), (.stopNode, 3, 200...8000), (.failOver, 2, 0...0),
                (.killReplica, 2, 0...3000),
                (.killSentinel, 2, 0...4000), (.pauseClients, 2, 50...3000), (.sleep, 1, 100...3000),
                (.flushScripts, 2, 0...0), (.killClients, 2, 0...0), (.killListeners, 2, 0...0),
            ]
        )
    }

    func inject(_ fault: Fault) async throws -> String {
        if fault.kind == .killSentinel {
            return try await restart(redis.sentinels[fault.choice % redis.sentinels.count], after: fault.length)
        }
        guard let master = try await blocking({ redis.master() }) else { throw ChaosFailure("there is no master") }
        switch fault.kind {
        case .killNode:
            let name = try await restart(master, after: fault.length)
            try await settle()
            return name
        case .killReplica:
            let replicas = redis.servers.filter { $0 !== master }
            let name = try await restart(replicas[fault.choice % replicas.count], after: fault.length)
            try await settle()
            return name
        case .failOver:
            try await redis.failOver()
            try await eventually("another server is the master") { try await blocking { redis.master() } !== master }
            try await settle()
            return "node\(master.port)"
        default:
            guard let name = try await injectCommon(fault, [master]) else {
                throw ChaosFailure("\(fault.kind) cannot happen to Sentinels")
            }
            try await settle()
            return name
        }
    }

    private func restart(_ server: RedisServer, after milliseconds: Int) async throws -> String {
        server.kill()
        try await Task.sleep(for: .milliseconds(milliseconds))
        try await server.start()
        return "node\(server.port)"
    }

    /// Until there is one master with two replicas that are in step, as the Sentinels see it too.
    private func settle() async throws {
        try await eventually("there is one master with its replicas") {
            // One that is on its way back does not answer.
            (try? await blocking { try isSettled() }) == true
        }
    }

    private func isSettled() throws -> Bool {
        let roles = try redis.servers.map { try $0.cli("INFO", "replication") }
        guard roles.count(where: { $0.contains("role:master") }) == 1,
            roles.count(where: { $0.contains("master_link_status:up") }) == redis.servers.count - 1,
            let master = zip(redis.servers, roles).first(where: { $1.contains("role:master") })?.0
        else { return false }
        return try redis.sentinels.allSatisfy { sentinel in
            try sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelSet.masterName)
                == "127.0.0.1\n\(master.port)"
        }
    }

    func heal() async throws {
        for server in servers {
            if !server.isRunning { try await server.start() }
            server.resume()
        }
        try await settle()
    }

    func masters() throws -> [RedisServer] { redis.master().map { [$0] } ?? [] }
}

/// Three masters with one replica each.
struct ClusterNodes: Nodes {
    let cluster: ClusterSet

    var uri: String { cluster.uri }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { false }
    var isConfirmed: Bool { true }
    var servers: [RedisServer] { cluster.servers }

    func lane(_ seed: UInt64) -> FaultLane? {
        FaultLane(
            "nodes",
            seed: seed,
            pause: 1000...5000,
            [
                (.killNode, 3, 3000...6000), (.stopNode, 3, 200...8000), (.failOver, 2, 0...0),
                (.killReplica, 1, 0...3000),
                (.moveSlot, 4, 0...0), (.pauseClients, 2, 50...3000), (.sleep, 1, 100...3000),
                (.flushScripts, 2, 0...0), (.killClients, 2, 0...0), (.killListeners, 2, 0...0),
            ]
        )
    }

    func inject(_ fault: Fault) async throws -> String {
        let masters = try await blocking { try self.masters() }
        guard masters.count == 3 else { throw ChaosFailure("there are \(masters.count) masters") }
        let master = masters[fault.choice % masters.count]
        let replicas = cluster.servers.filter { server in !masters.contains { $0 === server } }
        let replica = replicas[fault.choice % replicas.count]
        switch fault.kind {
        case .killNode, .killReplica:
            let server = fault.kind == .killNode ? master : replica
            server.kill()
            try await Task.sleep(for: .milliseconds(fault.length))
            try await server.start()
            try await settle()
            return "node\(server.port)"
        case .failOver:
            _ = try await blocking { try replica.cli("CLUSTER", "FAILOVER") }
            try await eventually("the replica is a master") {
                try await blocking { try replica.cli("ROLE").hasPrefix("master") }
            }
            try await settle()
            return "node\(replica.port)"
        case .moveSlot:
            let queue = ChaosTask.queues[fault.choice % ChaosTask.queues.count]
            return try await blocking {
                let slot = try cluster.slot(of: "asynq:{\(queue)}:")
                guard let old = try cluster.master(of: slot) else { throw ChaosFailure("nobody serves slot \(slot)") }
                let others = masters.filter { $0 !== old }
                let new = others[fault.choice % others.count]
                try cluster.move(slot, from: old, to: new)
                return "slot of \(queue), node\(old.port) to node\(new.port)"
            }
        default:
            guard let name = try await injectCommon(fault, masters) else {
                throw ChaosFailure("\(fault.kind) cannot happen to a Cluster")
            }
            try await settle()
            return name
        }
    }

    /// Until all nodes agree on three masters, each with a replica that is in step.
    private func settle() async throws {
        try await eventually("the Cluster is whole") {
            // One that is on its way back does not answer.
            (try? await blocking { try isSettled() }) == true
        }
    }

    private func isSettled() throws -> Bool {
        try cluster.servers.allSatisfy { server in
            guard try server.cli("CLUSTER", "INFO").contains("cluster_state:ok") else { return false }
            let nodes = try ClusterSet.view(of: server)
            guard nodes.count == cluster.servers.count, nodes.count(where: \.isMaster) == 3 else { return false }
            let role = try server.cli("INFO", "replication")
            return role.contains("role:master")
                ? role.contains("connected_slaves:1") : role.contains("master_link_status:up")
        }
    }

    func heal() async throws {
        for server in servers {
            if !server.isRunning { try await server.start() }
            server.resume()
        }
        try await settle()
    }

    func masters() throws -> [RedisServer] {
        try cluster.servers.filter { server in
            guard server.isRunning else { return false }
            return try server.cli("ROLE").hasPrefix("master")
        }
    }
}

/// A file that all processes share.
struct FileNodes: Nodes {
    let path: String

    var uri: String { "sqlite:\(path)" }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { true }
    var isConfirmed: Bool { false }
    var servers: [RedisServer] { [] }

    func lane(_ seed: UInt64) -> FaultLane? { nil }
    func inject(_ fault: Fault) async throws -> String { throw ChaosFailure("\(fault.kind) cannot happen to a file") }
    func heal() async throws {}
    func masters() throws -> [RedisServer] { [] }
}
