import Asynq
import AsynqRedis
import TestSupport
import Testing

/// A Redis that has reached its `maxmemory` and evicts nothing: what is new is refused, what is there can be worked off.
struct FullRedisTests {
    private func isFull(_ error: (any Error)?) -> Bool {
        let error = error as? AsynqError
        return error?.code == .brokerFull && error?.message.contains("maxmemory") == true
    }

    private func isFull<Value>(_ body: () async throws -> Value) async -> Bool {
        do {
            _ = try await body()
            return false
        } catch {
            return isFull(error)
        }
    }

    @Test func `a full Redis refuses new tasks with an error that says so, and lets all others run to their ends`()
        async throws
    {
        try await withBroker { broker, redis in
            var kept = message("kept")
            kept.retention = 60
            let requests =
                ["done", "dropped", "retried", "failed", "back", "leased"].map { EnqueueRequest(message: message($0)) }
                + [
                    EnqueueRequest(message: kept),
                    EnqueueRequest(message: message("due"), start: .after(milliseconds: 1)),
                    EnqueueRequest(message: message("locked", payload: [2]), uniqueFor: .minutes(5)),
                ]
            for request in requests { _ = try await broker.enqueue([request])[0].get() }
            var grouped = message("grouped")
            grouped.group = "g"
            _ = try await broker.enqueue([EnqueueRequest(message: grouped)])[0].get()
            try await redis("CONFIG", "SET", "maxmemory", "1")

            // Nothing new.
            for request in [
                EnqueueRequest(message: message("more")),
                EnqueueRequest(message: message("unique", payload: [3]), uniqueFor: .minutes(5)),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 60_000)),
            ] {
                #expect(await isFull { try await broker.enqueue([request])[0].get() })
            }
            let dump = try await RedisDump(redis)
            for id in ["more", "unique", "later"] { #expect(dump.entries["asynq:{default}:t:\(id)"] == nil) }
            #expect(!dump.entries.keys.contains { $0.contains(":unique:t:") && $0.contains("later") })

            // All that ends something, or leads to an end.
            try await eventually("what is due is forwarded") {
                try await broker.forward(queues: ["default"], limit: 10).moved == 1
            }
            let tasks = try await broker.take(20)
            #expect(tasks.count == 9)
            let byID = Dictionary(uniqueKeysWithValues: tasks.map { ($0.message.id, $0) })
            let leased = try #require(byID["leased"])
            #expect(try await broker.extendLeases([leased]) == [true])
            #expect(await isFull { try await broker.writeResult([1], of: leased) })
            let outcomes: [(String, FinishRequest.Outcome)] = [
                ("done", .done), ("kept", .done), ("locked", .done), ("dropped", .drop), ("back", .requeue),
                ("retried", .retry(delay: .seconds(60), error: "e", countsAsFailure: true)),
                ("failed", .archive(error: "e")), ("due", .done),
            ]
            for (id, outcome) in outcomes {
                let task = try #require(byID[id])
                #expect(await broker.end([task], outcome) == ["finished"], "\(id)")
            }
            // A crowd, whose outcomes share a script.
            let again = try await broker.take(20)
            #expect(again.map(\.message.id) == ["back"])
            #expect(await broker.end(again, .done) == ["finished"])
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).isEmpty)

            // A group becomes one task, which takes less room.
            let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: nil, maxSize: 1)
            let group = GroupReference(queue: "default", name: "g")
            let check = try await broker.stageGroups([group], policy: policy, limit: 1)[0].get()
            let set = try #require(check.set)
            _ = try await broker.completeAggregation(set, with: EnqueueRequest(message: message("sum"))).get()

            // What makes room.
            let inspector = AsynqInspector(broker)
            #expect(try await inspector.deleteAll(.archived, queue: "default") == 1)
            #expect(try await inspector.deleteAll(.completed, queue: "default") == 1)
            #expect(try await RedisDump(redis).contradictions(queue: "default") == [])
            try await redis("CONFIG", "SET", "maxmemory", "0")
            try await broker.put(["after"])
            #expect(try await broker.take(20).map(\.message.id) == ["sum", "after"])
        }
    }

    @Test func `outcomes of tasks that lie far from each other are stored too`() async throws {
        try await withBroker { broker, redis in
            try await broker.put((0..<200).map { "t\($0)" })
            let tasks = try await broker.take(200)
            try await redis("CONFIG", "SET", "maxmemory", "1")
            // As of several servers; one of them has every tenth.
            let own = stride(from: 5, to: 200, by: 10).map { tasks[$0] }
            #expect(Set(await broker.end(own, .done)) == ["finished"])
            let left = tasks.filter { task in !own.contains { $0 === task } }
            let active = try await redis.strings("LRANGE", "asynq:{default}:active", 0, -1)
            #expect(active == left.reversed().map(\.message.id))
            #expect(try await redis("ZCARD", "asynq:{default}:lease").int == Int64(left.count))
        }
    }

    @Test func `a running task without a lease is leased to nobody, and recovered`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b"])
            let tasks = try await broker.take(2)
            // As an eviction does.
            try await redis("DEL", "asynq:{default}:lease")
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).isEmpty)
            try await redis(
                "EVAL",
                "for _, id in ipairs({'a','b'}) do redis.call('ZINCRBY', KEYS[1], -31, id) end",
                1,
                "asynq:{default}:lease"
            )
            let expired = try await broker.expiredLeases(queues: ["default"], limit: 10)
            #expect(Set(expired.map(\.message.id)) == ["a", "b"])
            #expect(await broker.end(expired, .requeue, isRecovery: true) == ["finished", "finished"])
            #expect(await broker.end(tasks, .done) == ["notFound", "notFound"])
        }
    }
}
