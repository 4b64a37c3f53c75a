import Asynq
import AsynqRedis
import Foundation
import Logging
import TestSupport
import Testing

/// Payloads, results and headers appear in no log line and in no error text, however tasks end.
struct PayloadPrivacyTests {
    private struct Boom: Error {}

    private struct Card: TaskPayload {
        static let taskType = "typed"
        var number: Int
    }

    private static let secret = "hunter2-4111111111111111"
    private let secret = Self.secret

    /// Every way to end, by task type. Those of the last group need help from outside.
    private static let failures = [
        "fail", "archive", "skip", "revoke", "limited", "timeout", "unknown", "typed", "ignored",
    ]

    private func router() throws -> TaskRouter {
        var router = TaskRouter()
        try router.handle("ok") { _, context in try await context.writeResult(Self.secret) }
        for type in ["fail", "archive"] { try router.handle(type) { _, _ in throw Boom() } }
        try router.handle("ignored") { _, _ in throw AsynqError(.brokerFailure, "no failure") }
        try router.handle("skip") { _, _ in throw AsynqError.skipRetry("no use") }
        try router.handle("revoke") { _, _ in throw AsynqError.revokeTask("not needed") }
        try router.handle("limited") { _, _ in throw AsynqError.rateLimited("busy", retryAfter: .hours(1)) }
        for type in ["timeout", "cancel", "lost"] {
            try router.handle(type) { _, context in
                context.logger.info("handler runs")
                try await Task.sleep(for: .seconds(3600))
            }
        }
        // Its task is ended behind its back.
        try router.handle("gone") { _, context in try await context.writeResult(Self.secret) }
        try router.handle(Card.self) { _, _ in }
        return router
    }

    private func task(_ type: String, _ options: TaskOption...) -> AsynqTask {
        AsynqTask(
            type,
            payload: Array(#"{"number": "\#(secret)"}"#.utf8),
            headers: ["card": secret],
            options: [.taskID(type), .maxRetry(type == "archive" ? 0 : 3)] + options
        )
    }

    @Test func `no log line and no error of a task tells its payload, however it ends`() async throws {
        let log = LogRecorder()
        let errors = Recorder<String>()
        let settings = configuration {
            $0.logger = log.logger
            $0.heartbeatInterval = .milliseconds(50)
            $0.isFailure = { ($0 as? AsynqError)?.message != "no failure" }
            $0.errorHandler = { error, _, _ in errors.add("\(error)") }
        }
        try await RedisServer.withServer { redis in
            let broker = try RedisBroker(configuration: .patient(redis.uri), logger: log.logger)
            try await withServer(broker, settings, handler: try router()) { _ in
                let client = AsynqClient(broker)
                try await client.enqueue(task("ok"))
                for type in Self.failures {
                    try await client.enqueue(type == "timeout" ? task(type, .timeout(.seconds(1))) : task(type))
                }
                for type in ["cancel", "lost"] { try await client.enqueue(task(type)) }
                // Refused, with the reason.
                for refused in [task("ok", .taskID("fail")), task("")] {
                    let error = await #expect(throws: AsynqError.self) { try await client.enqueue(refused) }
                    errors.add("\(String(describing: error))")
                }
                let unique = task("fail", .taskID("u1"), .unique(for: .hours(1)))
                try await client.enqueue(unique)
                let error = await #expect(throws: AsynqError.self) {
                    try await client.enqueue(unique, .taskID("u2"))
                }
                errors.add("\(String(describing: error))")

                try await eventually("the two that hang are running") {
                    log.lines.count { $0.contains("handler runs") } >= 3
                }
                try redis.cli("ZREM", "asynq:{default}:lease", "lost")
                try await eventually("its lease is found lost") { log.lines.contains { $0.contains("lease lost") } }
                try await eventually("the other is cancelled") {
                    try await broker.cancel(taskID: "cancel")
                    return try redis.cli("HGET", "asynq:{default}:t:cancel", "state") == "retry"
                }
                // Messages that cannot be read, and ids without one.
                for id in ["damaged", "empty"] {
                    if id == "damaged" { try redis.cli("HSET", "asynq:{default}:t:\(id)", "msg", "\u{FF}\(secret)") }
                    try redis.cli("LPUSH", "asynq:{default}:pending", id)
                }
                try await eventually("they are moved aside") {
                    log.lines.contains { $0.contains("archived a task whose message cannot be read") }
                        && log.lines.contains { $0.contains("dropped a task that has no message") }
                }
                try await eventually("all have ended") { try redis.count("retry") >= 6 && redis.count("archived") >= 4 }
                // The broker refuses outcomes for a while: as out of memory.
                try redis.cli("CONFIG", "SET", "maxmemory", "1")
                let full = await #expect(throws: AsynqError.self) { try await client.enqueue(task("more")) }
                errors.add("\(String(describing: full))")
                try redis.cli("CONFIG", "SET", "maxmemory", "0")
            }
            await broker.shutdown()

            for line in log.lines { #expect(!line.contains(secret), "\(line)") }
            for text in errors.elements { #expect(!text.contains(secret), "\(text)") }
            // The stored error lies beside the payload and the header, in the message, which name the secret once each.
            for type in ["fail", "archive", "skip", "limited", "timeout", "unknown", "typed", "ignored", "cancel"] {
                let message = try redis.message(type)
                #expect(message.components(separatedBy: secret).count == 3, "\(type)")
            }
            for text in [
                "task failed and will be retried", "archived: out of retries", "archived: not to be retried",
                "task revoked", "no room for the task", "lease lost",
            ] {
                #expect(log.lines.contains { $0.contains(text) }, "no line says: \(text)")
            }
        }
    }
}
