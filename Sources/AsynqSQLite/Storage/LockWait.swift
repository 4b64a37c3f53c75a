import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// How long a connection waits while another one holds the lock.
final class LockWait: Sendable {
    private struct State {
        var began = ContinuousClock.now
        var end: ContinuousClock.Instant?
    }

    private let limit: Duration
    private let state = Mutex(State())

    init(limit: Duration) {
        self.limit = limit
    }

    /// The next waits end then; `nil`: each after the limit.
    func set(end: ContinuousClock.Instant?) { state.withLock { $0.end = end } }

    /// Called by SQLite when it finds the lock taken, `attempt` counting from 0. Returns whether to try again.
    func goOn(_ attempt: Int) -> Bool {
        let now = ContinuousClock.now
        let end = state.withLock { state in
            if attempt == 0 { state.began = now }
            return state.end ?? state.began + limit
        }
        guard now < end else { return false }
        // SQLite wants an answer on this thread. A short nap each time: the lock is held for milliseconds, and whoever naps longest starves.
        usleep(UInt32(min(2000, 100 + 50 * attempt)))
        return true
    }
}
