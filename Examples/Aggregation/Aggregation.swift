import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

/// What happened to a user: too little for an e-mail of its own.
struct Notification: TaskPayload {
    static let taskType = "notification"
    var text: String
}

/// What all of it becomes.
struct Digest: TaskPayload {
    static let taskType = "digest"
    var user: String
    var lines: [String]
}

@main
struct Aggregation {
    static func main() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aggregation-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let broker = try makeBroker(folder.appendingPathComponent("tasks.db").path)
        let queue = "aggregation-\(UUID().uuidString.prefix(8))"
        let (done, isDone) = AsyncStream<Void>.makeStream()

        // 1. How to make one task of many, and when: no news for a second, or five of them.
        var configuration = AsynqServer.Configuration(queues: [queue: 1])
        configuration.groupAggregator = TypedAggregator(Notification.self) { notifications, context in
            say("\(notifications.count) notifications of \(context.group) become one digest")
            return Digest(user: context.group, lines: notifications.map(\.text))
        }
        configuration.groupGracePeriod = .seconds(1)
        configuration.groupMaxSize = 5
        configuration.logger.logLevel = .error

        // 2. What to do with the one.
        var router = TaskRouter()
        try router.handle(Digest.self) { digest, context in
            say("mail to \(digest.user): \(digest.lines.joined(separator: ", "))")
            isDone.yield()
        }

        // 3. A group is a name; the queue keeps a list for each.
        let server = AsynqServer(broker, handler: router, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let client = AsynqClient(broker)
            for number in 1...5 {
                try await client.enqueue(Notification(text: "like \(number)"), .queue(queue), .group("ann"))
            }
            for text in ["a comment", "a message"] {
                try await client.enqueue(Notification(text: text), .queue(queue), .group("bob"))
            }
            say("7 notifications are waiting: 5 of ann are enough, those of bob wait until no more come")
            for await _ in done.prefix(2) {}
            server.shutdown()
            try await group.waitForAll()
        }
        await broker.shutdown()
        say("all done")
    }

    /// A file, or a Redis that `--redis URI` or REDIS_URL names.
    static func makeBroker(_ path: String) throws -> any Broker {
        let arguments = CommandLine.arguments
        if let index = arguments.firstIndex(of: "--redis"), index + 1 < arguments.count {
            return try RedisBroker(arguments[index + 1])
        }
        if let uri = ProcessInfo.processInfo.environment["REDIS_URL"] { return try RedisBroker(uri) }
        return try SQLiteBroker(path: path)
    }

    static func say(_ text: String) { print("→ \(text)") }
}
