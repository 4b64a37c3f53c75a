import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// Faults of the Go system that are not to be found here (spec 1, "Faults of the Go system"), by their numbers.
struct GoFaultTests {
    private let keys = QueueKeys("default")

    @Test func `1: a unique task whose id exists leaves no lock behind`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            let request = EnqueueRequest(message: message("a", payload: [2]), uniqueFor: .minutes(5))
            let result = await broker.enqueue([request])[0]
            #expect(throws: AsynqError.self) { try result.get() }
            #expect(try await redis.strings("KEYS", "*unique*") == [])
        }
    }

    @Test func `2: a task that comes due is known to its group, and the group to the queue`() async throws {
        try await withBroker { broker, redis in
            var task = message("a")
            task.group = "g"
            _ = try await broker.enqueue([EnqueueRequest(message: task, start: .after(milliseconds: 1))])[0].get()
            try await eventually("it is due") { try await broker.forward(queues: ["default"], limit: 10).moved == 1 }
            #expect(try await redis.strings("SMEMBERS", keys.groups) == ["g"])
            #expect(try await redis.strings("ZRANGE", keys.groupPrefix + "g", 0, -1) == ["a"])
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `3: a task that is handed back is dated`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b"])
            #expect(try await broker.end(broker.take(1), .requeue) == ["finished"])
            #expect(try await RedisDump(redis).contradictions() == [])
            // And is next.
            #expect(try await broker.take(1).map(\.message.id) == ["a"])
        }
    }

    @Test func `7: an id without a task is dropped, and the others are taken`() async throws {
        let log = LogRecorder()
        try await withBroker(logger: log.logger) { broker, redis in
            try await broker.put(["a", "gone", "empty", "b"])
            try await redis("DEL", keys.task("gone"))
            try await redis("HDEL", keys.task("empty"), "msg")
            #expect(try await broker.take(10).map(\.message.id) == ["a", "b"])
            let dump = try await RedisDump(redis)
            #expect(dump.contradictions() == [])
            #expect(dump.entries[keys.task("gone")] == nil && dump.entries[keys.task("empty")] == nil)
            #expect(log.lines.count { $0.contains("dropped a task that has no message") } == 2)
        }
    }

    @Test func `8: what one script does is bounded, whatever the call asks for`() async throws {
        try await withBroker { broker, redis in
            let ids = (0..<1000).map { "id-\($0)" }
            try await broker.put(ids)
            let first = try await broker.take(1000)
            #expect(first.count == 256)
            var rest = first
            while rest.count < 1000 { rest += try await broker.take(1000) }
            #expect(rest.map(\.message.id) == ids)
            #expect(Set(await broker.end(rest, .done)) == ["finished"])
            #expect(try await redis.int("GET", keys.processed) == 1000)
            #expect(try await redis.int("EXISTS", keys.active, keys.lease) == 0)
        }
    }

    @Test(arguments: [false, true])
    func `9: what is active elsewhere costs a finishing task nothing`(areOldest: Bool) async throws {
        try await withBroker { broker, redis in
            // 10 000 tasks run elsewhere: taken before ours, or after.
            func occupy() async throws {
                for start in stride(from: 0, to: 10_000, by: 250) {
                    let ids = (start..<start + 250).map { "other-\($0)" }
                    try await redis.run("LPUSH", [keys.active] + ids)
                    try await redis.run("ZADD", [keys.lease] + ids.flatMap { ["9999999999", $0] as [any RawArgument] })
                }
            }
            if areOldest { try await occupy() }
            try await broker.put((0..<250).map { "own-\($0)" })
            let tasks = try await broker.take(250)
            if !areOldest { try await occupy() }
            try await redis("CONFIG", "RESETSTAT")
            #expect(Set(await broker.end(tasks, .done)) == ["finished"])
            // All are found with a look at either end: no search through the list for any of them.
            let stats = try await redis("INFO", "commandstats").string ?? ""
            let looks = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_lpos") }
            #expect(!stats.contains("cmdstat_lrem") && looks?.firstMatch(of: #/calls=[12],/#) != nil, "\(stats)")
            #expect(try await redis.int("LLEN", keys.active) == 10_000)
            #expect(try await redis.int("ZCARD", keys.lease) == 10_000)
        }
    }

    @Test(arguments: [1, 7, 100])
    func `9: tasks that end out of order are found wherever they are`(size: Int) async throws {
        try await withBroker { broker, redis in
            try await broker.put((0..<3000).map { "\($0)" })
            var tasks: [LeasedTask] = []
            while tasks.count < 3000 { tasks += try await broker.take(256) }
            var random = SystemRandomNumberGenerator()
            tasks.shuffle(using: &random)
            var left = Set(tasks.map(\.message.id))
            for start in stride(from: 0, to: 1000, by: size) {
                let ending = Array(tasks[start..<min(start + size, 1000)])
                #expect(Set(await broker.end(ending, .done)) == ["finished"])
                left.subtract(ending.map(\.message.id))
            }
            let active = try await redis.strings("LRANGE", keys.active, 0, -1)
            // Those that stay keep their order: the newest at the left.
            #expect(active == left.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) })
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `10: no task starts before its time, and its fraction of a second is kept`() async throws {
        try await withBroker { broker, redis in
            let now = try await redis.now()
            let start = (now + 100) * 1000 + 250
            let request = EnqueueRequest(message: message("a"), start: .at(milliseconds: start))
            _ = try await broker.enqueue([request])[0].get()
            // Readers of whole seconds see the next one.
            #expect(try await redis("ZSCORE", keys.scheduled, "a") == .double(Double(now + 101)))
            #expect(try await redis("ZSCORE", keys.due, "a") == .double(Double(start)))
            let result = try await broker.forward(queues: ["default"], limit: 10)
            #expect(result.moved == 0)
            let left = try #require(result.nextDueIn)
            let latest = (try await redis.now() + 1) * 1000
            #expect(left >= .milliseconds(start - latest) && left <= .milliseconds(100_250))
            // 1 ms before, it waits; at its time, it goes.
            try await redis("ZADD", keys.due, start - 110_000, "a")
            try await redis("ZADD", keys.scheduled, now - 9, "a")
            #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 1)
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `10: a due time that somebody else has changed or deleted moves nothing`() async throws {
        try await withBroker { broker, redis in
            for id in ["later", "deleted"] {
                let request = EnqueueRequest(message: message(id), start: .after(milliseconds: 50_500))
                _ = try await broker.enqueue([request])[0].get()
                try await redis("ZADD", keys.due, 1, id)
            }
            try await redis("ZREM", keys.scheduled, "deleted")
            try await redis("DEL", keys.task("deleted"))
            #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 0)
            #expect(try await redis.int("ZCARD", keys.due) == 0)
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `12: a queue that somebody has removed is visible again with its next task`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            try await redis("FLUSHALL")
            try await broker.put(["a"])
            #expect(try await redis.strings("SMEMBERS", "asynq:queues") == ["default"])
        }
    }

    @Test func `13: each result of a batch is true, whatever the task is`() async throws {
        try await withBroker { broker, redis in
            var grouped = message("grouped", payload: [3])
            grouped.group = "g"
            let requests = [
                EnqueueRequest(message: message("plain")),
                EnqueueRequest(message: message("plain")),
                EnqueueRequest(message: message("unique", payload: [2]), uniqueFor: .minutes(1)),
                EnqueueRequest(message: message("again", payload: [2]), uniqueFor: .minutes(1)),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 60_000)),
                EnqueueRequest(message: grouped),
                EnqueueRequest(message: message("plain", queue: "other")),
            ]
            let results = await broker.enqueue(requests).map { result in
                switch result {
                case .success(let receipt): receipt.state.rawValue
                case .failure(let error): error.code.description
                }
            }
            #expect(
                results == [
                    "pending", "taskIDConflict", "pending", "duplicateTask", "scheduled", "aggregating", "pending",
                ]
            )
            let dump = try await RedisDump(redis)
            #expect(dump.contradictions() == [] && dump.contradictions(queue: "other") == [])
            // Plain ones alone go another way.
            let plain = await broker.enqueue(["x", "plain", "x"].map { EnqueueRequest(message: message($0)) })
            #expect(plain.map { (try? $0.get()) != nil } == [true, false, false])
        }
    }

    @Test func `15: leases are on the server's clock`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            let before = try await redis.now()
            let task = try await broker.take(1)[0]
            let after = try await redis.now()
            #expect((before + 30...after + 31).contains(task.leaseEnd / 1_000_000))
            let stored = try await redis("ZSCORE", keys.lease, "a")
            #expect(stored == .double(Double(task.leaseEnd) / 1_000_000))
        }
    }

    /// Both clocks are the same here, so that a wrong one is not to be told by what it reads: it must not be sent at all.
    @Test func `15: no time of a caller's clock reaches Redis`() async throws {
        let calls = try await ScriptCalls.recorded()
        let now = Date().timeIntervalSince1970
        for call in calls {
            for number in call.compactMap(Double.init) {
                for unit in [1.0, 1000, 1_000_000, 1_000_000_000] {
                    #expect(abs(number / unit - now) > 86_400, "\(call)")
                }
            }
        }
    }

    @Test func `17: two schedulers with the same entries enqueue each run once`() async throws {
        try await withBroker { broker, redis in
            let other = try RedisBroker(configuration: .patient(broker.name), logger: .silent)
            let time = try await redis.now() * 1000 - 60_000
            func runs(_ second: Int64) -> [EntryOccurrence] {
                ["e", "f"].map { entry in
                    let message = message("\(entry):\(second)")
                    return EntryOccurrence(
                        entryID: entry,
                        time: time + second * 1000,
                        request: EnqueueRequest(message: message)
                    )
                }
            }
            for step in 0..<20 as Range<Int64> {
                async let first = broker.enqueueOccurrences(runs(step))
                async let second = other.enqueueOccurrences(runs(step))
                _ = await (first, second)
                // Done and gone before the other comes again.
                let tasks = try await broker.take(10)
                #expect(tasks.count == 2)
                #expect(await broker.end(tasks, .done) == ["finished", "finished"])
            }
            #expect(try await redis("GET", keys.processed).string == "40")
            #expect(try await redis.int("PTTL", keys.marks) ?? -1 > 0)
            await other.shutdown()
        }
    }

    @Test func `18: a scheduler that shuts down leaves the history of its entries`() async throws {
        try await withBroker { broker, redis in
            let entry = SchedulerEntry(id: "e", spec: "@hourly", taskType: "t", payload: [])
            try await broker.writeSchedulerEntries([entry], of: "host:1:a", ttl: .seconds(20))
            let event = SchedulerEnqueueEvent(entryID: "e", taskID: "a", enqueuedAt: Date())
            try await broker.recordEnqueueEvents([event])
            try await broker.clearSchedulerEntries(of: "host:1:a")
            #expect(try await redis.strings("KEYS", "*") == ["asynq:scheduler_history:e"])
        }
    }

    @Test func `19: a limit below a second does not become none`() throws {
        let request = try EnqueueRequest(
            AsynqTask(
                "t",
                .timeout(.milliseconds(1)),
                .retention(.milliseconds(1)),
                .deadline(Date(timeIntervalSince1970: -5))
            )
        )
        #expect(request.message.timeout == 1 && request.message.retention == 1 && request.message.deadline == 1)
    }

    @Test func `20: a scheduled task with a group knows its group`() async throws {
        try await withBroker { broker, redis in
            var task = message("a")
            task.group = "g"
            _ = try await broker.enqueue([EnqueueRequest(message: task, start: .after(milliseconds: 60_000))])[0].get()
            #expect(try await redis("HGET", keys.task("a"), "group").string == "g")
        }
    }
}
