#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// A clock that also tells the time of day.
package protocol WallClock: Clock {
    var date: Date { get }
}

/// The clock of a server's loops: it measures durations and sleeps; the time of day is only for show. Made of any clock,
/// so that tests need not wait.
package struct LoopClock: Sendable {
    /// Nanoseconds since the clock was made.
    package let now: @Sendable () -> Int64
    /// Sleeps until a moment that ``now`` tells; throws when cancelled.
    package let sleepUntil: @Sendable (Int64) async throws -> Void
    /// Sleeps; throws when cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void
    /// Waits a moment, to spare the broker. Not at all on a clock that only a test moves: the test may be waiting for what
    /// comes after the moment.
    package let pause: @Sendable (Duration) async -> Void
    /// The time of day.
    package let date: @Sendable () -> Date

    package init<C: Clock>(_ clock: C = ContinuousClock()) where C.Duration == Duration {
        let start = clock.now
        now = { start.duration(to: clock.now).nanosecondsClamped }
        sleepUntil = { try await clock.sleep(until: start.advanced(by: .nanoseconds($0)), tolerance: nil) }
        sleep = { try await clock.sleep(until: clock.now.advanced(by: $0), tolerance: nil) }
        let passes = clock is ContinuousClock || clock is SuspendingClock
        pause = { if passes { try? await Task.sleep(for: $0) } }
        if let wallClock = clock as? any WallClock {
            date = { wallClock.date }
        } else {
            date = { Date() }
        }
    }
}
