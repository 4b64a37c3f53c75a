import ServiceLifecycle
import Synchronization

/// Runs what outlives the request that began it, as children of the dashboard's service.
final class BackgroundWork: Sendable {
    typealias Job = @Sendable () async -> Void

    private let input = Mutex<AsyncStream<Job>.Continuation?>(nil)

    /// - Returns: whether it will run: not before the service does, and not when that has ended.
    func start(_ job: @escaping Job) -> Bool {
        guard let input = input.withLock({ $0 }) else { return false }
        if case .enqueued = input.yield(job) { return true }
        return false
    }

    var isRunning: Bool { input.withLock { $0 != nil } }

    /// Runs jobs until it is cancelled or a graceful shutdown begins, which cancels them.
    ///
    /// - Parameter onStart: called once jobs are taken.
    func run(onStart: @Sendable () -> Void = {}) async {
        let (jobs, input) = AsyncStream<Job>.makeStream()
        self.input.withLock { $0 = input }
        onStart()
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await job in jobs { group.addTask(operation: job) }
                group.cancelAll()
            }
        }
        self.input.withLock { $0 = nil }
        input.finish()
    }
}
