import Asynq
import AsynqSQLite
import Foundation
import Logging
import Synchronization

/// Two servers, ten workers each, and a payment provider that takes two calls at a time.
///
/// Runs by itself, on a file in the temporary folder; with `RedisBroker` instead the servers may be on any machines.
@main
struct Semaphore {
    static func main() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("semaphore-\(UUID().uuidString).db")
            .path
        let broker = try SQLiteBroker(path: path)
        let calls = Calls()

        // At most two handlers with this semaphore run at once, whichever server they are on. A task that finds no place
        // comes back after 100 ms, and loses none of its retries.
        let semaphore = try AsynqSemaphore(broker, scope: "payment-provider", limit: 2)
        var router = TaskRouter()
        try router.handle(
            "charge",
            middleware: SemaphoreMiddleware(semaphore, retryAfter: .milliseconds(100))
        ) { _, context in
            calls.begin()
            defer { calls.end() }
            try await Task.sleep(for: .milliseconds(50))
            print("→ charged \(context.taskID)")
        }

        let client = AsynqClient(broker)
        for result in await client.enqueue(batch: (1...20).map { AsynqTask("charge", .taskID("order-\($0)")) }) {
            _ = try result.get()
        }

        var configuration = AsynqServer.Configuration(concurrency: 10)
        configuration.logger.logLevel = .error
        let servers = (0..<2).map { _ in AsynqServer(broker, handler: router, configuration: configuration) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.run() } }
            await calls.wait(for: 20)
            for server in servers { server.shutdown() }
            try await group.waitForAll()
        }
        await broker.shutdown()
        print("→ 20 orders charged, never more than \(calls.peak) calls at once")
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
    }

    /// Counts the calls that run at once.
    final class Calls: Sendable {
        private let state = Mutex((now: 0, peak: 0))
        private let ended: AsyncStream<Void>
        private let report: AsyncStream<Void>.Continuation

        init() { (ended, report) = AsyncStream.makeStream() }

        var peak: Int { state.withLock { $0.peak } }

        func begin() { state.withLock { $0 = ($0.now + 1, max($0.peak, $0.now + 1)) } }

        func end() {
            state.withLock { $0.now -= 1 }
            report.yield()
        }

        func wait(for count: Int) async {
            var left = count
            for await _ in ended {
                left -= 1
                if left == 0 { return }
            }
        }
    }
}
