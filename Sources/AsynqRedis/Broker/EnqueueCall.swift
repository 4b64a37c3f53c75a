internal import Asynq
import Synchronization

/// A caller who waits until all of its tasks are stored, or refused.
final class EnqueueCall: Sendable {
    typealias Waiter = CheckedContinuation<[Result<EnqueueReceipt, AsynqError>], Never>

    private struct State {
        var waiter: Waiter?
        var results: [Result<EnqueueReceipt, AsynqError>?]
        var missing: Int
        /// Fails all of its tasks.
        var failure: AsynqError?
        var isCancelled = false
    }

    private let state: Mutex<State>

    init(_ count: Int) {
        state = Mutex(State(results: Array(repeating: nil, count: count), missing: count))
    }

    /// Returns whether the caller waits: not if it was cancelled before.
    func begin(_ waiter: Waiter) -> Bool {
        let cancelled = state.withLock { state -> Int? in
            if state.isCancelled || state.results.isEmpty { return state.results.count }
            state.waiter = waiter
            return nil
        }
        if let cancelled { waiter.resume(returning: Self.cancellation(cancelled)) }
        return cancelled == nil
    }

    /// What has become of some of the tasks, in order from one of them on.
    func complete(from start: Int, _ results: ArraySlice<Result<EnqueueReceipt, AsynqError>>) {
        let (waiter, all) = state.withLock { state -> (Waiter?, [Result<EnqueueReceipt, AsynqError>]) in
            for (index, result) in zip(start..., results) { state.results[index] = result }
            state.missing -= results.count
            guard state.missing == 0 else { return (nil, []) }
            let failure = state.failure
            return (state.waiter.take(), state.results.compactMap { result in failure.map { .failure($0) } ?? result })
        }
        waiter?.resume(returning: all)
    }

    /// Whatever becomes of the tasks, what they need is not stored.
    func fail(_ error: AsynqError) {
        state.withLock { $0.failure = error }
    }

    func cancel() {
        let (waiter, count) = state.withLock { state in
            state.isCancelled = true
            return (state.waiter.take(), state.results.count)
        }
        waiter?.resume(returning: Self.cancellation(count))
    }

    private static func cancellation(_ count: Int) -> [Result<EnqueueReceipt, AsynqError>] {
        let error = AsynqError(
            .brokerUnavailable,
            "the caller was cancelled; the task may be stored or not",
            cause: CancellationError()
        )
        return Array(repeating: .failure(error), count: count)
    }
}
