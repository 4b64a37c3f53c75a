/// The clock of a server's loops: it measures durations and sleeps, never tells the time of day. Made of any clock, so
/// that tests need not wait.
package struct LoopClock: Sendable {
    /// Nanoseconds since the clock was made.
    package let now: @Sendable () -> Int64
    /// Sleeps; throws when cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void

    package init<C: Clock>(_ clock: C = ContinuousClock()) where C.Duration == Duration {
        let start = clock.now
        now = { start.duration(to: clock.now).nanosecondsClamped }
        sleep = { try await clock.sleep(until: clock.now.advanced(by: $0), tolerance: nil) }
    }
}
