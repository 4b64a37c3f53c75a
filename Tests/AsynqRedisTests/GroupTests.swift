import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// What lies in Redis while groups are aggregated, beside what the contract says (spec 1, "Keys" and "Transitions").
struct GroupTests {
    private let keys = QueueKeys("default")
    private let group = GroupReference(queue: "default", name: "g")
    private let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 2)

    private func grouped(_ id: String, _ name: String = "g") -> TaskMessage {
        var task = message(id)
        task.group = name
        return task
    }

    private func put(_ ids: [String], _ broker: RedisBroker) async throws {
        for result in await broker.enqueue(ids.map { EnqueueRequest(message: grouped($0)) }) { _ = try result.get() }
    }

    private func stage(_ broker: RedisBroker, _ policy: GroupPolicy? = nil) async throws -> GroupCheck {
        try await broker.stageGroups([group], policy: policy ?? self.policy, limit: 1)[0].get()
    }

    private func key(of set: AggregationSet) -> String { keys.group("g") + ":" + set.id }

    @Test func `a set lies where the Go system looks for it`() async throws {
        try await withBroker { broker, redis in
            try await put(["a", "b", "c"], broker)
            let before = try await redis.now()
            let set = try #require(try await stage(broker).set)
            let after = try await redis.now()
            let ids = try await redis.strings("ZRANGE", key(of: set), 0, -1)
            #expect(ids == set.tasks.map(\.id) && ids.count == 2)
            guard case .double(let end) = try await redis("ZSCORE", keys.aggregationSets, key(of: set)) else {
                Issue.record("the set is not listed")
                return
            }
            #expect((before + 120...after + 120).contains(Int64(end)))
            #expect(try await redis.strings("SMEMBERS", keys.groups) == ["g"])
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `a set that the Go system has reclaimed is lost to its server`() async throws {
        try await withBroker { broker, redis in
            try await put(["a", "b"], broker)
            let set = try #require(try await stage(broker).set)
            // What it does, with the group's name left out (fault 2).
            for id in set.tasks.map(\.id) { try await redis("ZADD", keys.group("g"), 1, id) }
            try await redis("DEL", key(of: set))
            try await redis("ZREM", keys.aggregationSets, key(of: set))
            let before = try await RedisDump(redis)
            let result = await broker.completeAggregation(set, with: EnqueueRequest(message: message("sum")))
            #expect(result.failure?.code == .leaseExpired)
            #expect(try await broker.extendAggregations([set]) == [false])
            try await broker.releaseAggregation(set, retryIn: .zero)
            #expect(
                try await RedisDump(redis).entries.filter { $0.key != "asynq:queues" }
                    == before.entries.filter { $0.key != "asynq:queues" }
            )
        }
    }

    @Test func `2: a set that the Go system left behind is reclaimed, and its group is listed`() async throws {
        try await withBroker { broker, redis in
            try await put(["a", "b"], broker)
            let set = keys.group("g") + ":24d685e2-3b3f-43dd-8f9f-33b2ffc7476a"
            try await redis("RENAME", keys.group("g"), set)
            try await redis("ZADD", set, 1_700_000_000, "a")
            try await redis("SREM", keys.groups, "g")
            try await redis("ZADD", keys.aggregationSets, try await redis.now() - 1, set)
            #expect(try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: 100) == 2)
            #expect(try await redis("ZSCORE", keys.group("g"), "a") == .double(1_700_000_000))
            #expect(try await redis.strings("SMEMBERS", keys.groups) == ["g"])
            #expect(try await RedisDump(redis).contradictions() == [])
            #expect(try await stage(broker).set?.tasks.map(\.id) == ["a", "b"])
        }
    }

    @Test func `14: a crash between the two halves of an aggregation cannot be`() async throws {
        try await withBroker { broker, redis in
            try await put(["a", "b"], broker)
            let set = try #require(try await stage(broker).set)
            let request = EnqueueRequest(message: message("sum"))
            // The answer is lost, and it is asked again: by then the task may be running.
            _ = try await broker.completeAggregation(set, with: request).get()
            let taken = try await broker.take(1)
            #expect(taken.map(\.message.id) == ["sum"])
            _ = try await broker.completeAggregation(set, with: request).get()
            #expect(try await broker.take(1).isEmpty)
            // Or done.
            #expect(await broker.end(taken, .done) == ["finished"])
            let late = await broker.completeAggregation(set, with: request)
            #expect(late.failure?.code == .leaseExpired)
            #expect(try await redis.int("EXISTS", keys.pending, keys.task("sum"), keys.task("a"), keys.groups) == 0)
        }
    }

    @Test func `the lock of a unique task is freed that the Go system has put into a group`() async throws {
        try await withBroker { broker, redis in
            let lock = keys.unique(type: "t", payload: [1])
            _ = try await broker.enqueue([EnqueueRequest(message: grouped("a"), uniqueFor: .hours(1))])[0].get()
            // It leaves this field out; the lock is known from the message alone.
            try await redis("HDEL", keys.task("a"), "unique_key")
            let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 1)
            var set = try #require(try await stage(broker, policy).set)
            #expect(set.tasks.map(\.uniqueKey) == [lock])
            try await redis("SET", lock, "somebody else")
            _ = try await broker.completeAggregation(set, with: EnqueueRequest(message: message("sum"))).get()
            #expect(try await redis("GET", lock).string == "somebody else")
            try await put(["b"], broker)
            try await redis("SET", lock, "b")
            set = try #require(try await stage(broker, policy).set)
            let unique = AggregationSet(
                group: set.group,
                id: set.id,
                tasks: set.tasks.map { task in
                    var task = task
                    task.uniqueKey = lock
                    return task
                }
            )
            _ = try await broker.completeAggregation(unique, with: EnqueueRequest(message: message("sum 2"))).get()
            #expect(try await redis.int("EXISTS", lock) == 0)
        }
    }

    @Test func `an id without a task is dropped from its group, as from a queue (fault 7)`() async throws {
        try await withBroker { broker, redis in
            try await put(["a", "gone", "empty"], broker)
            try await redis("DEL", keys.task("gone"))
            try await redis("HDEL", keys.task("empty"), "msg")
            let set = try #require(try await stage(broker, GroupPolicy(gracePeriod: .hours(1), maxSize: 3)).set)
            #expect(set.tasks.map(\.id) == ["a"])
            #expect(try await redis.int("EXISTS", keys.group("g"), keys.task("gone"), keys.groups) == 0)
            // A group of nothing else is no group.
            try await redis("ZADD", keys.group("g"), 1, "gone")
            try await redis("SADD", keys.groups, "g")
            #expect(try await stage(broker, GroupPolicy(gracePeriod: .seconds(1))).set == nil)
            #expect(try await broker.waitingGroups(in: ["default"]) == [])
        }
    }

    @Test func `a grouped task that cannot be read is archived as it is, and the others are aggregated`() async throws {
        let log = LogRecorder()
        try await withBroker(logger: log.logger) { broker, redis in
            try await put(["bad", "good"], broker)
            try await redis("HSET", keys.task("bad"), "msg", "no message")
            let set = try #require(try await stage(broker).set)
            #expect(set.tasks.map(\.id) == ["good"])
            #expect(try await redis.strings("ZRANGE", keys.archived, 0, -1) == ["bad"])
            #expect(try await redis("HGET", keys.task("bad"), "msg").string == "no message")
            #expect(try await RedisDump(redis).contradictions() == [])
            _ = try await broker.completeAggregation(set, with: EnqueueRequest(message: message("sum"))).get()
            #expect(try await redis.int("EXISTS", keys.task("bad")) == 1)
            #expect(log.lines.count { $0.contains("task_id=bad") && !$0.contains("no message") } == 1)
        }
    }

    @Test func `keys that are not what their names say hold nobody up`() async throws {
        try await withBroker { broker, redis in
            try await redis("SET", keys.group("odd"), "a string")
            try await redis("SADD", keys.groups, "odd")
            try await redis("SET", keys.group("x") + ":1", "a string")
            for set in [keys.group("x") + ":1", "elsewhere", keys.group("gone") + ":2"] {
                try await redis("ZADD", keys.aggregationSets, 1, set)
            }
            try await put(["a", "b"], broker)
            let groups = try await broker.waitingGroups(in: ["default"])
            #expect(Set(groups.map(\.name)) == ["odd", "g"])
            let checks = await broker.stageGroups(groups, policy: policy, limit: 5)
            #expect(try checks.compactMap { try $0.get().set?.tasks.count } == [2])
            #expect(try await broker.waitingGroups(in: ["default"]) == [])
            #expect(try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: 5) == 0)
            #expect(try await redis.int("ZCARD", keys.aggregationSets) == 1)
            #expect(try await redis("GET", keys.group("odd")).string == "a string")
        }
    }

    @Test func `what is staged at once is bounded in bytes`() async throws {
        try await withBroker { broker, _ in
            for index in 0..<10 {
                var task = grouped("\(index)")
                task.payload = [UInt8](repeating: 7, count: 6 << 20)
                _ = try await broker.enqueue([EnqueueRequest(message: task)])[0].get()
            }
            let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 10)
            let check = try await stage(broker, policy)
            #expect(check.set?.tasks.count == 6)
            #expect(check.nextDueIn.map { $0 > .zero } == true)
        }
    }

    @Test func `8: a group is taken in bounded pieces, however large it is`() async throws {
        try await withBroker { broker, redis in
            let total = 50_000
            for start in stride(from: 0, to: total, by: 5000) {
                try await put((start..<start + 5000).map { "id-\($0)" }, broker)
            }
            let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: .seconds(1))
            try await eventually("it is ready") { try await stage(broker, policy).set != nil }
            var count = 1000
            // Those that came last may have to wait for a second or two.
            try await eventually("all are taken") {
                while let set = try await stage(broker, policy).set {
                    #expect(set.tasks.count <= 1000)
                    count += set.tasks.count
                    _ = try await broker.completeAggregation(set, with: EnqueueRequest(message: message(set.id))).get()
                }
                return count >= total
            }
            #expect(count == total)
            #expect(try await redis.int("LLEN", keys.pending) == 49)
        }
    }
}
