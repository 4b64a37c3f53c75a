import Asynq
import AsynqRedis
import Foundation
import NIOCore
import TestSupport
import Testing

/// What the inspector sees and does in Redis, beyond what all brokers have in common.
struct InspectorTests {
    private let keys = QueueKeys("default")

    /// One task in each state, by the names of the states; those that can be are unique. `active` has lost its worker.
    private func fill(_ broker: RedisBroker, _ redis: RawRedis) async throws {
        func put(_ id: String, group: String = "", retention: Int64 = 0, start: EnqueueRequest.Start = .now)
            async throws
        {
            var task = message(id, payload: Array(id.utf8))
            (task.group, task.retention) = (group, retention)
            let request = EnqueueRequest(message: task, start: start, uniqueFor: .minutes(10))
            _ = try await broker.enqueue([request])[0].get()
        }
        try await put("archived")
        #expect(try await broker.end(broker.take(1), .archive(error: "e")) == ["finished"])
        try await put("retry")
        let retry = FinishRequest.Outcome.retry(delay: .milliseconds(4500), error: "e", countsAsFailure: true)
        #expect(try await broker.end(broker.take(1), retry) == ["finished"])
        try await put("completed", retention: 600)
        #expect(try await broker.end(broker.take(1), .done) == ["finished"])
        try await put("active")
        #expect(try await broker.take(1).count == 1)
        try await redis("ZADD", keys.lease, try await redis.now() - 1, "active")
        try await put("scheduled", start: .after(milliseconds: 90_500))
        try await put("aggregating", group: "g")
        try await put("pending")
        #expect(try await RedisDump(redis).contradictions() == [])
    }

    // MARK: Faults of the Go system

    @Test func `3: what is run by hand is dated, one or all, and the queue's latency is true`() async throws {
        try await withBroker { broker, redis in
            let inspector = AsynqInspector(broker)
            for (index, state) in [TaskState.scheduled, .retry, .archived, .aggregating].enumerated() {
                try await fill(broker, redis)
                let before = try await redis.now()
                if index % 2 == 0 {
                    try await inspector.run(state.rawValue, queue: "default")
                } else {
                    #expect(try await inspector.runAll(state, queue: "default") == 1)
                }
                #expect(try await RedisDump(redis).contradictions() == [])
                #expect(try await redis.int("ZCARD", keys.due) ?? 0 <= 2)
                let since = try await redis("HGET", keys.task(state.rawValue), "pending_since").int ?? 0
                let after = try await redis.now()
                #expect((before...after).contains(since / 1_000_000_000))
                try await redis("FLUSHALL")
            }
            // Latency is that of the oldest; one that Go has left undated is passed over.
            try await broker.put(["undated", "old", "new"])
            try await redis("HDEL", keys.task("undated"), "pending_since")
            let since = try await redis.now() - 50
            try await redis("HSET", keys.task("old"), "pending_since", since * 1_000_000_000)
            let latency = try await inspector.snapshot(of: "default").latency
            let most = try await redis.now() + 1 - since
            #expect(latency >= .seconds(49) && latency <= .seconds(most))
        }
    }

    @Test func `4: what is archived by hand trims the archive with hashes and locks`() async throws {
        try await withBroker { broker, redis in
            let now = try await redis.now()
            for start in stride(from: 0, to: 10_000, by: 500) {
                let members = (start..<start + 500).flatMap {
                    [now - 20_000 + Int64($0), "old-\($0)"] as [any RawArgument]
                }
                try await redis.run("ZADD", [keys.archived] + members)
            }
            for number in 0..<4 {
                try await redis(
                    "HSET",
                    keys.task("old-\(number)"),
                    "msg",
                    "x",
                    "state",
                    "archived",
                    "unique_key",
                    "l\(number)"
                )
                try await redis("SET", "l\(number)", "old-\(number)")
            }
            try await broker.put(["a", "b", "c"])
            let inspector = AsynqInspector(broker)
            try await inspector.archive("a", queue: "default")
            #expect(try await inspector.archiveAll(.pending, queue: "default") == 2)
            #expect(try await redis.int("ZCARD", keys.archived) == 10_000)
            for number in 0..<4 {
                let left = number < 3 ? Int64(0) : 2
                #expect(try await redis.int("EXISTS", keys.task("old-\(number)"), "l\(number)") == left)
            }
        }
    }

    @Test(arguments: [TaskState.pending, .aggregating, .scheduled, .retry, .archived, .completed])
    func `5: what is deleted frees its lock, and leaves nothing`(state: TaskState) async throws {
        try await withBroker { broker, redis in
            try await fill(broker, redis)
            #expect(try await AsynqInspector(broker).deleteAll(state, queue: "default") == 1)
            let dump = try await RedisDump(redis)
            #expect(dump.contradictions() == [])
            let left = dump.entries.keys.filter { $0.hasSuffix(":\(state.rawValue)") || $0.hasSuffix("g:g") }
            #expect(left == (state == .aggregating ? [] : dump.entries.keys.filter { $0.hasSuffix("g:g") }))
            let lock = keys.unique(type: "t", payload: Array(state.rawValue.utf8))
            #expect(dump.entries[lock] == nil && dump.entries[keys.task(state.rawValue)] == nil)
        }
    }

    @Test func `6 and 12: nothing is left of a queue that is removed, until its next task comes`() async throws {
        try await withBroker { broker, redis in
            try await fill(broker, redis)
            // What the Go system knows and this broker has not made here: a set that is being aggregated, an old counter.
            let set = keys.groupPrefix + "g:0123"
            try await redis(
                "HSET",
                keys.task("staged"),
                "msg",
                "x",
                "state",
                "aggregating",
                "group",
                "g",
                "unique_key",
                "lock"
            )
            try await redis("SET", "lock", "staged")
            try await redis("ZADD", set, 1, "staged")
            try await redis("ZADD", keys.aggregationSets, 9_999_999_999, set)
            let weekAgo = try await Date(timeIntervalSince1970: Double(redis.now() - 7 * 86_400))
            try await redis("SET", keys.processed + ":" + weekAgo.formatted(.iso8601.year().month().day()), 5)
            let inspector = AsynqInspector(broker)
            #expect(try await inspector.snapshot(of: "default").aggregating == 2)
            try await inspector.pause("default")
            await #expect(throws: AsynqError.self) { try await inspector.deleteQueue("default") }
            #expect(try await inspector.deleteQueue("default", force: true) == 8)
            #expect(try await redis.strings("KEYS", "*") == [])
            // The batcher of this queue is still there.
            try await broker.put(["a"])
            #expect(try await redis.strings("SMEMBERS", "asynq:queues") == ["default"])
            #expect(try await broker.take(1).map(\.message.id) == ["a"])
        }
    }

    @Test(arguments: TaskMove.allCases)
    func `8: what is done to all goes in bounded steps`(move: TaskMove) async throws {
        try await withBroker { broker, redis in
            let requests = (0..<2000).map {
                EnqueueRequest(message: message("t\($0)"), start: .after(milliseconds: 60_000 + Int64($0)))
            }
            for result in await broker.enqueue(requests) { _ = try result.get() }
            let selection = TaskSelection(queue: "default", state: .scheduled)
            let step = try await broker.moveSome(selection, move, limit: .max)
            #expect(step == MoveBatch(moved: 256, remaining: 1744))
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    // MARK: All of Redis

    @Test func `after everything that can be done to it nothing is left in Redis`() async throws {
        try await withBroker { broker, redis in
            let inspector = AsynqInspector(broker)
            try await fill(broker, redis)
            try await inspector.updatePayload([9], of: "scheduled", queue: "default")
            try await inspector.archive(
                ["pending", "scheduled", "retry", "aggregating", "completed"],
                queue: "default"
            )
            .forEach { try $0.get() }
            #expect(try await RedisDump(redis).contradictions() == [])
            #expect(try await inspector.runAll(.archived, queue: "default") == 6)
            try await inspector.delete("pending", queue: "default")
            #expect(try await RedisDump(redis).contradictions() == [])
            let tasks = try await broker.take(10)
            #expect(tasks.count == 5)
            #expect(
                Set(await broker.end(tasks + [LeasedTask(message: message("active"), leaseEnd: 0)], .done)) == [
                    "finished"
                ]
            )
            _ = try await broker.deleteExpiredCompleted(queue: "default", limit: 10)
            #expect(try await inspector.deleteAll(.completed, queue: "default") == 1)
            // The last task of one that was not read again from Redis still knows its lock.
            let locks = try await redis.strings("KEYS", "*:unique:*")
            #expect(locks == [keys.unique(type: "t", payload: Array("active".utf8))])
            try await redis.run("DEL", locks)
            #expect(try await inspector.deleteQueue("default") == 0)
            #expect(try await redis.strings("KEYS", "*") == [])
        }
    }

    // MARK: Long lists

    @Test func `tasks are taken out of a long list wherever they are, and the others keep their order`() async throws {
        try await withBroker { broker, redis in
            let ids = (0..<12_000).map { "t\($0)" }
            try await broker.put(ids)
            // Handed back, and so out of the order of time; run by hand by Go, and so undated; no longer in the list at all.
            let back = try await broker.take(3)
            #expect(Set(await broker.end(back, .requeue)) == ["finished"])
            for id in ["t5000", "t5001", "t9000"] { try await redis("HDEL", keys.task(id), "pending_since") }
            try await redis("LREM", keys.pending, 1, "t7000")
            var wanted = ["t0", "t1", "t2", "t11999", "t6000", "t5000", "t9000", "t7000"]
            wanted += (0..<400).map { _ in "t\(Int.random(in: 0..<12_000))" } + (3000..<3100).map { "t\($0)" }
            let unique = Set(wanted)
            let results = try await AsynqInspector(broker).delete(Array(unique), queue: "default")
            #expect(results.allSatisfy { if case .success = $0 { true } else { false } })
            let left = try await redis.strings("LRANGE", keys.pending, 0, -1)
            let expected = (back.map(\.message.id).reversed() + ids.dropFirst(3)).filter { !unique.contains($0) }
            let order = Array(left.reversed())
            #expect(order.count == expected.count && Set(order) == Set(expected))
            #expect(order.filter { !["t0", "t1", "t2"].contains($0) } == expected)
            #expect(try await redis.int("EXISTS", keys.task("t7000")) == 0)
        }
    }

    @Test func `large tasks make a page in several steps`() async throws {
        try await withBroker { broker, _ in
            let payload = [UInt8](repeating: 7, count: 700_000)
            for result in await broker.enqueue(
                (0..<9).map { EnqueueRequest(message: message("\($0)", payload: payload)) }
            ) {
                _ = try result.get()
            }
            let page = try await AsynqInspector(broker).tasks(in: .pending, queue: "default", page: 2, pageSize: 5)
            #expect(page.tasks.map(\.id) == ["5", "6", "7", "8"] && page.total == 9)
            #expect(page.tasks.allSatisfy { $0.payload?.count == payload.count })
        }
    }

    @Test func `tasks in more groups than one script looks at are all counted`() async throws {
        try await withBroker { broker, redis in
            let requests = (0..<2100).map { index in
                var task = message("t\(index)")
                task.group = "g\(index / 2)"
                return EnqueueRequest(message: task)
            }
            for result in await broker.enqueue(requests) { _ = try result.get() }
            let inspector = AsynqInspector(broker)
            let snapshot = try await inspector.snapshot(of: "default")
            #expect(snapshot.aggregating == 2100 && snapshot.groups == 1050)
            #expect(try await inspector.groups(of: "default").allSatisfy { $0.size == 2 })
            #expect(try await inspector.archiveAll(.aggregating, queue: "default") == 2100)
            #expect(try await redis.int("EXISTS", keys.groups) == 0)
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    // MARK: Odd data

    @Test func `a task that cannot be read is shown, and can be deleted`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["bad", "good"])
            try await redis("HSET", keys.task("bad"), "msg", Data([0xFF, 0xFF]))
            let inspector = AsynqInspector(broker)
            let page = try await inspector.tasks(in: .pending, queue: "default")
            #expect(page.tasks.map(\.id) == ["bad", "good"])
            #expect(page.tasks[0].payload == [0xFF, 0xFF] && page.tasks[0].queue == "default")
            #expect(page.tasks[0].lastError?.contains("cannot be read") == true)
            try await inspector.delete("bad", queue: "default")
            #expect(try await redis.strings("LRANGE", keys.pending, 0, -1) == ["good"])
        }
    }

    @Test func `ids without a task are shown nowhere, and go with the others`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "gone", "odd", "b"])
            try await redis("DEL", keys.task("gone"), keys.task("odd"))
            try await redis("SET", keys.task("odd"), "a string")
            let inspector = AsynqInspector(broker)
            #expect(try await inspector.tasks(in: .pending, queue: "default").tasks.map(\.id) == ["a", "b"])
            for id in ["gone", "odd"] {
                await #expect(throws: AsynqError.self) { try await inspector.task(id, queue: "default") }
                await #expect(throws: AsynqError.self) { try await inspector.delete(id, queue: "default") }
            }
            #expect(try await inspector.archiveAll(.pending, queue: "default") == 2)
            #expect(try await redis.int("EXISTS", keys.pending) == 0)
            #expect(try await redis("GET", keys.task("odd")).string == "a string")
        }
    }

    @Test func `what the Go system has left of a trimmed task can be deleted or run`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b"])
            #expect(Set(try await broker.end(broker.take(2), .archive(error: "e"))) == ["finished"])
            try await redis("DEL", keys.archived)
            let inspector = AsynqInspector(broker)
            try await inspector.delete("a", queue: "default")
            try await inspector.run("b", queue: "default")
            #expect(try await RedisDump(redis).contradictions() == [])
            #expect(try await broker.take(2).map(\.message.id) == ["b"])
        }
    }

    @Test func `a task that is being aggregated is left alone`() async throws {
        try await withBroker { broker, redis in
            var task = message("a")
            task.group = "g"
            _ = try await broker.enqueue([EnqueueRequest(message: task)])[0].get()
            let set = keys.groupPrefix + "g:0123"
            try await redis("RENAME", keys.groupPrefix + "g", set)
            try await redis("SREM", keys.groups, "g")
            try await redis("ZADD", keys.aggregationSets, 9_999_999_999, set)
            let inspector = AsynqInspector(broker)
            #expect(try await inspector.snapshot(of: "default").aggregating == 1)
            #expect(try await inspector.tasks(in: .aggregating, queue: "default").total == 0)
            for move in TaskMove.allCases {
                let result = await broker.move([TaskReference(queue: "default", id: "a")], move)[0]
                #expect(result.failure?.code == .invalidTaskState)
            }
            #expect(try await redis.strings("ZRANGE", set, 0, -1) == ["a"])
        }
    }

    // MARK: The rest

    @Test func `memory is weighed by a sample, and missing where Redis forbids it`() async throws {
        try await withBroker { broker, redis in
            let requests = (0..<1000).map { index in
                EnqueueRequest(message: message("t\(index)", payload: [UInt8](repeating: 1, count: 1000)))
            }
            for result in await broker.enqueue(requests) { _ = try result.get() }
            let inspector = AsynqInspector(broker)
            let memory = try #require(try await inspector.snapshot(of: "default").memoryUsage)
            #expect(memory > 1000 * 1000 && memory < 1000 * 2500)
            try await redis("ACL", "SETUSER", "default", "-memory")
            let snapshot = try await inspector.snapshot(of: "default")
            #expect(snapshot.memoryUsage == nil && snapshot.pending == 1000)
        }
    }

    @Test func `Redis tells of itself in sections, and a queue has a slot`() async throws {
        try await withBroker { broker, redis in
            let inspector = AsynqInspector(broker)
            let info = try await inspector.info()
            #expect(info.kind == "redis" && info.address == broker.name)
            #expect(info.version == info["redis_version"] && info.version.contains("."))
            #expect(info["uptime_in_seconds"] != nil && info["connected_clients"] != nil && info["used_memory"] != nil)
            let text = try await redis("INFO", "server").string ?? ""
            #expect(info.text.hasPrefix("# Server\nredis_version:") && text.hasPrefix("# Server"))
            #expect(inspector.keySlot(of: "default") == 5718)
        }
    }

    @Test func `servers of the Go system are shown, and those that have gone are forgotten`() async throws {
        try await withBroker { broker, redis in
            let row = try #require(
                try Fixtures.load("transitions").first { $0["operation"] as? String == "write_server_state" }
            )
            try await RedisDump(recorded: row["after"] as? [String: Any] ?? [:]).load(into: redis)
            let key = try #require(try await redis.strings("ZRANGE", "asynq:servers", 0, -1).first)
            let now = try await redis.now()
            try await redis("ZADD", "asynq:servers", now + 500, key)
            try await redis("ZADD", "asynq:servers", now + 500, "asynq:servers:{expired:1:x}")
            try await redis("ZADD", "asynq:servers", now - 55, "asynq:servers:{gone:1:x}")
            let servers = try await AsynqInspector(broker).servers()
            #expect(servers.map(\.identity.host) == ["web-1"])
            #expect(servers[0].workers.map(\.taskID) == ["a1"] && servers[0].workers[0].deadline != nil)
            #expect(servers[0].queues == ["critical": 6] && servers[0].strictPriority)
            #expect(try await redis.int("ZCARD", "asynq:servers") == 2)
        }
    }

    @Test func `a payload that somebody else changes meanwhile is changed after that`() async throws {
        try await withBroker { broker, _ in
            let request = EnqueueRequest(
                message: message("a"),
                start: .after(milliseconds: 60_000),
                uniqueFor: .minutes(5)
            )
            _ = try await broker.enqueue([request])[0].get()
            await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        let task = TaskReference(queue: "default", id: "a")
                        try await broker.updatePayload([UInt8(index), 1], of: task)
                    }
                }
                while let result = await group.nextResult() { #expect(throws: Never.self) { try result.get() } }
            }
            let payload = try await AsynqInspector(broker).task("a", queue: "default").payload
            let same = EnqueueRequest(message: message("b", payload: payload), uniqueFor: .minutes(5))
            #expect(await broker.enqueue([same])[0].failure?.code == .duplicateTask)
        }
    }
}
