import Asynq
import AsynqRedis
import AsynqTesting
import Foundation
import Logging
import ServiceLifecycle
import TestSupport
import Testing

/// Starting, idling and ending.
struct LifecycleTests {
    private let idle = ClosureHandler { _, _ in }

    private func failure(of server: AsynqServer) async -> AsynqError? {
        do {
            try await server.run()
            return nil
        } catch {
            return error as? AsynqError
        }
    }

    @Test func `a Redis that cannot be used is an error at start, without the password`() async throws {
        try await RedisServer.withServer(["--requirepass", "hunter2"]) { redis in
            let closed = try RedisServer.freePort()
            let cases = [
                ("redis://:wrong@127.0.0.1:\(redis.port)", "wrong user or password"),
                ("redis://127.0.0.1:\(redis.port)", "asks for a password"),
                ("redis://:hunter2@127.0.0.1:\(redis.port)/99", "database 99"),
                ("rediss://:hunter2@127.0.0.1:\(redis.port)", "TLS"),
                ("redis://:hunter2@127.0.0.1:\(closed)", "connection refused"),
            ]
            for (uri, text) in cases {
                let broker = try RedisBroker(uri, logger: .silent)
                let server = AsynqServer(broker, handler: idle, configuration: configuration())
                let error = await failure(of: server)
                #expect(error?.code == .brokerUnavailable, "\(uri)")
                let message = error?.message ?? ""
                #expect(message.contains(text) && message.contains("127.0.0.1"), "\(message)")
                #expect(!message.contains("hunter2") && !message.contains("wrong@"))
                await broker.shutdown()
            }
        }
    }

    @Test func `a server runs once`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let server = AsynqServer(broker, handler: idle, configuration: configuration())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await server.run() }
                    try await eventually("it runs") { try !redis.cli("KEYS", "asynq:servers:*").isEmpty }
                    #expect(await failure(of: server)?.message.contains("running already") == true)
                    server.shutdown()
                    try await group.waitForAll()
                }
                #expect(await failure(of: server)?.code == .serverClosed)
                #expect(try redis.cli("KEYS", "asynq:servers*") == "" && redis.cli("KEYS", "asynq:workers*") == "")
            }
        }
    }

    @Test func `settings that make no sense are refused with a sentence`() async throws {
        let broker = try RedisBroker("redis://127.0.0.1:1", logger: .silent)
        let cases: [(String, (inout AsynqServer.Configuration) -> Void)] = [
            ("nothing to serve", { $0.queues = [:] }), ("nothing to serve", { $0.queues = ["low": 0] }),
            ("blank", { $0.queues = [" ": 1] }), ("shutdownTimeout", { $0.shutdownTimeout = .seconds(-1) }),
            ("heartbeatInterval", { $0.heartbeatInterval = .seconds(15) }),
            ("cancellationGrace", { $0.cancellationGrace = .nanoseconds(-1) }),
            ("taskCheckInterval", { $0.taskCheckInterval = .zero }), ("prefetchLimit", { $0.prefetchLimit = -1 }),
            ("delayedTaskCheckInterval", { $0.delayedTaskCheckInterval = .seconds(-1) }),
            ("heartbeatInterval", { $0.heartbeatInterval = .zero }),
            ("recovererInterval", { $0.recovererInterval = .zero }),
            ("janitorInterval", { $0.janitorInterval = .seconds(-1) }),
            ("healthCheckInterval", { $0.healthCheckInterval = .zero }),
            ("janitorBatchSize", { $0.janitorBatchSize = 0 }), ("janitorBatchSize", { $0.janitorBatchSize = -5 }),
        ]
        for (text, change) in cases {
            let server = AsynqServer(broker, handler: idle, configuration: configuration(change))
            let error = await failure(of: server)
            #expect(error?.code == .invalidArgument && error?.message.contains(text) == true, "\(text)")
        }
        await broker.shutdown()
    }

    @Test func `it ends with its task, after what it runs`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let (started, cancelled) = (Recorder<Void>(), Recorder<Void>())
                let handler = ClosureHandler { _, _ in
                    started.add(())
                    await cancelled.wait(for: 1)
                }
                let server = AsynqServer(broker, handler: handler, configuration: configuration())
                let running = Task { try await server.run() }
                try await AsynqClient(broker).enqueue(AsynqTask("t"))
                await started.wait(for: 1)
                running.cancel()
                cancelled.add(())
                try await running.value
                #expect(try redis.isEmpty() && redis.cli("GET", "asynq:{default}:processed") == "1")
            }
        }
    }

    @Test func `it is a service among others`() async throws {
        struct Trigger: Service {
            let started: Recorder<Void>
            func run() async throws { await started.wait(for: 1) }
        }
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let started = Recorder<Void>()
                let handler = ClosureHandler { _, _ in started.add(()) }
                let server = AsynqServer(broker, handler: handler, configuration: configuration())
                try await AsynqClient(broker).enqueue(AsynqTask("t"))
                let group = ServiceGroup(
                    configuration: .init(
                        services: [
                            .init(service: server),
                            .init(
                                service: Trigger(started: started),
                                successTerminationBehavior: .gracefullyShutdownGroup
                            ),
                        ],
                        logger: .silent
                    )
                )
                try await group.run()
                #expect(try redis.isEmpty())
            }
        }
    }

    @Test func `10 and 11: an idle server is told of tasks, due times and cancellations, and need not ask`()
        async throws
    {
        let events = Recorder<String>()
        let settings = configuration {
            // A poll would come too late for this test.
            $0.taskCheckInterval = .seconds(3600)
            $0.delayedTaskCheckInterval = .seconds(3600)
        }
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let handler = ClosureHandler { _, context in
                    events.add(context.taskID)
                    guard context.taskID == "hang" else { return }
                    do {
                        try await Task.sleep(for: .seconds(3600))
                    } catch {
                        events.add("cancelled")
                        throw error
                    }
                }
                try await withServer(broker, settings, handler: handler) { _ in
                    // It listens on a connection of its own.
                    try await eventually("it listens") {
                        try redis.cli("PUBSUB", "NUMSUB", "asynq:cancel").hasSuffix("1")
                    }
                    let client = AsynqClient(broker)
                    try await client.enqueue(AsynqTask("t", .taskID("a")))
                    await events.wait(for: 1)
                    // Sooner than another that waits.
                    try await client.enqueue(AsynqTask("t", .taskID("far"), .processIn(.hours(1))))
                    try await client.enqueue(AsynqTask("t", .taskID("b"), .processIn(.milliseconds(10))))
                    await events.wait(for: 2)
                    try await client.enqueue(AsynqTask("t", .taskID("c"), .processIn(.milliseconds(300))))
                    await events.wait(for: 3)
                    try await client.enqueue(AsynqTask("t", .taskID("hang")))
                    await events.wait(for: 4)
                    try await broker.cancel(taskID: "hang")
                    await events.wait(for: 5)
                    #expect(events.elements == ["a", "b", "c", "hang", "cancelled"])
                }
            }
        }
    }

    @Test func `11: an idle server asks no queue for tasks, however many it serves`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                func calls(_ command: String) throws -> Int {
                    let line = try redis.cli("INFO", "commandstats").split(whereSeparator: \.isNewline)
                        .first { $0.hasPrefix("cmdstat_\(command):") }
                    return line?.firstMatch(of: #/calls=(\d+)/#).flatMap { Int($0.1) } ?? 0
                }
                let clock = ManualClock()
                let queues = Dictionary(uniqueKeysWithValues: (0..<20).map { ("queue-\($0)", 1) })
                let ran = Recorder<String>()
                let handler = ClosureHandler { _, context in ran.add(context.queue) }
                let settings = configuration(queues: queues)
                let server = AsynqServer(broker, handler: handler, configuration: settings, clock: clock)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await server.run() }
                    // Each queue has been looked at, and is listened to.
                    for queue in queues.keys { try await AsynqClient(broker).enqueue(AsynqTask("t", .queue(queue))) }
                    await ran.wait(for: 20)
                    try await eventually("all are stored") {
                        try queues.keys.allSatisfy { try redis.isEmpty(queue: $0) }
                    }
                    try redis.cli("CONFIG", "RESETSTAT")
                    // Four heartbeats, each written by a SET.
                    var seconds = 0
                    for beat in 1...4 {
                        try await eventually("heartbeat \(beat)") {
                            clock.advance(by: .seconds(1))
                            seconds += 1
                            return try calls("set") >= beat
                        }
                    }
                    // To ask them each second would be 20 looks a second. One look in half a minute makes up for signals
                    // that were lost.
                    #expect(try calls("lrange") < 4 * seconds)
                    server.shutdown()
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func `where Redis refuses to notify, the server polls`() async throws {
        let acl = ["--user", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking"]
        try await RedisServer.withServer(acl) { redis in
            let log = LogRecorder()
            let broker = try RedisBroker("redis://app:pw@127.0.0.1:\(redis.port)", logger: log.logger)
            let ran = Recorder<Void>()
            let settings = configuration { $0.taskCheckInterval = .milliseconds(20) }
            try await withServer(broker, settings, handler: ClosureHandler { _, _ in ran.add(()) }) { _ in
                try await eventually("it is logged") {
                    log.lines.contains { $0.contains("cannot be notified of new tasks") }
                }
                // More than one script takes, so that each look must go on until nothing is left.
                let tasks = Array(repeating: AsynqTask("t"), count: 2000)
                #expect(await AsynqClient(broker).enqueue(batch: tasks).allSatisfy { (try? $0.get()) != nil })
                await ran.wait(for: 2000)
            }
            await broker.shutdown()
        }
    }

    @Test func `tasks that are held ready are given back when handlers become long`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let (quick, slow, release) = (Recorder<Void>(), Recorder<Void>(), Recorder<Void>())
                let handler = ClosureHandler { task, _ in
                    guard task.type == "slow" else { return quick.add(()) }
                    slow.add(())
                    await release.wait(for: 1)
                }
                var tasks = Array(repeating: AsynqTask("quick"), count: 2000)
                tasks.insert(AsynqTask("slow"), at: 1000)
                #expect(await AsynqClient(broker).enqueue(batch: tasks).allSatisfy { (try? $0.get()) != nil })
                try await withServer(broker, configuration(concurrency: 1), handler: handler) { _ in
                    await slow.wait(for: 1)
                    // The first server is busy; what it held ready is there for another.
                    try await withServer(broker, configuration(concurrency: 1), handler: handler) { _ in
                        await quick.wait(for: 2000)
                        release.add(())
                    }
                }
                #expect(try redis.isEmpty() && redis.cli("GET", "asynq:{default}:failed") == "")
            }
        }
    }

    @Test func `the health check is told of pings that work and of those that do not`() async throws {
        let pings = Recorder<Bool>()
        let settings = configuration {
            $0.healthCheckInterval = .milliseconds(20)
            $0.healthCheck = { pings.add($0 == nil) }
        }
        try await withServer(settings) { _, _ in
        } _: { _, redis async throws in
            await pings.wait(for: 2)
            #expect(pings.elements.prefix(2) == [true, true])
            redis.kill()
            try await eventually("it fails") { pings.elements.last == false }
            try await redis.start()
            try await eventually("it works again") { pings.elements.last == true }
        }
    }

    @Test func `a heartbeat shows the server for twice its interval, and extends the leases of what runs`() async throws
    {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let (started, release) = (Recorder<Void>(), Recorder<Void>())
                let handler = ClosureHandler { _, _ in
                    started.add(())
                    await release.wait(for: 1)
                }
                let clock = ManualClock()
                let settings = configuration { $0.heartbeatInterval = .seconds(14) }
                let server = AsynqServer(broker, handler: handler, configuration: settings, clock: clock)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await server.run() }
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a")))
                    await started.wait(for: 1)
                    var key = ""
                    try await eventually("the first heartbeat") {
                        key = try redis.cli("KEYS", "asynq:servers:*")
                        return !key.isEmpty
                    }
                    #expect((15...28).contains(Int(try redis.cli("TTL", key)) ?? 0))
                    // As if most of the lease were over.
                    let lease = "asynq:{default}:lease"
                    let now = try #require(Double(try redis.cli("TIME").split(separator: "\n")[0]))
                    try redis.cli("ZINCRBY", lease, "-27", "a")
                    try redis.cli("DEL", key)
                    try await eventually("the next heartbeat") {
                        clock.advance(by: .seconds(1))
                        return try redis.cli("EXISTS", key) == "1"
                    }
                    #expect(try Double(redis.cli("ZSCORE", lease, "a")) ?? 0 >= now + 30)
                    let workers = "asynq:workers:" + key.dropFirst("asynq:servers:".count)
                    #expect(try redis.cli("HKEYS", workers) == "a" && redis.cli("TTL", workers) != "-1")
                    release.add(())
                    server.shutdown()
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func `completed tasks go when their retention is over`() async throws {
        let settings = configuration {
            $0.janitorInterval = .milliseconds(20)
            $0.janitorBatchSize = 2
        }
        try await withServer(settings) { _, _ in
        } _: { client, redis async throws in
            for _ in 0..<5 { try await client.enqueue(AsynqTask("t", .retention(.seconds(1)))) }
            try await eventually("all are done") { try redis.cli("GET", "asynq:{default}:processed") == "5" }
            try await eventually("none is left") { try redis.isEmpty() && redis.count("completed") == 0 }
        }
    }

    @Test func `queues are served by priority, or strictly one before the other`() async throws {
        for isStrict in [false, true] {
            let order = Recorder<String>()
            try await RedisServer.withServer { redis in
                try await withBroker(redis) { broker in
                    let client = AsynqClient(broker)
                    for queue in ["low", "high"] {
                        let tasks = (0..<300).map { _ in AsynqTask("t", .queue(queue)) }
                        _ = await client.enqueue(batch: tasks)
                    }
                    let settings = configuration(concurrency: 1, queues: ["high": 9, "low": 1]) {
                        $0.strictPriority = isStrict
                        $0.prefetchLimit = 0
                    }
                    try await withServer(
                        broker,
                        settings,
                        handler: ClosureHandler { _, context in order.add(context.queue) }
                    ) { _ in
                        await order.wait(for: 600)
                    }
                }
            }
            let early = order.elements.prefix(100).count { $0 == "low" }
            #expect(isStrict ? early == 0 : early == 10)
        }
    }
}
