import Synchronization

/// Cancels a request whose caller was cancelled, whichever comes first.
final class RequestCancellation: Sendable {
    private struct State {
        var request: RedisRequest?
        var isCancelled = false
    }

    private let state = Mutex(State())

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    func set(_ request: RedisRequest) {
        let isCancelled = state.withLock { state in
            state.request = request
            return state.isCancelled
        }
        if isCancelled { request.cancel() }
    }

    func cancel() {
        let request = state.withLock { state in
            state.isCancelled = true
            return state.request
        }
        request?.cancel()
    }
}
