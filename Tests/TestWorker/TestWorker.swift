import Asynq
import AsynqRedis
import Foundation
import Logging

/// A worker server in a process of its own, for tests that kill it.
///
///     TestWorker URI QUEUE CONCURRENCY SHUTDOWN-MILLISECONDS
///
/// Tasks of type `hang` run until they are cancelled, those of type `stubborn` until the process ends, all others end at
/// once. Prints a line for what happens: `ready`, `start ID`, `end ID`, `cancelled ID`, `closed`.
@main
struct TestWorker {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 5, let concurrency = Int(arguments[3]), let shutdown = Int(arguments[4]) else {
            print("usage: TestWorker URI QUEUE CONCURRENCY SHUTDOWN-MILLISECONDS")
            exit(64)
        }
        let broker = try RedisBroker(arguments[1])
        var configuration = AsynqServer.Configuration(concurrency: concurrency, queues: [arguments[2]: 1])
        configuration.shutdownTimeout = .milliseconds(shutdown)
        configuration.logger = Logger(label: "worker") { StreamLogHandler.standardError(label: $0) }
        configuration.healthCheck = { error in say(error == nil ? "ready" : "no broker") }
        let server = AsynqServer(
            broker,
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
                case "stubborn":
                    await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
                default: break
                }
                say("end \(context.taskID)")
            },
            configuration: configuration
        )
        try await server.run()
        say("closed")
    }

    /// A line at once, also into a pipe.
    static func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
