import DequeModule
import NIOCore
import Synchronization

/// What callers have submitted and the event loop has not taken yet. Only so many requests are on their way at once; as many
/// again wait for a place, in order and for a limited time.
final class Outbox: Sendable {
    enum Addition {
        /// It has a place and nothing else is on its way: it may be written at once, or else given to ``addAlone(_:)``.
        case alone
        /// The event loop is to be told.
        case drain
        /// It has been told, or will be when there is a place.
        case wait
        /// It is the first to wait for a place, and is to be given up when its time is over.
        case watch
        case refuse(RedisError)
    }

    enum TurnEnd {
        case nothing
        /// At once.
        case drainNow
        /// In the next turn.
        case drain
    }

    private struct State {
        var requests: [RedisRequest] = []
        var isDrainScheduled = false
        /// Turns of the event loop that were asked for and have not come yet.
        var turnsToCome = 0
        var isInTurn = false
        var isClosed = false
        /// Requests that have a place and are not answered, sent or not.
        var unanswered = 0
        /// Those that wait for a place, with the time at which each is given up.
        var overflow: Deque<(request: RedisRequest, deadline: NIODeadline)> = []

        var isIdle: Bool { unanswered == 0 && turnsToCome == 0 && !isInTurn && !isClosed }

        /// Whether the event loop is to be told that there is something to send.
        mutating func needsDrain() -> Bool {
            if requests.isEmpty || isDrainScheduled || isInTurn { return false }
            isDrainScheduled = true
            return true
        }
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

    /// Nothing is on its way, nor about to be.
    var isIdle: Bool { state.withLock { $0.isIdle } }

    /// - Parameter mayGoAlone: it is to be written at once if nothing else is on its way or about to be.
    func add(_ request: RedisRequest, mayGoAlone: Bool = false) -> Addition {
        state.withLock { state in
            if mayGoAlone, state.isIdle {
                state.unanswered = 1
                return .alone
            }
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
            return state.needsDrain() ? .drain : .wait
        }
    }

    /// It has a place already, and could not be written at once.
    ///
    /// - Returns: whether the event loop is to be told.
    func addAlone(_ request: RedisRequest) -> Bool {
        state.withLock { state in
            state.requests.append(request)
            return state.needsDrain()
        }
    }

    // MARK: Turns

    /// A turn of the event loop was asked for.
    func expectTurn() {
        state.withLock { $0.turnsToCome += 1 }
    }

    /// The turn has come. What is added from now on is seen to at its end.
    func beginTurn() {
        state.withLock { state in
            state.turnsToCome -= 1
            state.isInTurn = true
        }
    }

    /// - Returns: what is to be done for what there is to send. With other turns about to come it is worth waiting for what
    ///   they add, but not for those that come after them.
    func endTurn() -> TurnEnd {
        state.withLock { state in
            state.isInTurn = false
            if state.requests.isEmpty || state.isDrainScheduled { return .nothing }
            // What others add before it is taken goes along.
            state.isDrainScheduled = true
            return state.turnsToCome > 0 ? .drain : .drainNow
        }
    }

    private func tooMany(_ text: String) -> RedisError {
        RedisError(.tooManyRequests, "\(limit) requests wait for Redis already, \(text): it is too slow for this load")
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
            return state.needsDrain()
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
