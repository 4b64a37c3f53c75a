import Foundation
import NIOCore
import RedisClient
import TestSupport
import Testing

/// The client and real Sentinels with real servers.
struct SentinelTests {
    @Test func `another master is found when the old one dies, and used again when it comes back as a replica`()
        async throws
    {
        try await SentinelSet.withSet(patience: .seconds(30)) { set async throws in
            try await withClient(set.uri, { $0.dialTimeout = .seconds(30) }) { redis async throws in
                try await redis.runEventually("SET", "k", "1")
                #expect(try set.servers[0].cli("GET", "k") == "1")
                try set.setPatience(SentinelSet.littlePatience)
                set.servers[0].kill()
                // Waits for the new master, within the time-out for connecting. A server that changes its role closes its
                // connections.
                try await eventually("the new master is written to") {
                    await redis.failure(of: "SET", "k", "2") == nil && (try? set.master()?.cli("GET", "k")) == "2"
                }

                // From now on none is replaced.
                try set.setPatience(.seconds(30))
                try await set.servers[0].start()
                try await eventually("the old master follows the new one") {
                    let role = try? set.servers[0].cli("INFO", "replication")
                    return role?.contains("master_link_status:up") == true
                }
                // Whoever is the master by now.
                try await eventually("the master has kept it") { (try? set.master()?.cli("GET", "k")) == "2" }
                try await eventually("the master is written to") {
                    await redis.failure(of: "SET", "k", "3") == nil && (try? set.master()?.cli("GET", "k")) == "3"
                }
            }
        }
    }

    @Test func `a change of the master in good order is followed, by those who listen too`() async throws {
        try await SentinelSet.withSet(patience: .seconds(30)) { set async throws in
            try await withClient(set.uri, { $0.dialTimeout = .seconds(30) }) { redis async throws in
                let events = Recorder<String>()
                let listener = redis.makeListener(for: .any) { push in
                    if case .message(_, let payload) = push { events.add(String(buffer: payload)) }
                } onState: { state in
                    events.add("\(state)")
                }
                listener.open()
                await events.wait(for: 1)
                let old = try #require(set.master())
                try await set.failOver()
                try await eventually("another one is the master") {
                    guard let master = set.master() else { return false }
                    return master.port != old.port
                }
                // Dropped and there again, and on the new master.
                await events.wait(for: 3)
                #expect(Array(events.elements.prefix(3)) == ["connected", "disconnected", "connected"])
                try await eventually("commands go to the new master") {
                    guard await redis.failure(of: "SET", "k", "1") == nil, let master = set.master() else {
                        return false
                    }
                    return master.port != old.port && (try? master.cli("GET", "k")) == "1"
                }
                await listener.shutdown()
            }
        }
    }

    @Test func `a master that hangs is given up for the new one`() async throws {
        try await SentinelSet.withSet(patience: .seconds(30)) { set async throws in
            try await withClient(set.uri, { $0.readTimeout = .seconds(300) }) { redis async throws in
                try await redis.runEventually("SET", "k", "1")
                let (old, others) = (set.servers[0], set.servers.dropFirst())
                #expect(try old.cli("GET", "k") == "1")
                try set.setPatience(SentinelSet.littlePatience)
                old.suspend()
                // Sent to the one that hangs: the Sentinels' message ends the wait, not a time-out.
                let error = await redis.failure(of: "SET", "k", "2")
                #expect(error == nil || error?.code == .connectionLost)
                try await eventually("the new master is written to") {
                    guard await redis.failure(of: "SET", "k", "3") == nil else { return false }
                    return others.contains { server in
                        (try? server.cli("ROLE"))?.hasPrefix("master") == true && (try? server.cli("GET", "k")) == "3"
                    }
                }

                // From now on none is replaced.
                try set.setPatience(.seconds(30))
                old.resume()
                try await eventually("the old master is a replica") {
                    (try? old.cli("ROLE"))?.hasPrefix("slave") == true
                }
                // Whoever is the master by now.
                try await eventually("the master has kept it") { (try? set.master()?.cli("GET", "k")) == "3" }
                try await eventually("the master is written to") {
                    await redis.failure(of: "SET", "k", "4") == nil && (try? set.master()?.cli("GET", "k")) == "4"
                }
            }
        }
    }

    @Test func `a demoted master that refuses writes is left, and what it refused is written to a master`() async throws
    {
        try await SentinelSet.withSet(patience: .seconds(30), replicas: 0, sentinels: 1) { set async throws in
            try await RedisServer.withServer { other async throws in
                try await withClient(set.uri, { $0.dialTimeout = .seconds(60) }) { redis async throws in
                    try await redis.runEventually("SET", "k", "1")
                    let master = set.servers[0]
                    try master.cli("REPLICAOF", "127.0.0.1", "\(other.port)")
                    async let reply = redis.run("SET", "k", "2")
                    try await eventually("it was refused") {
                        try master.cli("INFO", "errorstats").contains("errorstat_READONLY")
                    }
                    try master.cli("REPLICAOF", "NO", "ONE")
                    #expect(try await reply.string == "OK")
                    #expect(try master.cli("GET", "k") == "2")
                }
            }
        }
    }

    @Test func `without any Sentinel the master is used on, and one that is lost is found when they are back`()
        async throws
    {
        try await SentinelSet.withSet(patience: .seconds(30), replicas: 0) { set async throws in
            try await withClient(set.uri, { $0.dialTimeout = .milliseconds(400) }) { redis async throws in
                try await redis.runEventually("SET", "k", "1")
                for sentinel in set.sentinels { sentinel.kill() }
                #expect(try await redis.run("INCR", "k").int == 2)

                try set.servers[0].cli("CLIENT", "KILL", "TYPE", "normal")
                // A caller has an answer after its own time-out.
                try await eventually("it says what is missing") {
                    guard let error = await redis.failure(of: "INCR", "k") else { return false }
                    return error.code == .connectionFailed && error.message.contains("no Sentinel says where")
                }
                for sentinel in set.sentinels { try await sentinel.start() }
                try await eventually("the master is found again") { await redis.failure() == nil }
            }
        }
    }

    @Test func `a wrong password of the Sentinels, and an unknown name of the master, are told`() async throws {
        try await SentinelSet.withSet(
            replicas: 0,
            sentinels: 1,
            sentinelArguments: ["--requirepass", "hunter2"]
        ) { set async throws in
            let name = SentinelSet.masterName
            try await withClient("redis-sentinel://:hunter2@\(set.places)?master=\(name)") { redis async throws in
                try await redis.runEventually("PING")
            }

            let wrong = try await firstFailure(
                "redis-sentinel://:hunter3@\(set.places)?master=\(name)",
                saying: "wrong user or password for the Sentinel"
            )
            #expect(wrong.code == .authenticationFailed)
            #expect(!"\(wrong)".contains("hunter"))
            let none = try await firstFailure(
                "redis-sentinel://\(set.places)?master=\(name)",
                saying: "the Sentinel at"
            )
            #expect(none.code == .authenticationFailed)

            let unknown = try await firstFailure(
                "redis-sentinel://:hunter2@\(set.places)?master=nosuch",
                saying: "watches no master named \"nosuch\""
            )
            #expect(unknown.code == .connectionFailed)
        }
    }
}
