import DequeModule
import NIOCore
import Synchronization

/// What callers have submitted and the event loop has not taken yet. Only so many requests are on their way at once; as many
/// again wait for a place, in order and for a limited time.
final class Outbox: Sendable {
    enum Addition {
        /// The event loop is to be told.
        case drain
        /// It has been told, or will be when there is a place.
        case wait
        /// It is the first to wait for a place, and is to be given up when its time is over.
        case watch
        case refuse(RedisError)
    }

    private struct State {
        var requests: [RedisRequest] = []
        var isDrainScheduled = false
        var isClosed = false
        /// Requests that have a place and are not answered, sent or not.
        var unanswered = 0
        /// Those that wait for a place, with the time at which each is given up.
        var overflow: Deque<(request: RedisRequest, deadline: NIODeadline)> = []
    }

    private let state = Mutex(State())
    private let limit: Int
    private let patience: Duration

    /// - Parameters:
    ///   - limit: how many requests have a place.
    ///   - patience: how long one waits for a place.
    init(limit: Int, patience: Duration) {
        self.limit = limit
        self.patience = patience
    }

    func add(_ request: RedisRequest) -> Addition {
        state.withLock { state in
            if state.isClosed { return .refuse(RedisError(.closed, "the Redis client has been shut down")) }
            if state.unanswered >= limit {
                guard state.overflow.count < limit else {
                    return .refuse(tooMany("and \(state.overflow.count) more for a place"))
                }
                state.overflow.append((request, .now() + TimeAmount(patience)))
                return state.overflow.count == 1 ? .watch : .wait
            }
            state.unanswered += 1
            state.requests.append(request)
            if state.isDrainScheduled { return .wait }
            state.isDrainScheduled = true
            return .drain
        }
    }

    private func tooMany(_ text: String) -> RedisError {
        RedisError(.tooManyRequests, "\(limit) commands wait for Redis already, \(text): it is too slow for this load")
    }

    func take() -> [RedisRequest] {
        state.withLock { state in
            state.isDrainScheduled = false
            defer { state.requests = [] }
            return state.requests
        }
    }

    /// So many requests are no longer waiting: others have their places.
    ///
    /// - Returns: whether the event loop is to be told of these.
    func answered(_ count: Int) -> Bool {
        state.withLock { state in
            state.unanswered -= count
            while state.unanswered < limit, let next = state.overflow.popFirst()?.request {
                guard !next.isCompleted else { continue }
                state.unanswered += 1
                state.requests.append(next)
            }
            if state.requests.isEmpty || state.isDrainScheduled { return false }
            state.isDrainScheduled = true
            return true
        }
    }

    /// Gives up those that have waited for a place for too long.
    ///
    /// - Returns: when the next one is to be given up.
    func expire(_ now: NIODeadline) -> NIODeadline? {
        let (late, next) = state.withLock { state in
            let late = state.overflow.prefix { $0.deadline <= now || $0.request.isCompleted }.map(\.request)
            state.overflow.removeFirst(late.count)
            return (late, state.overflow.first?.deadline)
        }
        for request in late { request.fail(tooMany("and none has been answered for \(patience)")) }
        return next
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}
