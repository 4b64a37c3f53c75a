import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

struct Report: TaskPayload {
    static let taskType = "report:build"
    var name: String
}

/// Periodic tasks, on two schedulers of which either may die. Ends by itself after some seconds.
@main
struct Scheduler {
    static func main() async throws {
        // A file of its own; or set REDIS_URL.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let broker: any Broker =
            if let uri = ProcessInfo.processInfo.environment["REDIS_URL"] {
                try RedisBroker(uri)
            } else {
                try SQLiteBroker(path: folder.appendingPathComponent("tasks.db").path)
            }
        let queue = "scheduler-\(UUID().uuidString.prefix(8))"

        // 1. The same entries on two schedulers: in two processes, as a rule.
        let names = ["first", "second"]
        let schedulers = try names.map { name in
            var configuration = AsynqScheduler.Configuration()
            configuration.handlesSignals = false
            configuration.leaseDuration = .seconds(1)
            configuration.logger.logLevel = .error
            configuration.postEnqueue = { run, result in
                say(
                    "the \(name) scheduler enqueued \(run.task.type) for \(run.time.formatted(.iso8601.time(includingFractionalSeconds: false)))"
                )
            }
            let scheduler = AsynqScheduler(broker, configuration: configuration)
            try scheduler.register("* * * * * *", Report(name: "each second"), .queue(queue))
            try scheduler.register(
                "30 9 * * mon-fri",
                Report(name: "each working day"),
                .queue(queue),
                timeZone: TimeZone(identifier: "Europe/Berlin"),
                missed: .one
            )
            return scheduler
        }

        // 2. A server that runs what they enqueue.
        let (finished, report) = AsyncStream<Void>.makeStream()
        var router = TaskRouter()
        try router.handle(Report.self) { payload, context in
            say("built the report \"\(payload.name)\"")
            report.yield()
        }
        var configuration = AsynqServer.Configuration(concurrency: 2, queues: [queue: 1])
        configuration.handlesSignals = false
        configuration.logger.logLevel = .error
        let server = AsynqServer(broker, handler: router, configuration: configuration)

        // 3. After three runs the scheduler that is at work ends; the other one takes over.
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            for scheduler in schedulers { group.addTask { try await scheduler.run() } }
            var count = 0
            for await _ in finished {
                count += 1
                if count == 3, let working = schedulers.first(where: \.isAtWork) {
                    for entry in try await broker.schedulerEntries() {
                        say(
                            "entry \(entry.id.prefix(8)): \(entry.spec), next at \(entry.nextEnqueueAt.map { $0.formatted(.iso8601) } ?? "never")"
                        )
                    }
                    say("the scheduler at work ends")
                    working.shutdown()
                }
                if count == 6 { break }
            }
            for scheduler in schedulers { scheduler.shutdown() }
            server.shutdown()
            try await group.waitForAll()
        }
        await broker.shutdown()
        say("all done")
    }

    static func say(_ text: String) { print("→ \(text)") }
}
