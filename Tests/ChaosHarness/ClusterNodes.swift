import TestSupport

/// Three masters with one replica each.
struct ClusterNodes: Nodes {
    let cluster: ClusterSet

    var uri: String { cluster.uri }
    var proxyTarget: Int? { nil }
    var isDurable: Bool { false }
    var replicas: Int { 1 }
    var servers: [RedisServer] { cluster.servers }

    func lane(_ seed: UInt64) -> FaultLane? {
        FaultLane(
            "nodes",
            seed: seed,
            pause: 1000...4000,
            [
                (.killNode, 3, 3000...6000), (.stopNode, 3, 200...8000), (.failOver, 2, 0...0),
                (.killReplica, 1, 0...3000),
                (.moveSlot, 4, 0...0), (.joinNode, 1, 500...3000), (.pauseClients, 2, 50...3000),
                (.sleep, 1, 100...3000),
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
        let masters = try await blocking { try self.masters() }
        guard masters.count == 3 else { throw ChaosFailure("there are \(masters.count) masters") }
        let master = masters[fault.choice % masters.count]
        let replicas = cluster.servers.filter { server in !masters.contains { $0 === server } }
        let replica = replicas[fault.choice % replicas.count]
        switch fault.kind {
        case .killNode: return try await restart(master, after: fault.length)
        case .killReplica: return try await restart(replica, after: fault.length)
        case .failOver:
            try await cluster.failOver(to: replica)
            return "node\(replica.port)"
        case .moveSlot:
            let (queue, slot, old) = try await queue(fault)
            let others = masters.filter { $0 !== old }
            let new = others[fault.choice % others.count]
            try await blocking { try cluster.move(slot, from: old, to: new) }
            return "slot of \(queue), node\(old.port) to node\(new.port)"
        case .joinNode:
            let (queue, slot, old) = try await queue(fault)
            let new = try await cluster.addMaster()
            try await blocking { try cluster.move(slot, from: old, to: new) }
            try await Task.sleep(for: .milliseconds(fault.length))
            try await blocking { try cluster.move(slot, from: new, to: old) }
            try await cluster.remove(new)
            return "slot of \(queue), node\(old.port) to node\(new.port) and back"
        default:
            guard let name = try await injectCommon(fault, masters) else {
                throw ChaosFailure("\(fault.kind) cannot happen to a Cluster")
            }
            return name
        }
    }

    /// A queue, its slot, and who serves it.
    private func queue(_ fault: Fault) async throws -> (name: String, slot: Int, master: RedisServer) {
        let queue = ChaosTask.queues[fault.choice % ChaosTask.queues.count]
        return try await blocking {
            let slot = try cluster.slot(of: "asynq:{\(queue)}:")
            guard let master = try cluster.master(of: slot) else { throw ChaosFailure("nobody serves slot \(slot)") }
            return (queue, slot, master)
        }
    }

    /// Until all nodes agree on three masters, each with a replica that is in step.
    func settle() async throws {
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

    // MARK: Who has taken over

    var witnesses: (servers: [RedisServer], question: [String]) { (cluster.servers, ["ROLE"]) }

    func master(_ answer: String, of witness: RedisServer) -> Int? {
        answer.hasPrefix("master") ? witness.port : nil
    }

    func queues(ofPort port: Int) throws -> Set<String> {
        guard let server = cluster.servers.first(where: { $0.port == port }) else { return [] }
        let slots = try ClusterSet.view(of: server).first { $0.port == port }?.slots ?? []
        return try Set(
            ChaosTask.queues.filter { queue in
                let slot = try cluster.slot(of: "asynq:{\(queue)}:")
                return slots.contains { $0.contains(slot) }
            }
        )
    }
}
