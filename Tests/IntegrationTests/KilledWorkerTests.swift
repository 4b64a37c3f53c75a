import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// Workers in processes of their own that end at any moment, under load.
struct KilledWorkerTests {
    /// Enqueues tasks until it is told to stop. Returns their ids.
    private func produce(_ broker: RedisBroker, until stop: Recorder<Void>) async throws -> Set<String> {
        var ids: Set<String> = []
        while stop.count == 0 {
            let tasks = (0..<50).map { AsynqTask("t", .taskID("task-\(ids.count + $0)")) }
            for result in await AsynqClient(broker).enqueue(batch: tasks) { ids.insert(try result.get().id) }
            try await Task.sleep(for: .milliseconds(1))
        }
        return ids
    }

    /// What is left is worked off, until nothing is. `endingLeases` gives killed workers' tasks free at once; it does so
    /// to those that are at work here as well, which then may run twice.
    private func finish(_ broker: RedisBroker, _ redis: RedisServer, _ ran: Recorder<String>, endingLeases: Bool)
        async throws
    {
        let settings = configuration(concurrency: 50) {
            $0.recovererInterval = .milliseconds(50)
            $0.retryDelay = { _, _, _ in .zero }
        }
        let handler = ClosureHandler { _, context in ran.add(context.taskID) }
        try await withServer(broker, settings, handler: handler) { _ in
            try await eventually("all are stored as done") {
                if endingLeases { try redis.endLeases() }
                return try redis.isEmpty()
            }
        }
    }

    @Test func `a worker that is killed at any moment under load, again and again, loses no task`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let stop = Recorder<Void>()
                async let produced = produce(broker, until: stop)
                var ended: [String] = []
                for turn in 0..<6 {
                    let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 20)
                    // Between a start and an end, between an end and its being stored: wherever it happens to be.
                    try await eventually("it works") { worker.ids("end").count > 20 * turn }
                    worker.signal(SIGKILL)
                    _ = try await worker.wait()
                    ended += worker.ids("end")
                }
                stop.add(())
                let ids = try await produced
                let ran = Recorder<String>()
                try await finish(broker, redis, ran, endingLeases: true)
                #expect(ids.isSubset(of: Set(ended).union(ran.elements)))
                #expect(try redis.count("archived") == 0)
                #expect(try redis.cli("KEYS", "asynq:{default}:t:*") == "")
            }
        }
    }

    @Test func `a worker that gets SIGTERM under load hands back what it has not ended, and loses and doubles nothing`()
        async throws
    {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let stop = Recorder<Void>()
                async let produced = produce(broker, until: stop)
                var ended: [String] = []
                for turn in 0..<3 {
                    let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 20)
                    try await eventually("it works") { worker.ids("end").count > 50 * turn }
                    worker.signal(SIGTERM)
                    #expect(try await worker.wait() == 0)
                    try await eventually("it has said so") { worker.lines.elements.last == "closed" }
                    #expect(try redis.count("active") == 0)
                    ended += worker.ids("end")
                }
                stop.add(())
                let ids = try await produced
                let ran = Recorder<String>()
                try await finish(broker, redis, ran, endingLeases: false)
                // Each once: a worker that ends in good order takes no task that it does not end or give back.
                #expect((ended + ran.elements).sorted() == ids.sorted())
                #expect(try redis.cli("GET", "asynq:{default}:failed") == "")
            }
        }
    }

    @Test func `a task whose handler traps kills its process, is counted as a failure each time, and is archived`()
        async throws
    {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let client = AsynqClient(broker)
                try await client.enqueue(AsynqTask("trap"), .taskID("poison"), .maxRetry(1))
                let settings = configuration(queues: ["other": 1, "default": 1]) {
                    $0.recovererInterval = .milliseconds(50)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                for turn in 0...1 {
                    let worker = try WorkerProcess(redis.uri, queue: "default", concurrency: 1)
                    #expect(try await worker.wait() != 0)
                    #expect(worker.ids("start") == ["poison"])
                    // Others must not take it before it is known what it does.
                    try redis.cli("SET", "asynq:{default}:paused", "1")
                    try await withServer(broker, settings, handler: ClosureHandler { _, _ in }) { _ in
                        try await eventually("it is recovered") {
                            try redis.endLeases()
                            return try redis.count("active") == 0
                        }
                        if turn == 0 { try await eventually("it is due") { try redis.count("pending") == 1 } }
                    }
                    try redis.cli("DEL", "asynq:{default}:paused")
                }
                #expect(try redis.count("archived") == 1)
                #expect(try redis.message("poison").contains("asynq: task lease expired"))
            }
        }
    }
}
