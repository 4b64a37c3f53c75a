import Asynq
import AsynqRedis
import Synchronization
import TestSupport
import Testing

/// How many commands Redis is sent for what: what makes the difference in speed, counted instead of timed.
struct CommandCountTests {
    private let count = 10_000

    /// How many commands Redis has run, those within scripts left out, since the last look.
    private func commands(_ redis: RawRedis, _ body: () async throws -> Void) async throws -> [String: Int] {
        try await redis("CONFIG", "RESETSTAT")
        try await body()
        let stats = try await redis("INFO", "commandstats").string ?? ""
        var calls: [String: Int] = [:]
        for line in stats.split(whereSeparator: \.isNewline) {
            guard let match = line.firstMatch(of: #/cmdstat_([a-z|]+):calls=(\d+)/#) else { continue }
            calls[String(match.1)] = Int(match.2)
        }
        return calls
    }

    /// Runs a server on the queue `default` until it has handled so many.
    private func serve(_ broker: RedisBroker, _ count: Int, concurrency: Int) async throws {
        let handled = Recorder<Void>()
        var configuration = AsynqServer.Configuration(concurrency: concurrency)
        configuration.handlesSignals = false
        configuration.logger = .silent
        let handler = ClosureHandler { _, _ in handled.add(()) }
        let server = AsynqServer(broker, handler: handler, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            await handled.wait(for: count)
            server.shutdown()
            try await group.waitForAll()
        }
    }

    @Test(arguments: [10, 100])
    func `a script takes or ends many tasks`(concurrency: Int) async throws {
        try await withBroker { broker, redis in
            for start in stride(from: 0, to: count, by: 500) {
                try await broker.put((start..<start + 500).map { "task-\($0)" })
            }
            let calls = try await commands(redis) { try await serve(broker, count, concurrency: concurrency) }
            let scripts = calls["evalsha", default: 0] + calls["eval", default: 0]
            // About 30 tasks a script of either kind on a machine at rest.
            #expect(scripts > 0 && scripts <= count / 5, "\(scripts) scripts for \(count) tasks")
            // Of each task: a look at its message, two changes of its hash, and nothing that walks a list.
            #expect(calls["hmget", default: 0] <= count + scripts, "\(calls)")
            #expect(calls["hset", default: 0] <= count + scripts, "\(calls)")
            #expect(calls["lrem", default: 0] <= count / 2, "\(calls)")
        }
    }

    /// As when the answer to a finish was lost and it is tried again.
    @Test func `the end of tasks that have ended walks no list`() async throws {
        try await withBroker { broker, redis in
            for start in stride(from: 0, to: 2000, by: 200) {
                try await broker.put((start..<start + 200).map { "task-\($0)" })
            }
            var tasks: [LeasedTask] = []
            while tasks.count < 2000 { tasks += try await broker.take(256) }
            let some = Array(tasks[1000..<1200])
            #expect(Set(await broker.end(some, .done)) == ["finished"])
            let calls = try await commands(redis) {
                // One that is there does not make the others be looked for.
                #expect(await broker.end(some + [tasks[0]], .done).count { $0 == "notFound" } == 200)
            }
            #expect(calls["lrem", default: 0] <= 1 && calls["lpos", default: 0] <= 6, "\(calls)")
        }
    }

    /// In a list each would be compared with all that are there.
    @Test func `many leases at once are kept in a tree`() async throws {
        try await withBroker { broker, redis in
            // One id looks like what makes it a tree.
            var ids = (0..<30).map { "task-\($0)" }
            ids[10] = String(repeating: "-", count: 65)
            try await broker.put(ids)
            _ = try await broker.take(4)
            #expect(try await redis("OBJECT", "ENCODING", "asynq:{default}:lease").string != "skiplist")
            let tasks = try await broker.take(20)
            #expect(try await redis("OBJECT", "ENCODING", "asynq:{default}:lease").string == "skiplist")
            #expect(try await redis("ZCARD", "asynq:{default}:lease").int == 24)
            #expect(Set(await broker.end(tasks, .done)) == ["finished"])
        }
    }

    @Test func `callers that enqueue at the same time share scripts`() async throws {
        try await withBroker { broker, redis in
            let client = AsynqClient(broker)
            let calls = try await commands(redis) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<50 {
                        group.addTask {
                            for _ in 0..<100 { try await client.enqueue(AsynqTask("t")) }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(try await redis.int("LLEN", QueueKeys("default").pending) == 5000)
            #expect(calls["evalsha", default: 0] <= 5000 / 2, "\(calls)")
        }
    }

    @Test func `a batch is one script for 256 tasks, and one naming of the queue`() async throws {
        try await withBroker { broker, redis in
            let client = AsynqClient(broker)
            try await client.enqueue(AsynqTask("warm"))
            let calls = try await commands(redis) {
                for result in await client.enqueue(batch: Array(repeating: AsynqTask("t"), count: 1000)) {
                    _ = try result.get()
                }
            }
            #expect(calls["evalsha"] == 4 && calls["sadd"] == 1, "\(calls)")
        }
    }

    @Test func `a caller that runs where the connection lives enqueues as any other`() async throws {
        try await withBroker { broker, redis in
            let client = AsynqClient(broker)
            let executor = try #require(client.taskExecutor)
            let ids = try await withTaskExecutorPreference(executor) {
                var ids: [String] = []
                for _ in 0..<100 { ids.append(try await client.enqueue(AsynqTask("t")).id) }
                return ids
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask(executorPreference: number.isMultiple(of: 2) ? executor : nil) {
                        try await client.enqueue(AsynqTask("t"), .processIn(.hours(1)))
                    }
                }
                try await group.waitForAll()
            }
            let pending = try await redis.strings("LRANGE", QueueKeys("default").pending, 0, -1)
            #expect(pending.reversed() == ids)
            #expect(try await redis.int("ZCARD", QueueKeys("default").scheduled) == 100)
        }
    }
}
