import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging

/// A process of its own, for tests that kill it. A URI is that of a Redis, or `sqlite:` and a path.
///
///     TestWorker URI QUEUE CONCURRENCY SHUTDOWN-MILLISECONDS
///
/// is a worker. Tasks of type `hang` run until they are cancelled, those of type `stubborn` until the process ends, one
/// of type `trap` ends the process; those whose type begins with `email:` fail unless there is an @ in their payload; all
/// others end at once. Prints a line for what happens: `ready`, `start ID`, `end ID`, `cancelled ID`, `closed`.
///
///     TestWorker produce URI QUEUE CALLERS COUNT
///
/// enqueues so many tasks, one by one from so many callers at once. Prints `stored ID` for each that is acknowledged.
///
///     TestWorker try URI
///
/// opens the broker and enqueues a task, as a user with few rights. Prints `stored ID`, or `failed CODE MESSAGE`.
@main
struct TestWorker {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.map { Int($0) }
        switch arguments.first {
        case "produce":
            if arguments.count == 5, let callers = numbers[3], let count = numbers[4] {
                return try await produce(arguments[1], queue: arguments[2], callers: callers, count: count)
            }
        case "try":
            if arguments.count == 2 { return await tryOut(arguments[1]) }
        default:
            if arguments.count == 4, let concurrency = numbers[2], let shutdown = numbers[3] {
                return try await work(
                    arguments[0],
                    queue: arguments[1],
                    concurrency: concurrency,
                    shutdown: .milliseconds(shutdown)
                )
            }
        }
        print("usage: see TestWorker.swift")
        exit(64)
    }

    private static func makeBroker(_ uri: String) throws -> any Broker {
        var logger = Logger(label: "broker") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        let scheme = "sqlite:"
        // With limits that no busy machine exceeds.
        let patience = Duration.seconds(60)
        if uri.hasPrefix(scheme) {
            var configuration = SQLiteConfiguration()
            configuration.busyTimeout = patience
            return try SQLiteBroker(
                path: String(uri.dropFirst(scheme.count)),
                configuration: configuration,
                logger: logger
            )
        }
        var configuration = try RedisConfiguration(uri)
        configuration.readTimeout = patience
        return try RedisBroker(configuration: configuration, logger: logger)
    }

    private static func work(_ uri: String, queue: String, concurrency: Int, shutdown: Duration) async throws {
        var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [queue: 1])
        configuration.shutdownTimeout = shutdown
        configuration.logger = Logger(label: "worker") { StreamLogHandler.standardError(label: $0) }
        configuration.logger.logLevel = .error
        configuration.healthCheck = { error in say(error == nil ? "ready" : "no broker") }
        let server = AsynqServer(
            try makeBroker(uri),
            handler: ClosureHandler { task, context in
                say("start \(context.taskID)")
                switch task.type {
                case "hang":
                    do {
                        try await Task.sleep(for: .seconds(86_400))
                    } catch {
                        say("cancelled \(context.taskID)")
                        throw error
                    }
                case "trap":
                    // Without the seconds that a backtrace takes.
                    for number in [SIGILL, SIGTRAP] { signal(number, SIG_DFL) }
                    fatalError("a handler that traps")
                case "stubborn":
                    await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
                case let type where type.hasPrefix("email:") && task.payload?.contains(UInt8(ascii: "@")) != true:
                    throw Rejection()
                default: break
                }
                say("end \(context.taskID)")
            },
            configuration: configuration
        )
        try await server.run()
        say("closed")
    }

    private static func produce(_ uri: String, queue: String, callers: Int, count: Int) async throws {
        let client = AsynqClient(try makeBroker(uri))
        let process = ProcessInfo.processInfo.processIdentifier
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<callers {
                group.addTask {
                    for number in stride(from: caller, to: count, by: callers) {
                        let task = AsynqTask("t", payload: Array("payload".utf8), .queue(queue))
                        say("stored \(try await client.enqueue(task, .taskID("\(process)-\(number)")).id)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func tryOut(_ uri: String) async {
        // A superuser may do everything, whatever a file's mode says.
        if getuid() == 0 {
            guard let nobody = getpwnam("nobody"), setgid(nobody.pointee.pw_gid) == 0,
                setuid(nobody.pointee.pw_uid) == 0
            else {
                say("failed to become another user: errno \(errno)")
                return
            }
        }
        do {
            let broker = try makeBroker(uri)
            say("stored \(try await AsynqClient(broker).enqueue(AsynqTask("t")).id)")
            await broker.shutdown()
        } catch let error as AsynqError {
            say("failed \(error.code) \(error)")
        } catch {
            say("failed \(error)")
        }
    }

    private struct Rejection: Error, CustomStringConvertible {
        let description = "550 5.1.3 the address has no @"
    }

    /// A line at once, also into a pipe.
    static func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
