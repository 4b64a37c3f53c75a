import Foundation
import NIOCore
import RedisClient
import TestSupport
import Testing

/// The client and a real Cluster.
struct ClusterTests {
    private func run(_ redis: any RedisTopology, _ name: String, _ key: String, _ rest: String...) async throws
        -> RESPValue
    {
        try await redis.execute(RESPCommand(name, arguments: [key] + rest), to: .key(key))
    }

    @Test func `commands go to the nodes that serve their keys, and follow a slot to a new node`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set async throws in
            try await withClient(set.uri) { redis async throws in
                try await redis.runEventually("PING")
                for number in 0..<100 { _ = try await run(redis, "SET", "k\(number)", "\(number)") }
                let counts = try set.servers.prefix(3).map { Int(try $0.cli("DBSIZE")) ?? 0 }
                #expect(counts.allSatisfy { $0 > 0 } && counts.reduce(0, +) == 100)
                // As many connections as there are masters, once the short one that asked for the slots has ended.
                for server in set.servers.prefix(3) {
                    try await eventually("there is one connection") {
                        let clients = try server.cli("CLIENT", "LIST", "TYPE", "normal").split(separator: "\n")
                        return clients.count { $0.contains("name=swift-asynq") } == 1
                    }
                }
                let nodes = try await redis.nodes(of: .key("k1")).map(\.description)
                let holder = try #require(try set.master(of: set.slot(of: "k1")))
                #expect(nodes.count == 2 && nodes[0] == "127.0.0.1:\(holder.port)")

                // Each master can be asked for what is its own.
                let masters = try await redis.masters()
                #expect(Set(masters.map(\.description)) == Set(set.servers.prefix(3).map { "127.0.0.1:\($0.port)" }))
                var keys: [Int64] = []
                for master in masters {
                    keys.append(try await redis.execute(RESPCommand("DBSIZE"), to: .node(master)).int ?? 0)
                }
                #expect(keys.sorted() == counts.map(Int64.init).sorted())

                try await refusals(redis, set)
                try await move(redis, set)
            }
        }
    }

    /// Writes to a slot without a pause while it moves to a node that the client has not known.
    private func move(_ redis: any RedisTopology, _ set: ClusterSet) async throws {
        let slot = try set.slot(of: "{move}")
        let old = try #require(try set.master(of: slot))
        for number in 0..<50 { _ = try await run(redis, "SET", "{move}\(number)", "0") }
        let new = try await set.addMaster()
        // The new node's too.
        try set.setPatience(.seconds(30))
        let (turns, ends, moves) = (Recorder<Void>(), Recorder<Void>(), Recorder<Void>())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<4 {
                group.addTask {
                    defer { ends.add(()) }
                    for turn in 0... {
                        if turn >= 500, moves.count > 0 { return }
                        // None fails, wherever its key is at the moment.
                        _ = try await self.run(redis, "INCR", "{move}\((turn + caller) % 50)")
                        turns.add(())
                    }
                }
            }
            // A caller that ends now has failed: its error is thrown below.
            try await eventually("all write") { turns.count >= 100 || ends.count > 0 }
            try set.move(slot, from: old, to: new)
            moves.add(())
            try await group.waitForAll()
        }
        var sum = 0
        for number in 0..<50 { sum += Int(try new.cli("GET", "{move}\(number)")) ?? 0 }
        #expect(sum == turns.count)
        #expect(try old.cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "0")
        // Replicas are asked, too, and hear of it a little later.
        try await eventually("the new node is named") {
            let place = try? await redis.nodes(of: .key("{move}")).first?.description
            return place == "127.0.0.1:\(new.port)"
        }
    }

    /// What a node answers while a slot is on its way.
    private func refusals(_ redis: any RedisTopology, _ set: ClusterSet) async throws {
        let slot = try set.slot(of: "{ask}")
        let old = try #require(try set.master(of: slot))
        let new = try #require(set.servers.prefix(3).first { $0.port != old.port })
        _ = try await run(redis, "SET", "{ask}1", "a")
        _ = try await run(redis, "SET", "{ask}2", "b")
        try set.beginMove(slot, from: old, to: new)
        #expect(try set.moveKeys(slot, from: old, to: new, limit: 1) == 1)
        // One of the two is asked for at the new node.
        #expect(try await run(redis, "GET", "{ask}1").string == "a")
        #expect(try await run(redis, "GET", "{ask}2").string == "b")
        // Both together are nowhere, until they are at the new node.
        async let both = run(redis, "MGET", "{ask}1", "{ask}2")
        try await eventually("it was told to try again") {
            try old.cli("INFO", "errorstats").contains("errorstat_TRYAGAIN")
        }
        #expect(try set.moveKeys(slot, from: old, to: new, limit: 10) == 1)
        try set.endMove(slot, to: new)
        #expect(try await both.array?.map(\.string) == ["a", "b"])
        // A whole pipeline of which each command is refused.
        let commands = (1...20).map { RESPCommand("SET", "{ask}\($0)", "\($0)") }
        let replies = await redis.execute(commands, to: .key("{ask}"))
        #expect(try replies.map { try $0.get().string } == Array(repeating: "OK", count: 20))
        #expect(try new.cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "20")
    }

    /// The id of the node that a listener is connected to.
    private func node(of listener: RedisLane) async -> String? {
        await withCheckedContinuation { continuation in
            listener.submit([RESPCommand("CLUSTER", "MYID")]) { replies in
                continuation.resume(returning: try? replies[0].get().string)
            }
        }
    }

    @Test func `a replica that takes over is found, by those who listen too`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set async throws in
            try await withClient(set.uri, { $0.dialTimeout = .seconds(30) }) { redis async throws in
                try await redis.runEventually("PING")
                let slot = try set.slot(of: "k")
                let old = try #require(try set.master(of: slot))
                #expect(try await run(redis, "SET", "k", "1").string == "OK")
                let events = Recorder<RedisLane.ConnectionState>()
                let listener = redis.makeListener(for: .key("k")) { _ in
                } onState: {
                    events.add($0)
                }
                listener.open()
                await events.wait(for: 1)
                try set.setPatience(ClusterSet.littlePatience)
                old.kill()
                try await eventually("it can be written again") {
                    await (try? run(redis, "SET", "k", "2")) != nil
                }
                let new = try #require(try set.master(of: slot))
                #expect(new.port != old.port)
                #expect(try new.cli("GET", "k") == "2")
                await events.wait(for: 3)
                let id = try new.cli("CLUSTER", "MYID")
                try await eventually("the listener is at the new master") { await node(of: listener) == id }
                // Others were not held up, and any node will do for what has no key.
                #expect(await redis.failure() == nil)
                await listener.shutdown()
            }
        }
    }

    @Test func `what is no Cluster, or is not there, is told`() async throws {
        try await RedisServer.withServer { server async throws in
            let uri = "redis-cluster://127.0.0.1:\(server.port)"
            _ = try await firstFailure(uri, saying: "no node tells of the Cluster", "cluster support disabled")
        }
        let uri = "redis-cluster://127.0.0.1:\(try RedisServer.freePort())"
        let error = try await firstFailure(uri, saying: "connection refused")
        #expect(error.code == .connectionFailed)
    }
}
