import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// Groups that a server aggregates (spec 2, "Server").
struct AggregationTests {
    private struct Busy: Error {}

    /// Joins the payloads of a group.
    private static let join = ClosureAggregator { tasks, context in
        let parts = tasks.map { String(decoding: $0.payload ?? [], as: UTF8.self) }
        return AsynqTask("joined", payload: Array("\(context.group): \(parts.joined(separator: " "))".utf8))
    }

    /// Ready by nothing that a test waits for, unless it says so.
    private func settings(
        _ aggregator: any TaskAggregator = join,
        _ change: (inout AsynqServer.Configuration) -> Void
    ) -> AsynqServer.Configuration {
        configuration {
            $0.groupAggregator = aggregator
            $0.groupGracePeriod = .hours(1)
            change(&$0)
        }
    }

    /// A server that writes down what it runs.
    private func withAggregation(
        _ configuration: AsynqServer.Configuration,
        _ body: (AsynqClient, Recorder<String>, RedisServer) async throws -> Void
    ) async throws {
        let runs = Recorder<String>()
        try await withServer(
            configuration,
            handler: { task, _ in
                runs.add(String(decoding: task.payload ?? [], as: UTF8.self))
            }
        ) { client, redis in
            try await body(client, runs, redis)
        }
    }

    private func task(_ text: String, _ group: String = "g", _ options: TaskOption...) -> AsynqTask {
        AsynqTask("part", payload: Array(text.utf8), options: [.group(group)] + options)
    }

    @Test func `a group is aggregated when no more tasks come, and nothing is left of it`() async throws {
        try await withAggregation(settings { $0.groupGracePeriod = .seconds(1) }) { client, runs, redis in
            // In one call: the group is to be whole before it ends.
            let tasks = ["a", "b", "c"].map { task($0, "g", .taskID($0)) } + [task("d", "h")]
            for result in await client.enqueue(batch: tasks) { _ = try result.get() }
            await runs.wait(for: 2)
            #expect(Set(runs.elements) == ["g: a b c", "h: d"])
            try await eventually("all is stored") { try redis.isEmpty() }
            let keys = try redis.cli("KEYS", "asynq:{default}:*").split(separator: "\n")
            #expect(keys.allSatisfy { $0.contains(":processed") }, "\(keys)")
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "2")
        }
    }

    @Test func `a group that has its maximal size is aggregated at once, whoever adds the last task`() async throws {
        try await withAggregation(settings { $0.groupMaxSize = 3 }) { client, runs, redis in
            for round in 1...5 {
                try await client.enqueue(task("a", "g", .taskID("\(round)a")))
                // As the Go client does.
                let time = "\(Int(Date().timeIntervalSince1970))"
                let other = try RedisBroker(configuration: .patient(redis.uri), logger: .silent)
                try await AsynqClient(other).enqueue(task("b", "g", .taskID("\(round)b")))
                let last = try await AsynqClient(other).enqueue(task("c", "elsewhere", .taskID("\(round)c")))
                await other.shutdown()
                try redis.cli("ZREM", "asynq:{default}:g:elsewhere", last.id)
                try redis.cli("SREM", "asynq:{default}:groups", "elsewhere")
                try redis.cli("ZADD", "asynq:{default}:g:g", time, last.id)
                try redis.cli("SADD", "asynq:{default}:groups", "g")
                await runs.wait(for: round)
                #expect(runs.elements.last?.split(separator: " ").count == 4)
            }
        }
    }

    @Test func `a batch is cut into tasks of the maximal size`() async throws {
        try await withAggregation(settings { $0.groupMaxSize = 10 }) { client, runs, _ in
            let results = await client.enqueue(batch: (0..<100).map { task("\($0)") })
            for result in results { _ = try result.get() }
            await runs.wait(for: 10)
            let parts = runs.elements.map { $0.split(separator: " ").dropFirst() }
            #expect(parts.allSatisfy { $0.count == 10 })
            #expect(Set(parts.flatMap(\.self)).count == 100)
        }
    }

    @Test func `a group is aggregated when its oldest task has waited for the maximal delay`() async throws {
        try await withAggregation(settings { $0.groupMaxDelay = .seconds(1) }) { client, runs, _ in
            try await client.enqueue(task("a"))
            await runs.wait(for: 1)
            #expect(runs.elements == ["g: a"])
        }
    }

    @Test func `a scheduled task is aggregated when it is due`() async throws {
        try await withAggregation(settings { $0.groupMaxSize = 2 }) { client, runs, _ in
            try await client.enqueue(task("now"))
            try await client.enqueue(task("later", "g", .processIn(.milliseconds(200))))
            await runs.wait(for: 1)
            #expect(Set(runs.elements[0].split(separator: " ")) == ["g:", "now", "later"])
        }
    }

    @Test func `an aggregator that throws is called again with the same tasks`() async throws {
        let calls = Recorder<[String]>()
        let aggregator = ClosureAggregator { tasks, context in
            calls.add(context.taskIDs)
            if calls.count == 1 { throw Busy() }
            return try await Self.join.aggregate(tasks, context: context)
        }
        let log = LogRecorder()
        let settings = settings(aggregator) {
            $0.groupMaxSize = 2
            $0.logger = log.logger
        }
        try await withAggregation(settings) { client, runs, redis in
            for text in ["a", "b"] { try await client.enqueue(task(text, "g", .taskID(text))) }
            await runs.wait(for: 1)
            #expect(calls.elements == [["a", "b"], ["a", "b"]])
            let lines = log.lines.filter { $0.contains("could not be aggregated") }
            #expect(lines.count == 1 && lines[0].hasPrefix("error") && lines[0].contains("group=g"), "\(lines)")
        }
    }

    @Test func `what makes no sense as an aggregated task is refused with a sentence, and the group stays`()
        async throws
    {
        let cases: [(AsynqTask, String)] = [
            (AsynqTask(" "), "type is blank"), (AsynqTask("t", .group("g")), "go on for ever"),
            (AsynqTask("t", .queue(" ")), "queue's name is blank"),
        ]
        for (made, text) in cases {
            let log = LogRecorder()
            let settings = settings(ClosureAggregator { _, _ in made }) {
                $0.groupMaxSize = 1
                $0.logger = log.logger
            }
            try await withAggregation(settings) { client, runs, redis in
                try await client.enqueue(task("secret payload", "g", .taskID("a")))
                try await eventually("it is logged") { log.lines.contains { $0.contains(text) } }
                try await eventually("it is in the group again") {
                    try redis.cli("ZRANGE", "asynq:{default}:g:g", "0", "-1") == "a"
                }
                #expect(runs.count == 0)
                #expect(!log.lines.contains { $0.contains("secret") })
            }
        }
    }

    @Test func `the aggregated task is in the queue of its group, whatever the aggregator says`() async throws {
        let aggregator = ClosureAggregator { _, _ in
            AsynqTask("sum", payload: Array("sum".utf8), .queue("elsewhere"), .maxRetry(3), .taskID("sum"))
        }
        let settings = settings(aggregator) { $0.groupMaxSize = 1 }
        try await withAggregation(settings) { client, runs, redis in
            try await client.enqueue(task("a"))
            await runs.wait(for: 1)
            #expect(try redis.cli("EXISTS", "asynq:{elsewhere}:pending") == "0")
        }
    }

    @Test func `tasks of a server that died while it aggregated them are aggregated by another, once`() async throws {
        let settings = settings {
            $0.groupMaxSize = 2
            $0.recovererInterval = .milliseconds(50)
        }
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let client = AsynqClient(broker)
                for text in ["a", "b"] { try await client.enqueue(task(text)) }
                let group = GroupReference(queue: "default", name: "g")
                let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 2)
                let set = try #require(
                    try await broker.stageGroups([group], policy: policy, limit: 1)[0].get().set
                )
                let runs = Recorder<String>()
                let handler = ClosureHandler { task, _ in
                    runs.add(String(decoding: task.payload ?? [], as: UTF8.self))
                }
                try await withServer(broker, settings, handler: handler) { _ in
                    let sets = "asynq:{default}:aggregation_sets"
                    try redis.cli("ZADD", sets, "XX", "1", try redis.cli("ZRANGE", sets, "0", "0"))
                    await runs.wait(for: 1)
                    #expect(runs.elements == ["g: a b"] || runs.elements == ["g: b a"])
                    // The dead one comes back.
                    let late = EnqueueRequest(message: TaskMessage(type: "t", payload: [], id: "x", queue: "default"))
                    let result = await broker.completeAggregation(set, with: late)
                    #expect(throws: AsynqError.self) { try result.get() }
                    try await eventually("all is stored") { try redis.isEmpty() }
                }
                #expect(runs.count == 1)
            }
        }
    }

    @Test func `two servers never aggregate a task twice`() async throws {
        let settings = settings {
            $0.groupMaxSize = 7
            $0.groupGracePeriod = .seconds(1)
        }
        try await RedisServer.withServer { redis in
            let runs = Recorder<String>()
            let handler = ClosureHandler { task, _ in
                let parts = String(decoding: task.payload ?? [], as: UTF8.self).split(separator: " ").dropFirst()
                for part in parts { runs.add(String(part)) }
            }
            let brokers = try (0..<2).map { _ in try RedisBroker(configuration: .patient(redis.uri), logger: .silent) }
            let (first, second) = (brokers[0], brokers[1])
            try await withServer(first, settings, handler: handler) { _ in
                try await withServer(second, settings, handler: handler) { _ in
                    let client = AsynqClient(first)
                    for start in stride(from: 0, to: 2000, by: 100) {
                        let tasks = (start..<start + 100).map { task("\($0)", "g\($0 % 5)") }
                        for result in await client.enqueue(batch: tasks) { _ = try result.get() }
                    }
                    await runs.wait(for: 2000)
                    try await eventually("all is stored") { try redis.isEmpty() }
                }
            }
            #expect(Set(runs.elements).count == 2000)
            #expect(runs.count == 2000)
            await first.shutdown()
            await second.shutdown()
        }
    }

    @Test func `a unique task frees its lock when it is aggregated`() async throws {
        try await withAggregation(settings { $0.groupMaxSize = 1 }) { client, runs, _ in
            for round in 1...2 {
                try await client.enqueue(task("a", "g", .unique(for: .hours(1))))
                await runs.wait(for: round)
            }
        }
    }

    @Test func `an aggregator that hangs holds up neither other groups nor the shutdown`() async throws {
        let hanging = Recorder<Void>()
        let aggregator = ClosureAggregator { tasks, context in
            if context.group.hasPrefix("stuck") {
                hanging.add(())
                // Ignores its cancellation.
                await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            }
            return try await Self.join.aggregate(tasks, context: context)
        }
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let runs = Recorder<String>()
                let handler = ClosureHandler { task, _ in
                    runs.add(String(decoding: task.payload ?? [], as: UTF8.self))
                }
                let settings = settings(aggregator) { $0.groupMaxSize = 1 }
                let client = AsynqClient(broker)
                try await withServer(broker, settings, handler: handler) { _ in
                    for name in ["stuck 1", "stuck 2"] { try await client.enqueue(task("a", name)) }
                    await hanging.wait(for: 2)
                    for round in 1...5 {
                        try await client.enqueue(task("\(round)", "good"))
                        await runs.wait(for: round)
                    }
                }
                // It has ended, and they are in their groups again.
                for name in ["stuck 1", "stuck 2"] {
                    #expect(try redis.cli("ZCARD", "asynq:{default}:g:\(name)") == "1")
                }
                #expect(try redis.cli("EXISTS", "asynq:{default}:aggregation_sets") == "0")
                #expect(runs.elements == (1...5).map { "good: \($0)" })
            }
        }
    }

    @Test func `an aggregator that takes too long is cancelled, and its group tried again`() async throws {
        let calls = Recorder<Void>()
        let cancelled = Recorder<Void>()
        let aggregator = ClosureAggregator { tasks, context in
            calls.add(())
            if calls.count == 1 {
                do {
                    try await Task.sleep(for: .seconds(3600))
                } catch {
                    cancelled.add(())
                    throw error
                }
            }
            return try await Self.join.aggregate(tasks, context: context)
        }
        let settings = settings(aggregator) {
            $0.groupMaxSize = 1
            $0.groupAggregatorTimeout = .milliseconds(50)
        }
        try await withAggregation(settings) { client, runs, _ in
            try await client.enqueue(task("a"))
            await cancelled.wait(for: 1)
            await runs.wait(for: 1)
            #expect(runs.elements == ["g: a"])
        }
    }

    @Test func `typed payloads are aggregated, and one that does not decode is archived`() async throws {
        struct Note: TaskPayload {
            static let taskType = "note"
            var text: String
        }
        struct Digest: TaskPayload {
            static let taskType = "digest"
            static let options: [TaskOption] = [.maxRetry(2)]
            var lines: [String]
        }
        let aggregator = TypedAggregator(Note.self) { notes, _ in Digest(lines: notes.map(\.text).sorted()) }
        try await withAggregation(settings(aggregator) { $0.groupMaxSize = 4 }) { client, runs, redis in
            try await client.enqueue(Note(text: "one"), .group("g"))
            try await client.enqueue(AsynqTask("note", payload: Array("{}".utf8), .group("g"), .taskID("bad")))
            try await client.enqueue(AsynqTask("other", payload: [], .group("g"), .taskID("other")))
            try await client.enqueue(Note(text: "two"), .group("g"))
            await runs.wait(for: 1)
            #expect(runs.elements == [#"{"lines":["one","two"]}"#])
            #expect(try redis.count("archived") == 2)
            #expect(try redis.message("bad").contains("text is missing"))
            #expect(try redis.message("other").contains("cannot be aggregated with those of type"))
            // A group of such tasks alone does not come again and again.
            for number in 0..<4 {
                try await client.enqueue(AsynqTask("other", payload: [], .group("h"), .taskID("h\(number)")))
            }
            try await eventually("they are archived") { try redis.count("archived") == 6 }
            try await eventually("the group is gone") {
                try redis.cli("KEYS", "asynq:{default}:g:*") == ""
                    && redis.cli("EXISTS", "asynq:{default}:groups") == "0"
            }
        }
    }

    @Test func `groups are aggregated without notifications too`() async throws {
        let settings = settings {
            $0.groupMaxSize = 2
            $0.delayedTaskCheckInterval = .milliseconds(50)
            $0.taskCheckInterval = .milliseconds(50)
        }
        try await RedisServer.withServer { redis in
            // Nobody may turn tracking on.
            try redis.cli("ACL", "SETUSER", "default", "-client|tracking")
            try await withBroker(redis) { broker in
                let runs = Recorder<String>()
                let handler = ClosureHandler { task, _ in
                    runs.add(String(decoding: task.payload ?? [], as: UTF8.self))
                }
                try await withServer(broker, settings, handler: handler) { _ in
                    for round in 1...2 {
                        for text in ["a", "b"] { try await AsynqClient(broker).enqueue(task(text)) }
                        await runs.wait(for: round)
                    }
                }
            }
        }
    }

    @Test func `groups are aggregated again after Redis has been away`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            try await withBroker(redis) { broker in
                let runs = Recorder<String>()
                let handler = ClosureHandler { task, _ in
                    runs.add(String(decoding: task.payload ?? [], as: UTF8.self))
                }
                try await withServer(broker, settings { $0.groupMaxSize = 2 }, handler: handler) { _ in
                    let client = AsynqClient(broker)
                    try await client.enqueue(task("a", "g", .taskID("a")))
                    redis.kill()
                    try await redis.start()
                    try await eventually("the second task is stored") {
                        do {
                            try await client.enqueue(task("b", "g", .taskID("b")))
                            return true
                        } catch let error as AsynqError {
                            return error.code == .taskIDConflict
                        }
                    }
                    await runs.wait(for: 1)
                    #expect(Set(runs.elements[0].split(separator: " ")) == ["g:", "a", "b"])
                }
            }
        }
    }
}
