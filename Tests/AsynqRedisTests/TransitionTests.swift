import Asynq
import AsynqRedis
import Foundation
import NIOCore
import TestSupport
import Testing

/// The rules of the transitions that the recorded ones do not show (spec 1, "Transitions").
struct TransitionTests {
    private let keys = QueueKeys("default")

    @Test func `a late outcome changes nothing once the task has been recovered`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            let late = try await broker.take(1)
            try await redis("ZADD", keys.lease, try await redis.now() - 31, "a")
            let expired = try await broker.expiredLeases(queues: ["default"], limit: 10)
            #expect(expired.map(\.message.id) == ["a"])
            let retry = FinishRequest.Outcome.retry(delay: .zero, error: "lost", countsAsFailure: true)
            #expect(await broker.end(expired, retry, isRecovery: true) == ["finished"])
            let before = try await RedisDump(redis)
            for outcome in [.done, retry, .archive(error: "late"), .requeue] as [FinishRequest.Outcome] {
                #expect(await broker.end(late, outcome) == ["notFound"])
            }
            #expect(try await RedisDump(redis) == before)
            #expect(before.contradictions() == [])
        }
    }

    @Test func `a lease is left alone until 30 seconds after its end, whoever asks`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            let tasks = try await broker.take(1)
            try await redis("ZADD", keys.lease, try await redis.now() - 5, "a")
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).isEmpty)
            let before = try await RedisDump(redis)
            let retry = FinishRequest.Outcome.retry(delay: .zero, error: "lost", countsAsFailure: true)
            #expect(await broker.end(tasks, retry, isRecovery: true) == ["notFound"])
            #expect(await broker.end(tasks, .archive(error: "lost"), isRecovery: true) == ["notFound"])
            #expect(try await RedisDump(redis) == before)
            // The worker itself may still come back in time.
            #expect(await broker.end(tasks, .done) == ["finished"])
        }
    }

    @Test func `a lease that was extended while the recoverer looked is not recovered`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            _ = try await broker.take(1)
            try await redis("ZADD", keys.lease, try await redis.now() - 31, "a")
            let expired = try await broker.expiredLeases(queues: ["default"], limit: 10)
            #expect(try await broker.extendLeases(expired) == [true])
            #expect(await broker.end(expired, .archive(error: "lost"), isRecovery: true) == ["notFound"])
            #expect(try await redis.strings("LRANGE", keys.active, 0, -1) == ["a"])
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `wherever ended tasks lie in the active list, the others stay in their order`(seed: UInt64) async throws {
        try await withBroker { broker, redis in
            var random = SeededGenerator(seed: seed)
            try await broker.put((0..<6000).map { "t\($0)" })
            var tasks: [LeasedTask] = []
            while tasks.count < 6000 { tasks += try await broker.take(256) }
            // Newest first, as the list has them.
            tasks.reverse()
            while !tasks.isEmpty {
                // A run of tasks that lie together, and some of elsewhere; the newest or the oldest first, or mixed.
                let first = Int.random(in: 0..<tasks.count, using: &random)
                let run = first..<min(tasks.count, first + Int.random(in: 1...300, using: &random))
                let others = (0..<Int.random(in: 0...9, using: &random)).map { _ in
                    Int.random(in: 0..<tasks.count, using: &random)
                }
                let rate = Double.random(in: 0.1...1, using: &random)
                let chosen = Set(run.filter { _ in Double.random(in: 0...1, using: &random) < rate } + others)
                var ended = chosen.sorted().map { tasks[$0] }
                switch Int.random(in: 0...2, using: &random) {
                case 0: ended.reverse()
                case 1: ended.shuffle(using: &random)
                default: break
                }
                #expect(await broker.end(ended, .done) == ended.map { _ in "finished" })
                tasks = tasks.indices.filter { !chosen.contains($0) }.map { tasks[$0] }
                let left = try await redis.strings("LRANGE", keys.active, 0, -1)
                try #require(left == tasks.map(\.message.id))
            }
            #expect(try await redis("EXISTS", keys.lease).int == 0)
        }
    }

    @Test func `a lease that is gone stays gone`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a", "b"])
            let tasks = try await broker.take(2)
            #expect(await broker.end([tasks[0]], .done) == ["finished"])
            #expect(try await broker.extendLeases(tasks) == [false, true])
            #expect(try await redis.strings("ZRANGE", keys.lease, 0, -1) == ["b"])
        }
    }

    @Test func `a lock is freed by its own task only`() async throws {
        try await withBroker { broker, redis in
            let lock = keys.unique(type: "t", payload: [1])
            for (id, outcome, retention) in [
                ("done", FinishRequest.Outcome.done, 0), ("completed", .done, 60), ("stolen", .done, 0),
            ] {
                var task = message(id)
                task.retention = Int64(retention)
                let request = EnqueueRequest(message: task, uniqueFor: .minutes(1))
                _ = try await broker.enqueue([request])[0].get()
                let taken = try await broker.take(1)
                if id == "stolen" { try await redis("SET", lock, "somebody else") }
                #expect(await broker.end(taken, outcome) == ["finished"])
                #expect(try await redis("GET", lock).string == (id == "stolen" ? "somebody else" : nil))
            }
        }
    }

    @Test func `a lock outlasts a failed attempt`() async throws {
        try await withBroker { broker, redis in
            let request = EnqueueRequest(message: message("a"), uniqueFor: .minutes(1))
            _ = try await broker.enqueue([request])[0].get()
            let retry = FinishRequest.Outcome.retry(delay: .seconds(60), error: "e", countsAsFailure: true)
            #expect(try await broker.end(broker.take(1), retry) == ["finished"])
            let again = await broker.enqueue([EnqueueRequest(message: message("b"), uniqueFor: .minutes(1))])[0]
            #expect(again.failure?.code == .duplicateTask)
        }
    }

    @Test func `the archive is trimmed to 10 000 tasks, with their hashes and locks`() async throws {
        try await withBroker { broker, redis in
            let now = try await redis.now()
            // One is older than 90 days; five are too many.
            for start in stride(from: 0, to: 10_005, by: 667) {
                let numbers = start..<min(start + 667, 10_005)
                let members = numbers.flatMap { [Int64(now - 20_000 + Int64($0)), "old-\($0)"] as [any RawArgument] }
                try await redis.run("ZADD", [keys.archived] + members)
            }
            for number in 0..<20 {
                try await redis(
                    "HSET",
                    keys.task("old-\(number)"),
                    "msg",
                    "x",
                    "state",
                    "archived",
                    "unique_key",
                    "lock-\(number)"
                )
                try await redis("SET", "lock-\(number)", number == 3 ? "another" : "old-\(number)")
            }
            try await redis("ZADD", keys.archived, now - 91 * 86_400, "old-19")
            try await broker.put(["new"])
            #expect(try await broker.end(broker.take(1), .archive(error: "e")) == ["finished"])
            #expect(try await redis.int("ZCARD", keys.archived) == 10_000)
            for number in 0..<20 {
                let isGone = number < 5 || number == 19
                #expect(try await redis.int("EXISTS", keys.task("old-\(number)")) == (isGone ? 0 : 1), "\(number)")
                let isFreed = isGone && number != 3
                #expect(try await redis.int("EXISTS", "lock-\(number)") == (isFreed ? 0 : 1), "\(number)")
            }
            #expect(try await redis("ZSCORE", keys.archived, "new") != .null)
        }
    }

    @Test func `outcomes are counted for all time and for the day`() async throws {
        try await withBroker { broker, redis in
            func today() async throws -> String {
                try await Date(timeIntervalSince1970: Double(redis.now())).formatted(.iso8601.year().month().day())
            }
            let first = try await today()
            try await broker.put(["done", "retry", "throttled", "archive", "back"])
            let tasks = try await broker.take(5)
            let outcomes: [FinishRequest.Outcome] = [
                .done, .retry(delay: .seconds(9), error: "e", countsAsFailure: true),
                .retry(delay: .seconds(9), error: "e", countsAsFailure: false), .archive(error: "e"), .requeue,
            ]
            for (task, outcome) in zip(tasks, outcomes) { #expect(await broker.end([task], outcome) == ["finished"]) }
            // Two if midnight was just now.
            let days = Set([first, try await today()])
            for (key, count) in [(keys.processed, Int64(3)), (keys.failed, 2)] {
                #expect(try await redis.int("GET", key) == count)
                var counted: Int64 = 0
                for day in days {
                    guard let some = try await redis.int("GET", "\(key):\(day)") else { continue }
                    counted += some
                    let ttl = try await redis.int("TTL", "\(key):\(day)") ?? 0
                    #expect(ttl > 89 * 86_400 && ttl <= 90 * 86_400)
                }
                #expect(counted == count)
            }
            let retried = try await redis("HGET", keys.task("retry"), "msg").buffer.map {
                try TaskMessage(decoding: $0)
            }
            let throttled = try await redis("HGET", keys.task("throttled"), "msg").buffer.map {
                try TaskMessage(decoding: $0)
            }
            #expect(retried?.retried == 1 && throttled?.retried == 0 && throttled?.errorMessage == "e")
        }
    }

    @Test func `a paused queue gives nothing`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            try await redis("SET", keys.paused, "1")
            #expect(try await broker.take(1).isEmpty)
            try await redis("DEL", keys.paused)
            #expect(try await broker.take(1).count == 1)
        }
    }

    @Test func `due tasks are forwarded in bounded steps, and then join the end of the queue`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["waiting"])
            let now = try await redis.now()
            for number in 0..<10 {
                let request = EnqueueRequest(message: message("s\(number)"), start: .after(milliseconds: 90_000))
                _ = try await broker.enqueue([request])[0].get()
                try await redis("ZADD", keys.scheduled, now - 100 + Int64(number), "s\(number)")
            }
            var result = try await broker.forward(queues: ["default"], limit: 7)
            #expect(result.moved == 7 && result.nextDueIn == .zero)
            result = try await broker.forward(queues: ["default"], limit: 7)
            #expect(result.moved == 3 && result.nextDueIn == nil)
            #expect(try await RedisDump(redis).contradictions() == [])
            #expect(try await broker.take(20).map(\.message.id) == ["waiting"] + (0..<10).map { "s\($0)" })
        }
    }

    @Test func `a batch of all kinds goes to Redis as one script a queue`() async throws {
        try await withBroker { broker, redis in
            func batch(_ name: String) -> [EnqueueRequest] {
                (0..<40).map { number in
                    var task = message("\(name) \(number)", queue: "q\(number % 3)", payload: [UInt8(number)])
                    if number % 4 == 3 { task.group = "g" }
                    return EnqueueRequest(
                        message: task,
                        start: number % 4 == 1 ? .after(milliseconds: 60_000) : .now,
                        uniqueFor: number % 4 == 2 ? .minutes(5) : nil
                    )
                }
            }
            // The connection is there, and the server has the scripts.
            for result in await broker.enqueue(batch("first")) { _ = try result.get() }
            try await redis("CONFIG", "RESETSTAT")
            let requests = batch("second").filter { $0.uniqueFor == nil }
            for result in await broker.enqueue(requests) { _ = try result.get() }
            // For each of the three queues one script, and one naming; groups are named within the scripts.
            let stats = try await redis("INFO", "commandstats").string ?? ""
            func calls(_ command: String) -> Int? {
                let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):") }
                return line?.firstMatch(of: #/calls=(\d+)/#).flatMap { Int($0.1) }
            }
            #expect(calls("evalsha") == 3 && calls("eval") == nil, "\(stats)")
        }
    }

    @Test func `only a running task can have a result`() async throws {
        try await withBroker { broker, redis in
            try await broker.put(["a"])
            let none = LeasedTask(message: message("a"), leaseEnd: 0)
            await #expect(throws: AsynqError.self) { try await broker.writeResult([1], of: none) }
            #expect(try await redis.int("HEXISTS", keys.task("a"), "result") == 0)
            let task = try await broker.take(1)[0]
            try await broker.writeResult([0, 255], of: task)
            #expect(try await redis("HGET", keys.task("a"), "result").data == Data([0, 255]))
        }
    }

    @Test func `what a server writes of itself expires, and goes when it leaves`() async throws {
        try await withBroker { broker, redis in
            let identity = ServerIdentity(host: "h", pid: 1, id: "s")
            var state = ServerState(
                identity: identity,
                concurrency: 1,
                queues: ["q": 1],
                strictPriority: false,
                status: "active",
                startedAt: Date(),
                workers: []
            )
            let large = LeasedTask(message: message("a", payload: [UInt8](repeating: 1, count: 1 << 20)), leaseEnd: 0)
            state.workers = [ServerState.Worker(task: large, startedAt: Date(), deadline: nil)]
            try await broker.writeServerState(state, ttl: .seconds(60))
            for key in ["asynq:servers:{h:1:s}", "asynq:workers:{h:1:s}"] {
                #expect((1...60).contains(try await redis.int("TTL", key) ?? 0))
            }
            // Each heartbeat writes it anew: a large payload is cut.
            #expect(try await redis.int("HSTRLEN", "asynq:workers:{h:1:s}", "a") ?? 0 < 20_000)
            state.workers = []
            try await broker.writeServerState(state, ttl: .seconds(60))
            #expect(try await redis.int("EXISTS", "asynq:workers:{h:1:s}") == 0)
            try await broker.clearServerState(identity)
            #expect(try await redis.strings("KEYS", "*") == [])
        }
    }
}
