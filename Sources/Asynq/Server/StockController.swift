/// Decides how many tasks to hold ready beyond those that run: about as many as the handlers finish during one round
/// trip to the broker. Long handlers finish less than one in that time, so nothing is held. A value with no I/O.
struct StockController {
    private let limit: Int
    /// Smoothed handlers finished per nanosecond, and nanoseconds per round trip.
    private var rate = 0.0
    private var roundTrip = 0.0
    private var lastFinished: UInt64 = 0
    private var lastTime: Int64 = 0

    /// How many tasks to hold ready.
    private(set) var target = 0

    init(limit: Int) {
        self.limit = limit
    }

    /// Takes note of a dequeue that went from `start` to `end` (nanoseconds) when `finished` handlers had ended in all.
    mutating func dequeued(from start: Int64, to end: Int64, finished: UInt64) {
        let elapsed = end - lastTime
        guard limit > 0, elapsed > 0, finished >= lastFinished else { return }
        let smoothing = 0.3
        rate += smoothing * (Double(finished - lastFinished) / Double(elapsed) - rate)
        roundTrip += smoothing * (Double(end - start) - roundTrip)
        lastFinished = finished
        lastTime = end
        // Twice: the stock must last until the answer is here, and the rate is still held down by a stock too small.
        let wanted = rate * roundTrip * 2
        target = wanted < 1 ? 0 : min(limit, Int(wanted))
    }

    /// The stock has stopped moving: handlers have become long.
    mutating func stalled() {
        rate = 0
        target = 0
    }
}
