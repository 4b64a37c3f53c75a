import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

/// A scheduler in a process of its own, for tests that kill and pause it.
///
///     TestScheduler URI LEASE-MILLISECONDS ENTRY…
///
/// URI is of a Redis, or `sqlite:` and a path. Each entry enqueues a task of its name to the queue of its name each second.
/// Prints a line for what happens: `at work`, `standing by`, `enqueued ID`, `closed`.
@main
struct TestScheduler {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4, let lease = Int(arguments[2]) else {
            print("usage: TestScheduler URI LEASE-MILLISECONDS ENTRY…")
            exit(64)
        }
        let broker: any Broker =
            if arguments[1].hasPrefix("sqlite:") {
                try SQLiteBroker(path: String(arguments[1].dropFirst("sqlite:".count)))
            } else {
                try RedisBroker(arguments[1])
            }
        var configuration = AsynqScheduler.Configuration()
        configuration.leaseDuration = .milliseconds(lease)
        configuration.logger = Logger(label: "scheduler") { StreamLogHandler.standardError(label: $0) }
        configuration.postEnqueue = { _, result in
            if case .success(let info) = result { say("enqueued \(info.id)") }
        }
        let scheduler = AsynqScheduler(broker, configuration: configuration)
        for entry in arguments.dropFirst(3) {
            try scheduler.register("* * * * * *", AsynqTask(entry), .queue(entry), id: entry)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var wasAtWork: Bool?
                while true {
                    let isAtWork = scheduler.isAtWork
                    if isAtWork != wasAtWork { say(isAtWork ? "at work" : "standing by") }
                    wasAtWork = isAtWork
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            try await scheduler.run()
            group.cancelAll()
        }
        await broker.shutdown()
        say("closed")
    }

    /// A line at once, also into a pipe.
    static func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
