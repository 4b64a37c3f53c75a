import Asynq
import AsynqRedis
import Foundation
import NIOCore
import TestSupport
import Testing

/// Data that is odd, large, damaged or not there.
struct BadDataTests {
    private let keys = QueueKeys("default")

    @Test(
        arguments: [
            Data([0xFF, 0xFF, 0xFF]), Data("not a message".utf8), Data(),
            // A message of another queue, and one of another task: neither could ever be finished.
            try! Data(message("bad", queue: "elsewhere").encoded()), try! Data(message("another").encoded()),
        ]
    )
    func `a task that cannot be read is archived as it is, and the worker goes on`(bytes: Data) async throws {
        let log = LogRecorder()
        try await withBroker(logger: log.logger) { broker, redis in
            try await broker.put(["bad", "good"])
            try await redis("HSET", keys.task("bad"), "msg", bytes)
            #expect(try await broker.take(10).map(\.message.id) == ["good"])
            #expect(try await redis("HGET", keys.task("bad"), "msg").data == bytes)
            #expect(try await redis.strings("ZRANGE", keys.archived, 0, -1) == ["bad"])
            #expect(try await RedisDump(redis).contradictions() == [])
            let lines = log.lines.filter { $0.contains("archived a task whose message cannot be read") }
            #expect(lines.count == 1 && lines[0].contains("task_id=bad") && !lines[0].contains("not a message"))
        }
    }

    @Test func `a key of another type under a task's name is left alone`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["odd", "good"])
            try await redis("DEL", keys.task("odd"))
            try await redis("SET", keys.task("odd"), "a string")
            #expect(try await broker.take(10).map(\.message.id) == ["good"])
            #expect(try await redis("GET", keys.task("odd")).string == "a string")
            #expect(try await redis.strings("LRANGE", keys.active, 0, -1) == ["good"])
        }
    }

    @Test func `a due task without a message is dropped with a line, and the others start`() async throws {
        let log = LogRecorder()
        try await withBroker(logger: log.logger) { broker, redis in
            for id in ["empty", "odd", "good"] {
                let request = EnqueueRequest(message: message(id), start: .after(milliseconds: 3_600_000))
                _ = try await broker.enqueue([request])[0].get()
                try await redis("ZADD", keys.scheduled, 1, id)
                try await redis("DEL", keys.due)
            }
            try await redis("HDEL", keys.task("empty"), "msg")
            try await redis("DEL", keys.task("odd"))
            try await redis("SET", keys.task("odd"), "a string")
            #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 1)
            #expect(try await broker.take(10).map(\.message.id) == ["good"])
            #expect(try await redis("EXISTS", keys.task("empty")).int == 0)
            #expect(try await redis("GET", keys.task("odd")).string == "a string")
            #expect(log.lines.count { $0.contains("dropped a task that has no message") } == 2)
            _ = try await broker.enqueue([EnqueueRequest(message: message("empty"))])[0].get()
        }
    }

    @Test func `a lease without a message or without its task is removed by recovery`() async throws {
        let log = LogRecorder()
        try await withBroker(logger: log.logger) { broker, redis in
            try await broker.put(["empty", "lost", "good"])
            _ = try await broker.take(10)
            for id in ["empty", "lost", "good"] { try await redis("ZADD", keys.lease, "XX", 1, id) }
            try await redis("HDEL", keys.task("empty"), "msg")
            try await redis("LREM", keys.active, 0, "lost")
            let expired = try await broker.expiredLeases(queues: ["default"], limit: 10)
            #expect(Set(expired.map(\.message.id)) == ["lost", "good"])
            #expect(log.lines.count { $0.contains("dropped a task") && $0.contains("task_id=empty") } == 1)
            #expect(try await redis("EXISTS", keys.task("empty")).int == 0)
            let outcomes = await broker.end(
                expired,
                .retry(delay: .seconds(60), error: "lost", countsAsFailure: true),
                isRecovery: true
            )
            #expect(
                Dictionary(uniqueKeysWithValues: zip(expired.map(\.message.id), outcomes)) == [
                    "lost": "notFound", "good": "finished",
                ]
            )
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).isEmpty)
        }
    }

    @Test func `a state that nobody knows is shown nowhere, left alone by hand, and holds up nobody`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "odd", "b"])
            try await redis("HSET", keys.task("odd"), "state", "paused")
            let inspector = AsynqInspector(broker)
            #expect(try await inspector.tasks(in: .pending, queue: "default").tasks.map(\.id) == ["a", "b"])
            let task = TaskReference(queue: "default", id: "odd")
            #expect(try await inspector.tasks(["odd"], queue: "default")[0].failure?.code == .taskNotFound)
            let before = try await RedisDump(redis)
            for move in TaskMove.allCases {
                #expect(await broker.move([task], move)[0].failure?.code == .taskNotFound)
            }
            #expect(try await RedisDump(redis) == before)
            // Where it lies is what counts.
            let tasks = try await broker.take(10)
            #expect(tasks.map(\.message.id) == ["a", "odd", "b"])
            #expect(Set(await broker.end(tasks, .done)) == ["finished"])
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `counters and locks that are something else do not hold up outcomes`() async throws {
        try await withBroker { broker, redis in
            let unique = EnqueueRequest(message: message("u"), uniqueFor: .seconds(600))
            _ = try await broker.enqueue([unique])[0].get()
            let lock = try #require(try await redis("HGET", keys.task("u"), "unique_key").string)
            let tasks = try await broker.take(1)
            for key in [lock, keys.processed] { try await redis("DEL", key) }
            try await redis("LPUSH", lock, "odd")
            try await redis("SET", keys.processed, "many")
            // Today's and, should midnight be near, tomorrow's.
            let days = [Date(), Date() + 86_400].map { $0.formatted(.iso8601.year().month().day()) }
            for day in days { try await redis("SET", "\(keys.processed):\(day)", "many") }
            #expect(await broker.end(tasks, .done) == ["finished"])
            #expect(try await redis("GET", keys.processed).string == "1")
            var daily: [String?] = []
            for day in days { daily.append(try await redis("GET", "\(keys.processed):\(day)").string) }
            #expect(daily == ["1", "many"] || daily == ["many", "1"])
            #expect(try await redis("EXISTS", keys.task("u")).int == 0)
        }
    }

    @Test func `a lock that lasts for ever is one, and queues that look alike are two`() async throws {
        try await withBroker { broker, redis in
            let client = AsynqClient(broker)
            let tasks = ["caf\u{E9}", "cafe\u{301}"].map {
                AsynqTask("t", .queue($0), .unique(for: .seconds(Int64.max)), .processIn(.seconds(1)))
            }
            for result in await client.enqueue(batch: tasks + tasks + [AsynqTask("u", .queue("cafe\u{301}"))]) {
                if case .failure(let error) = result { #expect(error.code == .duplicateTask) }
            }
            #expect(try await redis.strings("SMEMBERS", "asynq:queues").count == 2)
            #expect(try await redis("ZCARD", "asynq:{caf\u{E9}}:scheduled").int == 1)
            #expect(try await redis("ZCARD", "asynq:{cafe\u{301}}:scheduled").int == 1)
            #expect(try await broker.take(5, queue: "caf\u{E9}").isEmpty)
            let taken = try await broker.take(5, queue: "cafe\u{301}")
            #expect(await broker.end(taken, .done) == ["finished"])
        }
    }

    @Test(arguments: ["a b", "{", "}", "{}", "a:b:c", "*?[x]", "🎌 очередь", "\u{0}nul", "new\r\nline", "%s"])
    func `a queue may have any name`(queue: String) async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b"], queue: queue)
            let later = EnqueueRequest(message: message("c", queue: queue), start: .after(milliseconds: 1))
            _ = try await broker.enqueue([later])[0].get()
            try await eventually("it is due") { try await broker.forward(queues: [queue], limit: 10).moved == 1 }
            let tasks = try await broker.take(10, queue: queue)
            #expect(tasks.map(\.message.id) == ["a", "b", "c"])
            #expect(try await RedisDump(redis).contradictions(queue: queue) == [])
            #expect(Set(await broker.end(tasks, .done)) == ["finished"])
            #expect(try await redis.strings("SMEMBERS", "asynq:queues") == [queue])
        }
    }

    @Test func `ids and payloads may hold any bytes`() async throws {
        try await withBroker { broker, redis in
            let payload: [UInt8] = [0, 0xFF, 0xC3, 0x28, 0x0D, 0x0A, 0]
            let id = "\u{0}\r\n🎌"
            let request = EnqueueRequest(message: message(id, payload: payload))
            _ = try await broker.enqueue([request])[0].get()
            let task = try await broker.take(1)[0]
            #expect(task.message.id == id && task.message.payload == payload)
            #expect(
                await broker.end([task], .retry(delay: .zero, error: "\u{0}", countsAsFailure: true)) == ["finished"]
            )
            #expect(try await broker.forward(queues: ["default"], limit: 1).moved == 1)
            #expect(try await broker.take(1)[0].message.errorMessage == "\u{0}")
        }
    }

    @Test(arguments: [1 << 20, 100 << 20])
    func `a large payload comes out as it went in`(size: Int) async throws {
        try await withBroker { broker, _ in
            let payload = [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
                for index in 0..<size { bytes[index] = UInt8(truncatingIfNeeded: index &* 31 ^ index >> 8) }
                count = size
            }
            _ = try await broker.enqueue([EnqueueRequest(message: message("a", payload: payload))])[0].get()
            let task = try await broker.take(1)[0]
            #expect(task.message.payload == payload)
            #expect(await broker.end([task], .archive(error: "too much")) == ["finished"])
        }
    }

    @Test func `many large tasks come in bounded pieces`() async throws {
        try await withBroker { broker, _ in
            let payload = [UInt8](repeating: 7, count: 1 << 20)
            for result in await broker.enqueue(
                (0..<20).map { EnqueueRequest(message: message("\($0)", payload: payload)) }
            ) {
                _ = try result.get()
            }
            // A reply ends with the task that takes it past 8 MiB.
            #expect(try await broker.take(20).count == 8)
            #expect(try await broker.take(20).count == 8)
            #expect(try await broker.take(20).count == 4)
        }
    }

    @Test func `scripts that the server has forgotten are sent again`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b", "c"])
            try await redis("SCRIPT", "FLUSH")
            let tasks = try await broker.take(3)
            try await redis("SCRIPT", "FLUSH")
            // Several at once, each of which the server does not know.
            async let done = broker.end([tasks[0]], .done)
            async let retried = broker.end([tasks[1]], .retry(delay: .seconds(9), error: "e", countsAsFailure: true))
            async let archived = broker.end([tasks[2]], .archive(error: "e"))
            async let added: Void = broker.put(["d", "e"])
            #expect(await done + retried + archived == ["finished", "finished", "finished"])
            try await added
            #expect(try await broker.take(3).map(\.message.id) == ["d", "e"])
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    @Test func `of several scripts that the server has forgotten one may fail, and the others do not`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"], queue: "fine")
            try await broker.put(["b"], queue: "finer")
            try await redis("SET", QueueKeys("odd").pending, "no list")
            try await redis("SCRIPT", "FLUSH")
            let requests = ["fine", "odd", "finer"].map { DequeueRequest(queue: $0, limit: 10) }
            #expect(try await broker.dequeue(requests).map(\.message.id) == ["a", "b"])
            await #expect(throws: AsynqError.self) { try await broker.dequeue(requests) }
        }
    }

    @Test func `a counter that is full starts again and holds up nothing`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            try await redis("SET", keys.processed, Int64.max)
            #expect(try await broker.end(broker.take(1), .done) == ["finished"])
            #expect(try await redis.int("GET", keys.processed) == 1)
        }
    }

    @Test func `an error of Redis names the command and not what was sent`() async throws {
        try await withBroker { broker, redis in
            try await redis("SET", keys.pending, "not a list")
            let request = EnqueueRequest(message: message("secret-id", payload: Array("secret-payload".utf8)))
            let error = try #require(await broker.enqueue([request])[0].failure)
            #expect(error.code == .brokerFailure)
            #expect(error.description.contains("WRONGTYPE") && !error.description.contains("secret"))
        }
    }
}

extension Result {
    var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
