import Asynq
import AsynqRedis
import AsynqTesting
import Foundation
import TestSupport
import Testing

/// A line to Redis that loses answers or breaks: what was asked for may have happened all the same.
struct LostReplyTests {
    /// A broker on such a line, and one on a line of its own.
    private func withProxy(
        _ body: (RedisBroker, FaultyProxy, RedisBroker, RedisServer) async throws -> Void
    ) async throws {
        try await RedisServer.withServer { redis in
            try await FaultyProxy.withProxy(to: redis) { proxy in
                var target = try RedisConfiguration(proxy.uri)
                // A line breaks when the test cuts it, and not by itself.
                target.readTimeout = .seconds(3600)
                let far = try RedisBroker(configuration: target, logger: .silent)
                try await withBroker(redis) { near in
                    try await body(far, proxy, near, redis)
                }
                await far.shutdown()
            }
        }
    }

    @Test func `an enqueue whose answer is lost fails, is stored once, and is refused by its id the second time`()
        async throws
    {
        try await withProxy { broker, proxy, _, redis in
            let client = AsynqClient(broker)
            // So that Redis has the script.
            try await client.enqueue(AsynqTask("t"))
            proxy.set(.losesReplies)
            async let first = client.enqueue(batch: [AsynqTask("t", .taskID("a")), AsynqTask("t", .taskID("b"))])
            try await eventually("it is stored") { try redis.count("pending") == 3 }
            proxy.cut()
            for result in await first {
                let error = #expect(throws: AsynqError.self) { try result.get() }
                #expect(error?.code == .brokerUnavailable)
            }
            proxy.set(.none)
            let error = await #expect(throws: AsynqError.self) {
                try await client.enqueue(AsynqTask("t"), .taskID("a"))
            }
            #expect(error?.code == .taskIDConflict)
            #expect(try redis.count("pending") == 3)
        }
    }

    @Test func `a task whose dequeue was answered to nobody is recovered when its lease is over`() async throws {
        try await withProxy { broker, proxy, near, redis in
            // So that Redis has the script.
            #expect(try await broker.dequeue([DequeueRequest(queue: "default", limit: 1)]).isEmpty)
            try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("a"))
            proxy.set(.losesReplies)
            let taken = Task { try await broker.dequeue([DequeueRequest(queue: "default", limit: 1)]) }
            try await eventually("it is taken") { try redis.count("active") == 1 }
            proxy.cut()
            proxy.set(.none)
            await #expect(throws: AsynqError.self) { try await taken.value }
            let ran = Recorder<String>()
            let settings = configuration {
                $0.recovererInterval = .milliseconds(50)
                $0.retryDelay = { _, _, _ in .zero }
            }
            try redis.endLeases()
            try await withServer(broker, settings, handler: ClosureHandler { _, context in ran.add(context.taskID) }) {
                _ in
                await ran.wait(for: 1)
                try await eventually("it is stored as done") { try redis.isEmpty() }
            }
            #expect(ran.elements == ["a"])
        }
    }

    @Test(arguments: [false, true])
    func `an outcome whose answer is lost is stored and counted once, and its task not run again`(isFailure: Bool)
        async throws
    {
        try await withProxy { broker, proxy, near, redis in
            let (ran, gate, log) = (Recorder<String>(), Recorder<Void>(), LogRecorder())
            let handler = ClosureHandler { _, context in
                ran.add(context.taskID)
                if context.taskID != "first" { await gate.wait(for: 1) }
                if isFailure { throw CancellationError() }
            }
            try await withServer(broker, configuration { $0.logger = log.logger }, handler: handler) { _ in
                // So that Redis has the script.
                try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("first"))
                try await eventually("the first has ended") {
                    try redis.cli("GET", "asynq:{default}:processed") == "1" && redis.count("active") == 0
                }
                try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("second"))
                await ran.wait(for: 2)
                proxy.set(.losesReplies)
                gate.add(())
                try await eventually("the outcome has arrived") { try redis.count("active") == 0 }
                proxy.cut()
                proxy.set(.none)
                // The same is asked for again, and changes nothing.
                try await eventually("it is said to be stored") {
                    log.lines.count { $0.contains("was stored before") } == 1
                }
            }
            #expect(!log.lines.contains { $0.contains("dropped") })
            #expect(ran.elements == ["first", "second"])
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "2")
            #expect(try redis.cli("GET", "asynq:{default}:failed") == (isFailure ? "2" : ""))
            #expect(try redis.count("retry") == (isFailure ? 2 : 0))
        }
    }

    @Test(arguments: [FinishRequest.Outcome.retry(delay: .zero, error: "e", countsAsFailure: true), .requeue])
    func `an outcome whose answer is lost, and that is stored again, leaves the next attempt of its task alone`(
        outcome: FinishRequest.Outcome
    ) async throws {
        try await withProxy { broker, proxy, near, redis in
            let (started, gate, log) = (Recorder<String>(), Recorder<Void>(), LogRecorder())
            let handler = ClosureHandler { _, context in
                started.add(context.taskID)
                // Is handed back when the server is shut down, and fails otherwise.
                if outcome == .requeue { try? await Task.sleep(for: .seconds(3600)) }
                await gate.wait(for: 1)
                proxy.set(.losesReplies)
                throw CancellationError()
            }
            // Stands still, so that a server that shuts down waits for its outcome.
            let clock = ManualClock()
            let settings = configuration {
                $0.logger = log.logger
                $0.retryDelay = { _, _, _ in .zero }
                $0.shutdownTimeout = .zero
            }
            // So that Redis has the script.
            try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("before"))
            for end in [outcome, .done] {
                _ = try await near.forward(queues: ["default"], limit: 1)
                let tasks = try await near.dequeue([DequeueRequest(queue: "default", limit: 1)])
                _ = await near.finish(tasks.map { FinishRequest(task: $0, outcome: end) })
            }
            #expect(try redis.isEmpty())
            try await withServer(broker, settings, clock: clock, handler: handler) { server in
                try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("a"))
                await started.wait(for: 1)
                if outcome == .requeue { server.shutdown() } else { server.stop() }
                gate.add(())
                try await eventually("the outcome has arrived") { try redis.count("active") == 0 }
                var second: [LeasedTask] = []
                try await eventually("the next attempt begins") {
                    _ = try await near.forward(queues: ["default"], limit: 1)
                    second = try await near.dequeue([DequeueRequest(queue: "default", limit: 1)])
                    return !second.isEmpty
                }
                proxy.cut()
                proxy.set(.none)
                try await eventually("the outcome is sent again") {
                    clock.advance(by: .milliseconds(2))
                    return log.lines.contains { $0.contains("another server's") }
                }
                #expect(try redis.count("active") == 1)
                let end = await near.finish([FinishRequest(task: second[0], outcome: .done)])[0]
                #expect("\(end)" == "finished")
            }
            #expect(started.elements == ["a"])
            #expect(try redis.isEmpty())
        }
    }

    @Test func `a line that breaks in the middle of pipelines loses no task that was acknowledged, and doubles none`()
        async throws
    {
        try await withProxy { broker, proxy, near, redis in
            let (stored, ran) = (Recorder<String>(), Recorder<String>())
            await withTaskGroup(of: Void.self) { group in
                for producer in 0..<8 {
                    group.addTask {
                        for number in 0... {
                            guard stored.count < 4000 else { break }
                            let tasks = (0..<10).map { AsynqTask("t", .taskID("\(producer)-\(number)-\($0)")) }
                            for case .success(let info) in await AsynqClient(broker).enqueue(batch: tasks) {
                                stored.add(info.id)
                            }
                        }
                    }
                }
                for turn in 1...20 {
                    await stored.wait(for: turn * 200)
                    // Most often within a command.
                    proxy.cut(afterBytes: Int.random(in: 1...5000))
                }
                await group.waitForAll()
            }
            try await withServer(
                near,
                configuration(concurrency: 100),
                handler: ClosureHandler { _, context in ran.add(context.taskID) }
            ) { _ in
                try await eventually("all are stored as done") { try redis.isEmpty() }
            }
            #expect(Set(stored.elements).isSubset(of: ran.elements))
            #expect(Set(ran.elements).count == ran.count)
            // None is left beside the lists.
            #expect(try redis.cli("KEYS", "asynq:{default}:t:*") == "")
        }
    }
}
