/// Growing, jittered delays between attempts that fail: 50 ms, then about twice as long each time, up to a second.
struct Backoff {
    private var failures = 0

    /// Takes note of a failure. Returns how long to wait.
    mutating func failed() -> Duration {
        failures += 1
        let most = min(1000.0, 50 * Double(1 << min(failures - 1, 10)))
        return .microseconds(Int(most * Double.random(in: 500...1000)))
    }

    /// Whether there has been one failure only: the one to log.
    var isFirst: Bool { failures == 1 }

    /// Whether the last attempt failed.
    var isFailing: Bool { failures > 0 }

    /// Takes note of a success. Returns whether it ends a row of failures.
    mutating func succeeded() -> Bool {
        defer { failures = 0 }
        return failures > 0
    }
}
