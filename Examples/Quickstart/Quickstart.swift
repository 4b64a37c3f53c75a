import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

/// A typed task: a Codable type with a name.
struct WelcomeEmail: TaskPayload {
    static let taskType = "email:welcome"
    var userID: Int
    var template: String
}

@main
struct Quickstart {
    static func main() async throws {
        let broker = try makeBroker()
        say("tasks are in \(broker.name)")
        let queue = "quickstart-\(UUID().uuidString.prefix(8))"
        let progress = Progress(expected: 5)

        // 1. What to do for each type of task.
        var router = TaskRouter()
        try router.handle(WelcomeEmail.self) { email, context in
            say("sent \"\(email.template)\" to user \(email.userID)")
            try await context.writeResult("sent")
            progress.done()
        }
        try router.handle("image:") { task, context in
            say("\(task.type) with \(task.payload?.count ?? 0) bytes of payload")
            progress.done()
        }
        try router.handle("report:build") { task, context in
            if context.retried == 0 {
                say("the report fails the first time, and is retried")
                throw ReportFailure(reason: "the database is busy")
            }
            say("the report succeeds on attempt \(context.retried + 1)")
            progress.done()
        }

        // 2. Put tasks on a queue.
        let client = AsynqClient(broker)
        try await client.enqueue(WelcomeEmail(userID: 42, template: "hello"), .queue(queue))
        try await client.enqueue(AsynqTask("image:resize", payload: Array(#"{"id": 7}"#.utf8)), .queue(queue))
        let later = try await client.enqueue(
            WelcomeEmail(userID: 42, template: "one second later"),
            .queue(queue),
            .processIn(.seconds(1))
        )
        say("task \(later.id.prefix(8)) is \(later.state.rawValue)")
        try await client.enqueue(AsynqTask("report:build"), .queue(queue), .maxRetry(3))

        // 3. A unique task is refused while an equal one waits.
        let digest = AsynqTask("image:digest", payload: Array("july".utf8), .queue(queue), .unique(for: .minutes(5)))
        try await client.enqueue(digest)
        do {
            try await client.enqueue(digest)
        } catch let error as AsynqError where error.code == .duplicateTask {
            say("refused: \(error)")
        }

        // 4. Work on them. A real server runs until SIGTERM; this one until all five are done.
        var configuration = AsynqServer.Configuration(concurrency: 10, queues: [queue: 1])
        configuration.retryDelay = { _, _, _ in .milliseconds(500) }
        configuration.logger.logLevel = .error
        let server = AsynqServer(broker, handler: router, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            await progress.wait()
            server.shutdown()
            try await group.waitForAll()
        }
        await broker.shutdown()
        if FileManager.default.fileExists(atPath: folder.path) { try FileManager.default.removeItem(at: folder) }
        say("all done")
    }

    static let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quickstart-\(UUID().uuidString)")

    /// With `--redis URI` or the environment's REDIS_URL tasks are in that Redis, without in a file of this run's own. The
    /// broker is the only line that differs.
    static func makeBroker() throws -> any Broker {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.isEmpty || (arguments.count == 2 && arguments.first == "--redis") else {
            FileHandle.standardError.write(Data("usage: Quickstart [--redis redis://host:port]\n".utf8))
            exit(64)
        }
        if let uri = arguments.last ?? ProcessInfo.processInfo.environment["REDIS_URL"] {
            return try RedisBroker(uri)
        }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return try SQLiteBroker(path: folder.appendingPathComponent("tasks.db").path)
    }

    struct ReportFailure: Error {
        var reason: String
    }

    /// Waits for a number of tasks.
    final class Progress: Sendable {
        private let finished: AsyncStream<Void>
        private let report: AsyncStream<Void>.Continuation
        private let expected: Int

        init(expected: Int) {
            self.expected = expected
            (finished, report) = AsyncStream.makeStream()
        }

        func done() { report.yield() }

        func wait() async {
            var count = 0
            for await _ in finished {
                count += 1
                if count == expected { return }
            }
        }
    }

    static func say(_ text: String) { print("→ \(text)") }
}
