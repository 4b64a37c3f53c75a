import Foundation

/// A master with replicas, and Sentinels that know each other and watch it. All die with the process.
package final class SentinelSet: Sendable {
    package static let masterName = "the-master"
    /// How long the master is silent before it counts as dead: little, for tests in which it dies.
    package static let littlePatience = Duration.seconds(1)

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
    ///   - patience: how long the master may be silent before another takes its place. More where it is not to die, as this
    ///     machine may be busy.
    ///   - replicas: how many beside the master.
    ///   - sentinels: how many Sentinels. The majority decides.
    ///   - serverArguments: for each redis-server, such as `--appendonly`, `yes`.
    ///   - sentinelArguments: such as `--requirepass`, `secret`.
    package static func withSet<Value>(
        patience: Duration = littlePatience,
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
        if patience != littlePatience { try set.setPatience(patience) }
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
            sentinel down-after-milliseconds \(masterName) \(Int(littlePatience / .milliseconds(1)))
            sentinel failover-timeout \(masterName) 3000

            """
        var watching: [RedisServer] = []
        for _ in 0..<sentinels { watching.append(try await RedisServer.start(arguments, sentinelFile: file)) }
        let set = SentinelSet(servers: servers, sentinels: watching)
        guard sentinels > 1 else { return set }
        for sentinel in watching {
            // They would look for each other every two seconds.
            try sentinel.cli("SENTINEL", "DEBUG", "publish-period", "500", "info-period", "500", "ask-period", "100")
        }
        try await eventually("the Sentinels know each other and the replicas") {
            try watching.allSatisfy { sentinel in
                let facts = try sentinel.cli("SENTINEL", "MASTER", masterName).split(separator: "\n").map(String.init)
                func fact(_ name: String) -> Int? {
                    facts.firstIndex(of: name).flatMap { Int(facts[$0 + 1]) }
                }
                return fact("num-other-sentinels") == sentinels - 1 && fact("num-slaves") == replicas
            }
        }
        for sentinel in watching {
            // Four of these periods after a replica has become a master, Sentinels that have not heard why make it a replica
            // again. On a busy machine the one that promotes it may not have said so in less than the default of seconds.
            try sentinel.cli("SENTINEL", "DEBUG", "publish-period", "2000")
        }
        return set
    }

    /// How long the master may be silent from now on before another takes its place.
    package func setPatience(_ patience: Duration) throws {
        let limit = "\(Int(patience / .milliseconds(1)))"
        for sentinel in sentinels {
            let answer = try sentinel.cli("SENTINEL", "SET", Self.masterName, "down-after-milliseconds", limit)
            guard answer == "OK" else { throw NeverHappened(description: "SENTINEL SET: \(answer)") }
        }
    }

    /// The server that runs and can be written to. One that changes its role closes its connections.
    package func master() -> RedisServer? {
        servers.first { $0.isRunning && (try? $0.cli("ROLE"))?.hasPrefix("master") == true }
    }

    /// Where a Sentinel says the master is; `nil` if it says nothing of use.
    package static func port(_ answer: String) -> Int? {
        let lines = answer.split(separator: "\n")
        return lines.count == 2 ? Int(lines[1]) : nil
    }

    /// Makes another server the master, in good order: asks until a Sentinel names another one. On a busy machine it has no
    /// replica to choose at a moment, or gives up.
    ///
    /// - Throws: for an answer that does not say "not now", and after a minute.
    package func failOver() async throws {
        let sentinel = sentinels[0]
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName]
        let old = Self.port(try sentinel.cli(question)[0])
        var nextTry = ContinuousClock.now
        try await eventually("the Sentinels name another master") {
            if ContinuousClock.now >= nextTry {
                let answer = try sentinel.cli("SENTINEL", "FAILOVER", Self.masterName)
                guard ["OK", "NOGOODSLAVE", "INPROG"].contains(answer.prefix { $0 != " " }) else {
                    throw NeverHappened(description: "SENTINEL FAILOVER: \(answer)")
                }
                nextTry += .seconds(1)
            }
            return Self.port(try sentinel.cli(question)[0]) != old
        }
    }
}
