import Asynq
import AsynqRedis
import Foundation
import Synchronization
import TestSupport
import Testing

/// What becomes of a task, by what its handler does (spec 2, "Server").
struct OutcomeTests {
    struct Boom: Error {}

    @Test func `a task whose handler returns is gone, or kept with its result for its retention`() async throws {
        try await withServer { _, context in
            try await context.writeResult("result of \(context.taskID)")
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("t", .taskID("gone")))
            try await client.enqueue(AsynqTask("t", .taskID("kept"), .retention(.minutes(1))))
            try await eventually("both are done") { try redis.cli("GET", "asynq:{default}:processed") == "2" }
            #expect(try redis.cli("KEYS", "asynq:{default}:t:*") == "asynq:{default}:t:kept")
            #expect(try redis.cli("HGET", "asynq:{default}:t:kept", "result") == "result of kept")
            #expect(try redis.count("completed") == 1)
        }
    }

    @Test func `a failed attempt is repeated after its delay, with what is known of the failure`() async throws {
        let attempts = Recorder<Int>()
        let settings = configuration { $0.retryDelay = { _, _, _ in .milliseconds(1) } }
        try await withServer(settings) { _, context in
            attempts.add(context.retried)
            if context.retried < 3 { throw Boom() }
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("t", .maxRetry(5)))
            await attempts.wait(for: 4)
            #expect(attempts.elements == [0, 1, 2, 3])
            try await eventually("it is done") { try redis.isEmpty() }
            #expect(try redis.cli("GET", "asynq:{default}:failed") == "3")
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "4")
        }
    }

    @Test func `a task without retries left is archived`() async throws {
        try await withServer { _, _ in
            throw Boom()
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("t", .taskID("a"), .maxRetry(0)))
            try await eventually("it is archived") { try redis.count("archived") == 1 }
            #expect(try redis.message("a").contains("Boom"))
        }
    }

    @Test func `a handler can archive its task at once, or drop it`() async throws {
        try await withServer { task, _ in
            throw task.type == "skip" ? AsynqError.skipRetry("no use") : AsynqError.revokeTask("not needed")
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("skip", .taskID("a")))
            try await client.enqueue(AsynqTask("revoke", .taskID("b")))
            try await eventually("both have ended") { try redis.cli("GET", "asynq:{default}:processed") == "2" }
            #expect(try redis.count("archived") == 1)
            #expect(try redis.message("a").contains("no use"))
            #expect(try redis.cli("EXISTS", "asynq:{default}:t:b") == "0")
        }
    }

    @Test func `a task that no handler knows is a failure that says so`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                var router = TaskRouter()
                try router.handle("known") { _, _ in }
                try await withServer(broker, handler: router) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("unknown", .taskID("a")))
                    try await eventually("it is to be retried") { try redis.count("retry") == 1 }
                    #expect(try redis.message("a").contains("no handler for tasks of type \"unknown\""))
                }
            }
        }
    }

    struct Email: TaskPayload {
        static let taskType = "email"
        var userID: Int
    }

    @Test func `a typed payload arrives as it was, and one that does not decode is archived at once`() async throws {
        let received = Recorder<Int>()
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                var router = TaskRouter()
                try router.handle(Email.self) { email, _ in received.add(email.userID) }
                try await withServer(broker, handler: router) { _ in
                    let client = AsynqClient(broker)
                    try await client.enqueue(Email(userID: 42))
                    // As a Go producer writes it.
                    try await client.enqueue(AsynqTask("email", payload: Array(#"{"userID": 43, "more": 1}"#.utf8)))
                    try await client.enqueue(
                        AsynqTask("email", payload: Array(#"{"secret": "hunter2"}"#.utf8), .taskID("a"))
                    )
                    await received.wait(for: 2)
                    #expect(received.elements.sorted() == [42, 43])
                    try await eventually("the last is archived") { try redis.count("archived") == 1 }
                    let message = try redis.message("a")
                    #expect(message.contains("userID"))
                    // The payload is in the message once, and not in the error's text.
                    #expect(message.components(separatedBy: "hunter2").count == 2)
                }
            }
        }
    }

    @Test func `an attempt that takes too long is cancelled, and its place is free`() async throws {
        let log = LogRecorder()
        let settings = configuration(concurrency: 1) { $0.logger = log.logger }
        try await withServer(settings) { task, _ in
            if task.type == "hang" { try await Task.sleep(for: .seconds(3600)) }
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("hang", .taskID("a"), .timeout(.seconds(1))))
            try await client.enqueue(AsynqTask("quick", .taskID("b")))
            try await eventually("it is to be retried") { try redis.count("retry") == 1 }
            #expect(try redis.message("a").contains("timed out"))
            try await eventually("the other has run") { try redis.cli("EXISTS", "asynq:{default}:t:b") == "0" }
        }
    }

    @Test func `a handler that ignores its cancellation is left behind`() async throws {
        let release = Recorder<Void>()
        let ran = Recorder<String>()
        let log = LogRecorder()
        let settings = configuration(concurrency: 1) {
            $0.cancellationGrace = .milliseconds(50)
            $0.logger = log.logger
        }
        try await withServer(settings) { task, context in
            ran.add(context.taskID)
            if task.type == "stubborn" { await release.wait(for: 1) }
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("stubborn", .taskID("a"), .timeout(.seconds(1)), .maxRetry(0)))
            await ran.wait(for: 1)
            try await client.enqueue(AsynqTask("quick", .taskID("b")))
            await ran.wait(for: 2)
            try await eventually("it is archived") { try redis.count("archived") == 1 }
            #expect(log.lines.contains { $0.contains("ignores its cancellation") && $0.contains("task_id=a") })
            // What it says in the end changes nothing.
            release.add(())
            try await client.enqueue(AsynqTask("quick", .taskID("c")))
            await ran.wait(for: 3)
            #expect(try redis.count("archived") == 1)
        }
    }

    @Test func `a deadline that has passed cancels the attempt as well`() async throws {
        try await withServer { _, _ in
            try await Task.sleep(for: .seconds(3600))
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("t", .deadline(Date(timeIntervalSinceNow: -5)), .maxRetry(0)))
            try await eventually("it is archived") { try redis.count("archived") == 1 }
        }
    }

    @Test func `a task that somebody cancels fails`() async throws {
        let started = Recorder<String>()
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let handler = ClosureHandler { _, context in
                    started.add(context.taskID)
                    try await Task.sleep(for: .seconds(3600))
                }
                try await withServer(broker, handler: handler) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a")))
                    await started.wait(for: 1)
                    try await eventually("it is to be retried") {
                        // Nobody may listen yet.
                        try await broker.cancel(taskID: "a")
                        return try redis.count("retry") == 1
                    }
                    #expect(try redis.message("a").contains("cancelled"))
                }
            }
        }
    }

    @Test func `an error that is no failure costs no retry and is not counted`() async throws {
        let attempts = Recorder<Int>()
        let settings = configuration {
            $0.isFailure = { !($0 is Boom) }
            $0.retryDelay = { _, _, _ in .milliseconds(1) }
        }
        try await withServer(settings) { _, context in
            attempts.add(context.retried)
            if attempts.count < 4 { throw Boom() }
        } _: { client, redis async throws in
            try await client.enqueue(AsynqTask("t", .maxRetry(0)))
            await attempts.wait(for: 4)
            #expect(attempts.elements == [0, 0, 0, 0])
            try await eventually("it is done") { try redis.isEmpty() }
            #expect(try redis.cli("GET", "asynq:{default}:failed") == "")
        }
    }

    @Test func `a worker that has lost its lease cancels its handler and writes nothing`() async throws {
        let started = Recorder<Void>()
        let cancelled = Recorder<Void>()
        let settings = configuration { $0.heartbeatInterval = .milliseconds(50) }
        let handler = ClosureHandler { _, _ in
            started.add(())
            do {
                try await Task.sleep(for: .seconds(3600))
            } catch {
                cancelled.add(())
                throw error
            }
        }
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                try await withServer(broker, settings, handler: handler) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a")))
                    await started.wait(for: 1)
                    // As if another server had recovered it.
                    try redis.cli("ZREM", "asynq:{default}:lease", "a")
                    await cancelled.wait(for: 1)
                }
            }
            // The server has stored all that it stores.
            #expect(try redis.count("active") == 1 && redis.count("retry") == 0 && redis.count("archived") == 0)
            #expect(try redis.cli("HGET", "asynq:{default}:t:a", "state") == "active")
        }
    }

    @Test func `each failure is told to the error handler, and each attempt runs in the base context`() async throws {
        enum Scope { @TaskLocal static var name = "none" }
        let failures = Recorder<String>()
        let settings = configuration {
            $0.errorHandler = { error, task, context in failures.add("\(error) \(task.type) \(context.retried)") }
            $0.baseContext = { context, body in
                try await Scope.$name.withValue("scope of \(context.taskID)") { try await body() }
            }
        }
        try await withServer(settings) { _, _ in
            throw AsynqError(.brokerFailure, Scope.name)
        } _: { client, _ async throws in
            try await client.enqueue(AsynqTask("t", .taskID("a")))
            await failures.wait(for: 1)
            #expect(failures.elements == ["scope of a t 0"])
        }
    }
}
