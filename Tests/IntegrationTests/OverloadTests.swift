import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// A Redis that is full, that has thrown keys away, or that is slow; and many failures at once.
struct OverloadTests {
    private struct Boom: Error {}

    @Test func `a worker goes on while Redis is full, and enqueues work again when there is room`() async throws {
        let (started, gate, ran) = (Recorder<String>(), Recorder<Void>(), Recorder<String>())
        let settings = configuration(concurrency: 50) {
            $0.heartbeatInterval = .milliseconds(50)
            $0.retryDelay = { _, _, _ in .milliseconds(1) }
        }
        try await withServer(settings) { task, context in
            started.add(context.taskID)
            await gate.wait(for: 1)
            if task.type == "again", context.retried == 0 { throw Boom() }
            ran.add(context.taskID)
        } _: { client, redis in
            // More than are taken at once.
            let tasks = (0..<2000).map { AsynqTask($0.isMultiple(of: 2) ? "once" : "again", .taskID("\($0)")) }
            for result in await client.enqueue(batch: tasks) { _ = try result.get() }
            await started.wait(for: 50)
            try redis.cli("CONFIG", "SET", "maxmemory", "1")
            let error = await #expect(throws: AsynqError.self) { try await client.enqueue(AsynqTask("once")) }
            #expect(error?.code == .brokerFull)
            gate.add(())
            // All of them end, those that fail at first too, while it is full.
            await ran.wait(for: 2000)
            try await eventually("all are stored as done") { try redis.isEmpty() }
            #expect(ran.count == 2000)

            try redis.cli("CONFIG", "SET", "maxmemory", "0")
            try await client.enqueue(AsynqTask("once"), .taskID("after"))
            await ran.wait(for: 2001)
            #expect(ran.elements.last == "after")
        }
    }

    @Test func `a worker outlives the keys that Redis has thrown away, and no task is left that nobody can run`()
        async throws
    {
        let (started, gate, ran) = (Recorder<String>(), Recorder<Void>(), Recorder<String>())
        let settings = configuration {
            $0.heartbeatInterval = .milliseconds(50)
            $0.recovererInterval = .milliseconds(50)
            $0.retryDelay = { _, _, _ in .zero }
        }
        try await withServer(settings) { _, context in
            started.add(context.taskID)
            await gate.wait(for: 1)
            ran.add(context.taskID)
        } _: { client, redis in
            let tasks = (0..<500).map { number in
                let options: [TaskOption] =
                    [.taskID("\(number)")] + (number < 400 ? [] : [.processIn(.milliseconds(1))])
                return AsynqTask("t", options: options)
            }
            for result in await client.enqueue(batch: tasks) { _ = try result.get() }
            await started.wait(for: 10)
            // What an eviction policy takes, of each kind: messages of tasks that wait and that run, and the leases of all.
            for number in 0..<500 where number.isMultiple(of: 7) {
                try redis.cli("DEL", "asynq:{default}:t:\(number)")
            }
            try redis.cli("DEL", "asynq:{default}:lease")
            gate.add(())
            // What has lost its lease is recovered as after a crash.
            let wanted = (0..<500).filter { !$0.isMultiple(of: 7) }.map { "\($0)" }
            try await eventually("all that are left have run") {
                try redis.endLeases()
                return Set(wanted).isSubset(of: ran.elements)
            }
            try await eventually("nothing is left behind") {
                try redis.endLeases()
                return try redis.isEmpty() && redis.count("archived") == 0
            }
            try await client.enqueue(AsynqTask("t"), .taskID("after"))
            try await eventually("it works on") { ran.elements.contains("after") }
        }
    }

    @Test func `a Redis that hangs for longer than answers may take fails callers, and loses nothing`() async throws {
        try await RedisServer.withServer { redis in
            var target = try RedisConfiguration(redis.uri)
            target.readTimeout = .seconds(1)
            target.dialTimeout = .seconds(1)
            let broker = try RedisBroker(configuration: target, logger: .silent)
            try await eventually("it is connected") { (try? await broker.ping()) != nil }
            let ran = Recorder<String>()
            let settings = configuration {
                $0.recovererInterval = .milliseconds(100)
                $0.retryDelay = { _, _, _ in .zero }
            }
            let handler = ClosureHandler { _, context in ran.add(context.taskID) }
            try await withServer(broker, settings, handler: handler) { _ in
                let client = AsynqClient(broker)
                let (stored, failed) = (Recorder<String>(), Recorder<AsynqError.Code>())
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for producer in 0..<4 {
                        group.addTask {
                            for number in 0... {
                                guard stored.count < 4000 else { break }
                                do {
                                    let id = "\(producer)-\(number)"
                                    stored.add(try await client.enqueue(AsynqTask("t"), .taskID(id)).id)
                                } catch let error as AsynqError {
                                    failed.add(error.code)
                                }
                            }
                        }
                    }
                    await stored.wait(for: 100)
                    // On a thread of its own: the answer comes when it is over.
                    let slow = Recorder<Void>()
                    Thread.detachNewThread {
                        _ = try? redis.cli("DEBUG", "SLEEP", "3")
                        slow.add(())
                    }
                    await failed.wait(for: 1)
                    await slow.wait(for: 1)
                    try await group.waitForAll()
                }
                #expect(Set(failed.elements) == [.brokerUnavailable])
                let wanted = Set(stored.elements)
                try await eventually("all that were acknowledged have run, and are stored as done") {
                    try redis.endLeases()
                    return try wanted.isSubset(of: ran.elements) && redis.isEmpty()
                }
            }
            await broker.shutdown()
        }
    }

    @Test func `100 000 tasks that fail at the same time come back spread over half a minute`() async throws {
        let settings = configuration(concurrency: 100) {
            // An hour later, so that none comes back before all have failed.
            $0.retryDelay = { retried, _, _ in
                AsynqServer.Configuration.defaultRetryDelay(retried: retried) + .hours(1)
            }
        }
        try await withServer(settings) { _, _ in
            throw Boom()
        } _: { client, redis in
            for _ in 0..<10 {
                let tasks = (0..<10_000).map { _ in AsynqTask("t") }
                for result in await client.enqueue(batch: tasks) { _ = try result.get() }
            }
            try await eventually("all have failed once") {
                try (Int(redis.cli("GET", "asynq:{default}:failed")) ?? 0) >= 100_000
            }
            let lines = try redis.cli("ZRANGE", "asynq:{default}:retry", "0", "-1", "WITHSCORES")
                .split(separator: "\n")
            let scores = stride(from: 1, to: lines.count, by: 2).map { String(lines[$0]) }
            let bySecond = Dictionary(grouping: scores, by: { $0 }).mapValues(\.count)
            // They failed within some seconds, and each second has at most about a twenty-ninth of them.
            #expect(scores.count == 100_000)
            #expect(bySecond.count >= 29)
            #expect(bySecond.values.allSatisfy { $0 < 100_000 / 29 * 5 / 4 })
        }
    }
}

extension RedisServer {
    /// Ends the leases of all tasks that are active, those at work as well, which may then be run twice.
    func endLeases() throws {
        let ids = try cli("LRANGE", "asynq:{default}:active", "0", "-1").split(separator: "\n")
        let past = Int(Date().timeIntervalSince1970) - 31
        for id in ids { try cli("ZADD", "asynq:{default}:lease", "XX", "\(past)", String(id)) }
    }
}
