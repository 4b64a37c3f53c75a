import Asynq
import AsynqRedis
import RedisClient
import TestSupport
import Testing

/// What must have a task before its enqueue is acknowledged.
struct DurabilityTests {
    private func withBroker(
        _ durability: RedisDurability,
        _ body: (RedisBroker, RedisServer, RedisServer) async throws -> Void
    ) async throws {
        try await SentinelSet.withSet(replicas: 1, sentinels: 0) { set in
            let (master, replica) = (set.servers[0], set.servers[1])
            let broker = try RedisBroker(
                configuration: try .patient(master.uri),
                durability: durability,
                logger: .silent
            )
            try await body(broker, master, replica)
            await broker.shutdown()
        }
    }

    private func enqueue(_ id: String, _ broker: RedisBroker, start: EnqueueRequest.Start = .now) async -> AsynqError? {
        let request = EnqueueRequest(message: message(id), start: start)
        guard case .failure(let error) = await broker.enqueue([request])[0] else { return nil }
        return error
    }

    @Test func `an enqueue that waits for replicas is acknowledged when they have it`() async throws {
        try await withBroker(.replicas(1, within: .seconds(60))) { broker, master, replica in
            #expect(await enqueue("a", broker) == nil)
            #expect(try replica.cli("LRANGE", "asynq:{default}:pending", "0", "-1") == "a")
            #expect(await enqueue("b", broker, start: .after(milliseconds: 60_000)) == nil)
            #expect(try replica.cli("ZCARD", "asynq:{default}:scheduled") == "1")
            // A script that the master has forgotten is sent in full, and waited for as well.
            try master.cli("SCRIPT", "FLUSH")
            #expect(await enqueue("c", broker) == nil)
            #expect(try replica.cli("LLEN", "asynq:{default}:pending") == "2")
            #expect(await enqueue("a", broker)?.code == .taskIDConflict)
        }
    }

    @Test func `an enqueue that too few replicas confirm says so, and the task is stored`() async throws {
        try await withBroker(.replicas(2, within: .seconds(2))) { broker, master, _ in
            for (id, start) in [("a", EnqueueRequest.Start.now), ("b", .after(milliseconds: 60_000))] {
                let error = try #require(await enqueue(id, broker, start: start))
                #expect(error.code == .notReplicated)
                // The one that there is may not have had its turn.
                #expect(error.message.contains(#/only [01] of 2 replicas have confirmed it/#), "\(error)")
                #expect(try master.cli("EXISTS", "asynq:{default}:t:\(id)") == "1")
            }
            // That the id is there already is no answer as long as it may be lost.
            #expect(await enqueue("a", broker)?.code == .notReplicated)
        }
    }

    @Test func `an enqueue whose master becomes a replica meanwhile may be tried again`() async throws {
        try await withBroker(.replicas(1, within: .seconds(60))) { broker, master, replica in
            #expect(await enqueue("a", broker) == nil)
            replica.suspend()
            async let outcome = enqueue("b", broker)
            try await eventually("the enqueue waits for replicas") {
                try master.cli("INFO", "clients").contains("blocked_clients:1")
            }
            try master.cli("REPLICAOF", "127.0.0.1", "1")
            // Nobody knows whether the new master has it: no failure of the task's, and no "it is stored".
            let error = try #require(await outcome)
            #expect(error.code == .brokerUnavailable, "\(error)")
            #expect((error.cause as? RedisError)?.serverCode == "UNBLOCKED", "\(error)")
        }
    }

    /// Which of the two depends on the server of the tests: `ASYNQ_REDIS_SERVER` names another one.
    @Test func `an enqueue that waits for the append-only file is acknowledged, or refused by a Redis that is too old`()
        async throws
    {
        try await RedisServer.withServer(["--appendonly", "yes"]) { server in
            let broker = try RedisBroker(
                configuration: .patient(server.uri),
                durability: .appendOnlyFiles(within: .seconds(60)),
                logger: .silent
            )
            let error = await enqueue("a", broker)
            await broker.shutdown()
            if try server.cli("COMMAND", "INFO", "waitaof").isEmpty {
                #expect(error?.code == .brokerFailure && error?.message.contains("WAITAOF") == true)
            } else {
                #expect(error == nil)
            }
            #expect(try server.cli("LLEN", "asynq:{default}:pending") == "1")
        }
    }

    @Test func `who does not enqueue is not held up by a replica that hangs`() async throws {
        try await withBroker(.replicas(1, within: .seconds(60))) { broker, _, replica in
            #expect(await enqueue("a", broker) == nil)
            replica.suspend()
            async let second = enqueue("b", broker)
            var taken: [String] = []
            try await eventually("the task is stored and taken, though its enqueue is not acknowledged") {
                taken += try await broker.take(10).map(\.message.id)
                return taken == ["a", "b"]
            }
            replica.resume()
            #expect(await second == nil)
        }
    }

    @Test func `numbers that make no sense are refused`() {
        let refused: [RedisDurability] = [
            .replicas(0), .replicas(-1), .replicas(1, within: .zero), .replicas(1, within: .microseconds(900)),
            .appendOnlyFiles(replicas: -1), .appendOnlyFiles(within: .zero),
        ]
        for durability in refused {
            let error = #expect(throws: RedisError.self) {
                try RedisBroker(configuration: RedisConfiguration(), durability: durability, logger: .silent)
            }
            #expect(error?.code == .invalidConfiguration && error?.message.contains("durability") == true)
        }
    }
}
