import Synchronization

/// Lets one loop sleep until another says that there is something to do. A notification with nobody asleep is kept, so
/// none is lost; many count as one.
final class Wakeup: Sendable {
    private enum State {
        case idle
        case notified
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    func notify() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            switch state {
            case .waiting(let continuation):
                state = .idle
                return continuation
            case .idle, .notified:
                state = .notified
                return nil
            }
        }
        waiter?.resume()
    }

    /// Returns at the next notification, or when the caller is cancelled. Only one may wait at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNotified = state.withLock { state -> Bool in
                    if case .notified = state {
                        state = .idle
                        return true
                    }
                    state = .waiting(continuation)
                    return false
                }
                if isNotified { continuation.resume() }
            }
        } onCancel: {
            notify()
        }
    }
}

extension Wakeup {
    /// Returns at the next notification, at the deadline, or when the caller is cancelled. Not after a duration: the
    /// clock may move between its calculation and the sleep.
    func wait(until deadline: Int64, _ clock: LoopClock) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await clock.sleepUntil(deadline) }
            await group.next()
            group.cancelAll()
        }
    }
}
