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
    /// How many replicas each enqueue waits for.
    var replicas: Int { get }
    /// What goes wrong with the servers; none: nothing does.
    func lane(_ seed: UInt64) -> FaultLane?
    /// Makes something go wrong, and well again.
    ///
    /// - Returns: to whom.
    /// - Throws: ``NotNow`` if there is nobody whom it can happen to; any other error if it did not come about as it should.
    func inject(_ fault: Fault) async throws -> String
    /// Waits until all servers have the roles that they should have, and the same data.
    func settle() async throws
    /// Brings all servers back. They serve when it returns.
    func heal() async throws
    /// The servers that hold data, one for each part of it.
    func masters() throws -> [RedisServer]
    /// All servers, for their logs.
    var servers: [RedisServer] { get }
    /// Who knows which server is a master, and what to ask them; none: no other one can take over.
    var witnesses: (servers: [RedisServer], question: [String]) { get }
    /// The port of the master by the answer of a witness; `nil`: it names none.
    func master(_ answer: String, of witness: RedisServer) -> Int?
    /// The queues that the master at a port serves.
    func queues(ofPort port: Int) throws -> Set<String>
}

extension Nodes {
    var witnesses: (servers: [RedisServer], question: [String]) { ([], []) }
    func master(_ answer: String, of witness: RedisServer) -> Int? { nil }
    func queues(ofPort port: Int) throws -> Set<String> { [] }

    /// CLIENT KILL, CLIENT PAUSE and the like.
    ///
    /// - Returns: `nil` if it is something else.
    func injectCommon(_ fault: Fault, _ masters: [RedisServer]) async throws -> String? {
        guard let server = masters.isEmpty ? nil : masters[fault.choice % masters.count] else {
            throw ChaosFailure("there is no master")
        }
        let name = "node\(server.port)"
        func answer(_ words: [String], of server: RedisServer) async throws -> String {
            try await blocking { try server.cli(words)[0] }
        }
        func run(_ words: String...) async throws {
            let answer = try await answer(words, of: server)
            guard answer == "OK" else { throw ChaosFailure("\(words[0]): \(answer)") }
        }
        func killConnections(_ words: String...) async throws {
            // Listeners are not at every master.
            var total = 0
            for master in words.contains("pubsub") ? masters : [server] {
                let answer = try await answer(["CLIENT", "KILL"] + words, of: master)
                guard let count = Int(answer) else { throw ChaosFailure("CLIENT KILL: \(answer)") }
                total += count
            }
            guard total > 0 else { throw NotNow("\(name) has no such connection") }
        }
        switch fault.kind {
        case .pauseClients:
            try await run("CLIENT", "PAUSE", "\(fault.length)", fault.choice.isMultiple(of: 2) ? "WRITE" : "ALL")
            try await Task.sleep(for: .milliseconds(fault.length))
        case .sleep:
            try await run("DEBUG", "SLEEP", "\(Double(fault.length) / 1000)")
        case .flushScripts:
            for master in masters {
                let answer = try await answer(["SCRIPT", "FLUSH"], of: master)
                guard answer == "OK" else { throw ChaosFailure("SCRIPT FLUSH: \(answer)") }
            }
        case .killClients: try await killConnections("TYPE", "normal", "SKIPME", "yes")
        case .killListeners: try await killConnections("TYPE", "pubsub")
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

    /// SIGKILL, and another start after a while.
    func restart(_ server: RedisServer, after milliseconds: Int) async throws -> String {
        guard server.isRunning else { throw ChaosFailure("node\(server.port) has ended on its own") }
        server.kill()
        try await Task.sleep(for: .milliseconds(milliseconds))
        try await server.start()
        return "node\(server.port)"
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
    var replicas: Int { 0 }
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
        return try await restart(server, after: fault.length)
    }

    func settle() async throws {
        try await eventually("the server answers") { try await blocking { try server.cli("PING") } == "PONG" }
    }

    func heal() async throws {
        if !server.isRunning { try await server.start() }
        server.resume()
        try await settle()
        _ = try await blocking { try server.cli("CONFIG", "SET", "maxmemory", "0") }
    }

    func masters() throws -> [RedisServer] { [server] }
}

/// A file that all processes share.
struct FileNodes: Nodes {
    let path: String

    var uri: String { "sqlite:\(path)" }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { true }
    var replicas: Int { 0 }
    var servers: [RedisServer] { [] }

    func lane(_ seed: UInt64) -> FaultLane? { nil }
    func inject(_ fault: Fault) async throws -> String { throw ChaosFailure("\(fault.kind) cannot happen to a file") }
    func settle() async throws {}
    func heal() async throws {}
    func masters() throws -> [RedisServer] { [] }
}
