extension Duration {
    /// A number of minutes.
    public static func minutes(_ count: some BinaryInteger) -> Duration { .seconds(Int64(count) * 60) }
    /// A number of hours of 60 minutes.
    public static func hours(_ count: some BinaryInteger) -> Duration { .seconds(Int64(count) * 3600) }
    /// A number of days of 24 hours.
    public static func days(_ count: some BinaryInteger) -> Duration { .seconds(Int64(count) * 86_400) }

    /// Whole seconds, a fraction rounded up, so that a limit below one second does not become none.
    package var secondsRoundedUp: Int64 {
        let (seconds, attoseconds) = components
        return attoseconds > 0 ? seconds + 1 : seconds
    }

    /// Whole milliseconds, a fraction rounded up, so that nothing starts before its time. Saturates.
    package var millisecondsRoundedUp: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let fraction = attoseconds / 1_000_000_000_000_000
        let up: Int64 = attoseconds > fraction * 1_000_000_000_000_000 ? 1 : 0
        return whole.addingReportingOverflow(fraction + up).partialValue
    }

    /// Whole nanoseconds. Saturates at about 292 years.
    package var nanosecondsClamped: Int64 { Int64(clamping: attoseconds / 1_000_000_000) }
}

extension Int64 {
    /// This time in nanoseconds and a duration later. Saturates: a limit may be for ever.
    package func adding(_ duration: Duration) -> Int64 {
        let nanoseconds = duration.nanosecondsClamped
        let (sum, overflow) = addingReportingOverflow(nanoseconds)
        return overflow ? (nanoseconds < 0 ? .min : .max) : sum
    }
}
