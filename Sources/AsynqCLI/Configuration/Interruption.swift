#if canImport(Darwin)
import Darwin
import Dispatch
#else
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
@preconcurrency import Dispatch
#endif

/// For commands that run until somebody ends them: SIGINT and SIGTERM end them in good order, in a container too.
enum Interruption {
    /// Runs `body`, and cancels it at a signal.
    static func end(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let (signals, input) = AsyncStream<Void>.makeStream()
        let queue = DispatchQueue(label: "asynq.signals")
        let sources = [SIGINT, SIGTERM].map { number in
            // Dispatch sees a signal only where its own action is off.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { input.yield() }
            source.activate()
            return source
        }
        defer { for source in sources { source.cancel() } }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return false
            }
            group.addTask {
                for await _ in signals { return true }
                return false
            }
            let isInterrupted = try await group.next() ?? false
            group.cancelAll()
            do {
                while try await group.next() != nil {}
            } catch  where isInterrupted {
                // What was cancelled was asked to end.
            }
        }
    }
}
