import TestSupport

/// A master, two replicas and three Sentinels.
struct SentinelNodes: Nodes {
    static let arguments = ["--appendonly", "yes", "--appendfsync", "everysec"]

    let redis: SentinelSet

    var uri: String { redis.uri }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { false }
    /// All of them: whichever becomes the master has each task.
    var replicas: Int { 2 }
    var servers: [RedisServer] { redis.servers + redis.sentinels }

    func lane(_ seed: UInt64) -> FaultLane? {
        FaultLane(
            "nodes",
            seed: seed,
            pause: 1000...4000,
            [
                (.killNode, 3, 2000...6000), (.stopNode, 3, 200...8000), (.failOver, 2, 0...0),
                (.killReplica, 2, 0...3000),
                (.killSentinel, 2, 0...4000), (.pauseClients, 2, 50...3000), (.sleep, 1, 100...3000),
                (.flushScripts, 2, 0...0), (.killClients, 2, 0...0), (.killListeners, 2, 0...0),
            ]
        )
    }

    func inject(_ fault: Fault) async throws -> String {
        let name = try await injectWithoutWaiting(fault)
        try await settle()
        return name
    }

    private func injectWithoutWaiting(_ fault: Fault) async throws -> String {
        if fault.kind == .killSentinel {
            return try await restart(redis.sentinels[fault.choice % redis.sentinels.count], after: fault.length)
        }
        guard let master = try await blocking({ redis.master() }) else { throw ChaosFailure("there is no master") }
        switch fault.kind {
        case .killNode: return try await restart(master, after: fault.length)
        case .killReplica:
            let replicas = redis.servers.filter { $0 !== master }
            return try await restart(replicas[fault.choice % replicas.count], after: fault.length)
        case .failOver:
            try await redis.failOver()
            return "node\(master.port)"
        default:
            guard let name = try await injectCommon(fault, [master]) else {
                throw ChaosFailure("\(fault.kind) cannot happen to Sentinels")
            }
            return name
        }
    }

    /// Until there is one master with two replicas that are in step, as the Sentinels see it too.
    func settle() async throws {
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
            SentinelSet.port(try sentinel.cli(witnesses.question)[0]) == master.port
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

    // MARK: Who has taken over

    var witnesses: (servers: [RedisServer], question: [String]) {
        (redis.sentinels, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelSet.masterName])
    }

    func master(_ answer: String, of witness: RedisServer) -> Int? { SentinelSet.port(answer) }

    func queues(ofPort port: Int) throws -> Set<String> { Set(ChaosTask.queues) }
}
