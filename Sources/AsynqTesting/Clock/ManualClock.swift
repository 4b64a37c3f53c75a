public import Asynq
import Synchronization

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A clock that stands still until a test moves it. What sleeps on it is woken in the order of its times.
///
/// ```swift
/// let clock = ManualClock()
/// async let woken: Void = clock.sleep(for: .hours(24))
/// clock.advance(by: .hours(24))
/// try await woken
/// ```
///
/// It tells durations and, by ``date``, the time of day; both move together.
public final class ManualClock: WallClock, Sendable {
    /// A moment on the clock.
    public struct Instant: InstantProtocol {
        /// Since the clock was made.
        public var offset: Duration

        public init(offset: Duration) { self.offset = offset }
        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Cancelled before they had lain down.
        var cancelled: Set<Int> = []
    }

    private let start: Date
    private let state = Mutex(State())

    /// - Parameter date: the time of day at which the clock stands. Default: now, to the whole second.
    public init(at date: Date = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))) {
        start = date
    }

    public var now: Instant { state.withLock { $0.now } }
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// The time of day.
    public var date: Date {
        start.addingTimeInterval(Double(now.offset.nanosecondsClamped) / 1_000_000_000)
    }

    /// How many sleep on it at the moment.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Unix nanoseconds.
    var unixNanoseconds: Int64 {
        Int64(start.timeIntervalSince1970 * 1_000_000) * 1000 + now.offset.nanosecondsClamped
    }

    /// Moves the clock on, and wakes what has slept until then.
    ///
    /// - Parameter duration: zero or more.
    public func advance(by duration: Duration) {
        precondition(duration >= .zero, "a clock does not go back")
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
        }
        for (_, sleeper) in due { sleeper.continuation.resume() }
    }

    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                if let sleeper = state.sleepers.removeValue(forKey: id) { return Optional(sleeper) }
                state.cancelled.insert(id)
                return nil
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
        // A cancellation that came when the sleep was over left a mark.
        _ = state.withLock { $0.cancelled.remove(id) }
    }
}
