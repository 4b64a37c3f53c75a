import Foundation

/// A master with replicas, and Sentinels that know each other and watch it. All die with the process.
package final class SentinelSet: Sendable {
    package static let masterName = "the-master"

    /// The first was the master at first.
    package let servers: [RedisServer]
    package let sentinels: [RedisServer]

    private init(servers: [RedisServer], sentinels: [RedisServer]) {
        self.servers = servers
        self.sentinels = sentinels
    }

    package var uri: String { "redis-sentinel://\(places)/?master=\(Self.masterName)" }

    /// The Sentinels, with commas in between.
    package var places: String { sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") }

    /// Runs `body` with such servers, which are killed afterwards.
    ///
    /// - Parameters:
    ///   - replicas: how many beside the master.
    ///   - sentinels: how many Sentinels. The majority decides.
    ///   - serverArguments: for each redis-server, such as `--appendonly`, `yes`.
    ///   - sentinelArguments: such as `--requirepass`, `secret`.
    package static func withSet<Value>(
        replicas: Int = 2,
        sentinels: Int = 3,
        serverArguments: [String] = [],
        sentinelArguments: [String] = [],
        isolation: isolated (any Actor)? = #isolation,
        _ body: (SentinelSet) async throws -> Value
    ) async throws -> Value {
        await ServerSlots.shared.take()
        defer { ServerSlots.shared.giveBack() }
        let set = try await start(replicas, sentinels, serverArguments, sentinelArguments)
        defer { for server in set.servers + set.sentinels { server.kill() } }
        return try await body(set)
    }

    private static func start(
        _ replicas: Int,
        _ sentinels: Int,
        _ serverArguments: [String],
        _ arguments: [String]
    ) async throws -> SentinelSet {
        // A new replica is served at once, not after the default delay of seconds.
        let common =
            serverArguments + [
                "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
            ]
        var servers = [try await RedisServer.start(common)]
        let master = servers[0]
        for _ in 0..<replicas {
            servers.append(try await RedisServer.start(common + ["--replicaof", "127.0.0.1 \(master.port)"]))
        }
        try await eventually("the replicas are in step") {
            try servers.dropFirst().allSatisfy {
                try $0.cli("INFO", "replication").contains("master_link_status:up")
            }
        }
        let file = """
            sentinel monitor \(masterName) 127.0.0.1 \(master.port) \(sentinels / 2 + 1)
            sentinel down-after-milliseconds \(masterName) 1000
            sentinel failover-timeout \(masterName) 3000

            """
        var watching: [RedisServer] = []
        for _ in 0..<sentinels { watching.append(try await RedisServer.start(arguments, sentinelFile: file)) }
        let set = SentinelSet(servers: servers, sentinels: watching)
        guard sentinels > 1 else { return set }
        for sentinel in watching {
            // They would look for each other every two seconds.
            try sentinel.cli("SENTINEL", "DEBUG", "publish-period", "100", "info-period", "200", "ask-period", "100")
        }
        try await eventually("the Sentinels know each other and the replicas") {
            try watching.allSatisfy { sentinel in
                let facts = try sentinel.masterFacts()
                return facts["num-other-sentinels"] == "\(sentinels - 1)" && facts["num-slaves"] == "\(replicas)"
            }
        }
        for sentinel in watching {
            // Four of these periods after a replica has become a master, Sentinels that have not heard why make it a replica
            // again. On a busy machine the one that promotes it may not have said so in less than the default of seconds.
            try sentinel.cli("SENTINEL", "DEBUG", "publish-period", "2000")
        }
        return set
    }

    /// The server that runs and can be written to. One that changes its role closes its connections.
    package func master() -> RedisServer? {
        servers.first { $0.isRunning && (try? $0.cli("ROLE"))?.hasPrefix("master") == true }
    }

    /// Makes another server the master, in good order. Returns when the Sentinel that is asked sees the new one.
    ///
    /// An attempt ends without effect if no replica looks good enough to that Sentinel, as on a machine that is busy, so it
    /// is made again until it has succeeded.
    package func failOver() async throws {
        let sentinel = sentinels[0]
        let before = try sentinel.masterFacts()["port"]
        try await eventually("the Sentinels have made another one the master") {
            let facts = try sentinel.masterFacts()
            if facts["port"] != before { return true }
            if facts["flags"]?.contains("failover_in_progress") != true {
                try sentinel.cli("SENTINEL", "FAILOVER", Self.masterName)
            }
            return false
        }
    }
}

extension RedisServer {
    /// What a Sentinel says of the master.
    fileprivate func masterFacts() throws -> [String: String] {
        let lines = try cli("SENTINEL", "MASTER", SentinelSet.masterName).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        .map(String.init)
        return Dictionary(
            stride(from: 0, to: lines.count - 1, by: 2).map { (lines[$0], lines[$0 + 1]) },
            uniquingKeysWith: { first, _ in first }
        )
    }
}
