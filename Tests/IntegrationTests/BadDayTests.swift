import Asynq
import AsynqRedis
import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

/// Crashes and outages: nothing that was acknowledged is lost.
struct BadDayTests {
    /// Counts how often each task was run.
    private final class Runs: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        let all = Recorder<Void>()

        func add(_ id: String) {
            let isFirst = counts.withLock { counts in
                counts[id, default: 0] += 1
                return counts[id] == 1
            }
            if isFirst { all.add(()) }
        }

        var repeated: Int { counts.withLock { $0.values.count { $0 > 1 } } }
    }

    /// Enqueues so many tasks, as often as it takes, with ids `0`, `1`…
    private func put(_ count: Int, _ client: AsynqClient, queue: String = "default") async {
        for start in stride(from: 0, to: count, by: 1000) {
            var left = (start..<min(start + 1000, count)).map { AsynqTask("t", .taskID("\($0)"), .queue(queue)) }
            while !left.isEmpty {
                let results = await client.enqueue(batch: left)
                left = zip(left, results).compactMap { task, result in
                    guard case .failure(let error) = result else { return nil }
                    // It may have been stored although the answer was lost.
                    return error.code == .taskIDConflict ? nil : task
                }
            }
        }
    }

    /// Whether the one server that there is takes no more tasks, as inspectors see it.
    private func saysThatItStopped(_ redis: RedisServer) throws -> Bool {
        let key = try redis.cli("KEYS", "asynq:servers:*")
        return try redis.cli("GET", key).contains("stopped")
    }

    @Test func `two servers on a queue never run a task twice when nothing fails`() async throws {
        try await RedisServer.withServer { redis in
            let runs = Runs()
            let handler = ClosureHandler { _, context in runs.add(context.taskID) }
            let brokers = try (0..<2).map { _ in try RedisBroker(configuration: .patient(redis.uri), logger: .silent) }
            let (first, second) = (brokers[0], brokers[1])
            try await withServer(first, handler: handler) { _ in
                try await withServer(second, handler: handler) { _ in
                    await put(100_000, AsynqClient(first))
                    await runs.all.wait(for: 100_000)
                    try await eventually("all are stored") { try redis.isEmpty() }
                }
            }
            #expect(runs.repeated == 0)
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "100000")
            await first.shutdown()
            await second.shutdown()
        }
    }

    @Test func `a Redis that is killed and comes back has lost nothing`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            let runs = Runs()
            let handler = ClosureHandler { _, context in
                runs.add(context.taskID)
                try await Task.sleep(for: .milliseconds(1))
            }
            try await withBroker(redis) { broker in
                // Outcomes that were lost with the connection are made good by the recoverer.
                let settings = configuration {
                    $0.recovererInterval = .milliseconds(100)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                try await withServer(broker, settings, handler: handler) { _ in
                    let client = AsynqClient(broker)
                    async let producer: Void = put(10_000, client)
                    for outage in 1...3 {
                        await runs.all.wait(for: outage * 2500)
                        redis.kill()
                        try await redis.start()
                    }
                    await producer
                    await runs.all.wait(for: 10_000)
                    try await eventually("all are stored") {
                        // The lease of a task whose dequeue was answered to nobody ends in 30 s, and 30 s later it is
                        // recovered: not to wait so long.
                        try redis.endLeases()
                        return try redis.isEmpty()
                    }
                }
            }
            // At least once: those that were running when the connection was lost may have been run again.
            #expect(try redis.count("archived") == 0)
        }
    }

    @Test func `16: an outcome is kept while Redis is away, and its task is not run again`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            let runs = Recorder<String>()
            let release = AsyncStream<Void>.makeStream()
            let handler = ClosureHandler { _, context in
                runs.add(context.taskID)
                for await _ in release.stream { break }
            }
            try await withBroker(redis) { broker in
                try await withServer(broker, handler: handler) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("t"))
                    await runs.wait(for: 1)
                    redis.kill()
                    release.continuation.finish()
                    try await redis.start()
                    try await eventually("its outcome is stored") { try redis.isEmpty() }
                }
            }
            #expect(runs.count == 1)
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "1")
        }
    }

    /// Its Swift task is cancelled, as the context of a Go handler is: what is left to do for it must not end with that.
    @Test func `16: the outcome of an attempt that was cancelled is stored when Redis is back`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            let (events, log) = (Recorder<String>(), LogRecorder())
            let handler = ClosureHandler { _, _ in
                // Within its attempt, which could have ended otherwise.
                redis.kill()
                events.add("start")
                do {
                    try await Task.sleep(for: .seconds(3600))
                } catch {
                    events.add("cancelled")
                    throw error
                }
            }
            try await withBroker(redis) { broker in
                try await withServer(broker, configuration { $0.logger = log.logger }, handler: handler) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a"), .timeout(.seconds(1))))
                    await events.wait(for: 2)
                    try await eventually("it says so") { log.lines.contains { $0.contains("cannot store outcomes") } }
                    try await redis.start()
                    try await eventually("its outcome is stored") { try redis.count("retry") == 1 }
                    #expect(try redis.message("a").contains("timed out") && redis.count("active") == 0)
                }
            }
            #expect(events.elements == ["start", "cancelled"])
        }
    }

    @Test func `a server that cannot reach Redis until its leases end cancels its handlers and stores nothing`()
        async throws
    {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            let clock = ManualClock()
            let events = Recorder<String>()
            let broker = try RedisBroker(configuration: .patient(redis.uri), logger: .silent)
            let handler = ClosureHandler { _, _ in
                events.add("start")
                do {
                    try await Task.sleep(for: .seconds(86_400))
                } catch {
                    events.add("cancelled")
                    throw error
                }
            }
            let server = AsynqServer(broker, handler: handler, configuration: configuration(), clock: clock)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await server.run() }
                try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a"), .timeout(.hours(24))))
                await events.wait(for: 1)
                redis.kill()
                try await eventually("its lease has ended") {
                    clock.advance(by: .seconds(1))
                    return events.count == 2
                }
                try await redis.start()
                server.shutdown()
                try await tasks.waitForAll()
            }
            await broker.shutdown()
            #expect(events.elements == ["start", "cancelled"])
            // Somebody else's to recover.
            #expect(try redis.cli("LRANGE", "asynq:{default}:active", "0", "-1") == "a")
            #expect(try redis.count("retry") == 0)
        }
    }

    @Test func `a second SIGINT does not wait for handlers`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                try await AsynqClient(broker).enqueue(AsynqTask("hang", .taskID("a")))
                let worker = try WorkerProcess(
                    redis.uri,
                    queue: "default",
                    concurrency: 1,
                    shutdownMilliseconds: 86_400_000
                )
                try await eventually("it works") { worker.ids("start") == ["a"] }
                worker.signal(SIGINT)
                // Two signals count as one unless the first has arrived before the second is sent.
                try await eventually("it says so") { try saysThatItStopped(redis) }
                #expect(worker.ids("cancelled").isEmpty)
                worker.signal(SIGINT)
                #expect(try await worker.wait() == 0)
                #expect(try redis.cli("LINDEX", "asynq:{default}:pending", "-1") == "a")
            }
        }
    }

    @Test func `the tasks of a worker that is killed are all finished by another`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let client = AsynqClient(broker)
                let ids = (0..<50).map { "task-\($0)" }
                for id in ids { try await client.enqueue(AsynqTask("hang", .taskID(id))) }
                let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 50)
                try await eventually("all run") { worker.ids("start").count == 50 }
                worker.signal(SIGKILL)
                _ = try await worker.wait()
                #expect(try redis.count("active") == 50)
                let runs = Runs()
                let settings = configuration {
                    $0.recovererInterval = .milliseconds(50)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                try await withServer(
                    broker,
                    settings,
                    handler: ClosureHandler { _, context in runs.add(context.taskID) }
                ) { _ in
                    // Not before their leases are over.
                    try await client.enqueue(AsynqTask("t", .taskID("other")))
                    await runs.all.wait(for: 1)
                    #expect(runs.all.count == 1)
                    try redis.endLeases()
                    await runs.all.wait(for: 51)
                    try await eventually("all are stored") { try redis.isEmpty() }
                }
                #expect(runs.repeated == 0)
                // Each recovery counts as a failure, so that a task that kills its process ends in the archive.
                #expect(try redis.cli("GET", "asynq:{default}:failed") == "50")
            }
        }
    }

    @Test func `a task that kills every worker ends in the archive`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("poison"), .maxRetry(1)))
                let settings = configuration {
                    $0.recovererInterval = .milliseconds(50)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                for _ in 0..<2 {
                    try await eventually("it is taken") {
                        try await !broker.dequeue([DequeueRequest(queue: "default", limit: 1)]).isEmpty
                    }
                    try redis.endLeases()
                    let server = AsynqServer(broker, handler: ClosureHandler { _, _ in }, configuration: settings)
                    server.stop()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        // Paused, so that this server only recovers.
                        try redis.cli("SET", "asynq:{default}:paused", "1")
                        group.addTask { try await server.run() }
                        try await eventually("it is recovered") { try redis.count("active") == 0 }
                        server.shutdown()
                        try await group.waitForAll()
                    }
                    try redis.cli("DEL", "asynq:{default}:paused")
                    _ = try await broker.forward(queues: ["default"], limit: 10)
                }
                #expect(try redis.count("archived") == 1)
                #expect(try redis.message("poison").contains("asynq: task lease expired"))
            }
        }
    }

    @Test(arguments: [
        ["SCRIPT", "FLUSH"], ["CLIENT", "KILL", "TYPE", "normal"], ["CLIENT", "KILL", "TYPE", "pubsub"],
    ])
    func `work goes on when Redis forgets scripts or drops connections`(command: [String]) async throws {
        try await RedisServer.withServer { redis in
            let runs = Runs()
            let handler = ClosureHandler { _, context in runs.add(context.taskID) }
            try await withBroker(redis) { broker in
                let settings = configuration {
                    $0.recovererInterval = .milliseconds(100)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                try await withServer(broker, settings, handler: handler) { _ in
                    async let producer: Void = put(5000, AsynqClient(broker))
                    for turn in 1...10 {
                        await runs.all.wait(for: turn * 300)
                        switch command.count {
                        case 2: try redis.cli(command[0], command[1])
                        default: try redis.cli(command[0], command[1], command[2], command[3])
                        }
                    }
                    await producer
                    try await eventually("all are done") {
                        try redis.endLeases()
                        return try runs.all.count >= 5000 && redis.isEmpty()
                    }
                }
            }
            #expect(try redis.count("archived") == 0)
        }
    }

    @Test(arguments: ["hang", "stubborn"])
    func `long tasks are handed back at SIGTERM, and run by the next server`(type: String) async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let client = AsynqClient(broker)
                for number in 0..<10 { try await client.enqueue(AsynqTask(type, .taskID("\(number)"))) }
                let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 5, shutdownMilliseconds: 50)
                try await eventually("five run") { worker.ids("start").count == 5 }
                worker.signal(SIGTERM)
                #expect(try await worker.wait() == 0)
                #expect(worker.lines.elements.contains("closed"))
                #expect(try redis.count("pending") == 10 && redis.count("active") == 0)
                // Those that had begun come first.
                let handedBack = try redis.cli("LRANGE", "asynq:{default}:pending", "-5", "-1").split(separator: "\n")
                #expect(Set(handedBack.map(String.init)) == Set(worker.ids("start")))
                let runs = Runs()
                try await withServer(broker, handler: ClosureHandler { _, context in runs.add(context.taskID) }) { _ in
                    await runs.all.wait(for: 10)
                    try await eventually("all are stored") { try redis.isEmpty() }
                }
                #expect(runs.repeated == 0)
                #expect(try redis.cli("GET", "asynq:{default}:failed") == "")
            }
        }
    }

    @Test func `a server that stops takes no more tasks, and finishes those that it has`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let client = AsynqClient(broker)
                let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 1)
                await worker.lines.wait(for: 1)
                try await client.enqueue(AsynqTask("t", .taskID("before")))
                try await eventually("it is done") { worker.ids("end") == ["before"] }
                worker.signal(SIGTSTP)
                try await eventually("it says so") { try saysThatItStopped(redis) }
                try await client.enqueue(AsynqTask("t", .taskID("after")))
                worker.signal(SIGTERM)
                #expect(try await worker.wait() == 0)
                #expect(worker.ids("start") == ["before"])
                #expect(try redis.count("pending") == 1)
            }
        }
    }
}
