import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

/// Looks at a queue and puts its tasks in order by hand. Runs on a file of its own, or on the Redis that REDIS_URL names.
@main
struct Inspector {
    static func main() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-\(UUID().uuidString).db").path
        let broker: any Broker =
            if let uri = ProcessInfo.processInfo.environment["REDIS_URL"] {
                try RedisBroker(uri)
            } else {
                try SQLiteBroker(path: file)
            }
        let queue = "inspector-\(UUID().uuidString.prefix(8))"
        let inspector = AsynqInspector(broker)

        // 1. A hundred tasks, one in ten of which waits for tomorrow, and a few that fail for good.
        let client = AsynqClient(broker)
        for number in 0..<100 {
            let task = AsynqTask("report:build", payload: Array(#"{"number": \#(number)}"#.utf8))
            let start = TaskOption.processIn(number % 10 == 0 ? .hours(24) : .zero)
            try await client.enqueue(task, .queue(queue), .taskID("report-\(number)"), .maxRetry(0), start)
        }
        try await work(broker, queue, until: 20)

        // 2. The figures.
        let snapshot = try await inspector.snapshot(of: queue)
        say(
            "\(snapshot.size) tasks: \(snapshot.pending) pending, \(snapshot.scheduled) scheduled, \(snapshot.archived) archived"
        )
        if let today = try await inspector.history(of: queue, days: 1).first {
            say("today \(today.succeeded) succeeded and \(today.failed) failed")
        }

        // 3. What failed, and why.
        let page = try await inspector.tasks(in: .archived, queue: queue, page: 1, pageSize: 3)
        for task in page.tasks { say("\(task.id) failed: \(task.lastError ?? "")") }
        say("page 1 of \(page.pageCount)")

        // 4. One task, and all of a state.
        try await inspector.updatePayload(Array(#"{"number": 1000}"#.utf8), of: "report-10", queue: queue)
        try await inspector.run("report-10", queue: queue)
        try await inspector.archive("report-20", queue: queue)
        let count = try await inspector.runAll(.archived, queue: queue) { progress in
            say("\(progress.done) are pending again, \(progress.remaining) to go")
        }
        say("\(count) tasks get another attempt")

        // 5. What is not possible is said.
        do {
            try await inspector.run("report-10", queue: queue)
        } catch let error as AsynqError where error.code == .invalidTaskState {
            say("refused: \(error)")
        }

        // 6. Stop the queue, and clear it away.
        try await inspector.pause(queue)
        say("deleted \(try await inspector.deleteQueue(queue, force: true)) tasks with their queue")
        await broker.shutdown()
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: file + suffix) {
            try FileManager.default.removeItem(atPath: file + suffix)
        }
    }

    /// A server for a moment: tasks whose numbers end in 1 or 5 fail.
    private static func work(_ broker: any Broker, _ queue: String, until count: Int) async throws {
        let (ended, end) = AsyncStream<Void>.makeStream()
        var router = TaskRouter()
        try router.handle("report:build") { task, context in
            defer { end.yield() }
            if context.taskID.hasSuffix("1") || context.taskID.hasSuffix("5") {
                throw AsynqError.skipRetry("the printer is on fire")
            }
        }
        var configuration = AsynqServer.Configuration(concurrency: 2, queues: [queue: 1])
        configuration.logger.logLevel = .critical
        let server = AsynqServer(broker, handler: router, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            var left = count
            for await _ in ended {
                left -= 1
                if left <= 0 { break }
            }
            server.shutdown()
            try await group.waitForAll()
        }
    }

    private static func say(_ text: String) { print("→ \(text)") }
}
