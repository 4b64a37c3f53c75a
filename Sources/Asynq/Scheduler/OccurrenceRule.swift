#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The times of an entry, in Unix milliseconds. Those of an interval count from the entry's mark, so that all schedulers
/// with the entry agree on them.
struct OccurrenceRule: Sendable {
    private let expression: CronExpression
    /// Between two times, of `@every`.
    private let interval: Int64?

    init(_ expression: CronExpression) {
        self.expression = expression
        interval = if case .every(let seconds) = expression.schedule { seconds * 1000 } else { nil }
    }

    /// The first time after a moment at or after the mark.
    func next(after moment: Int64, mark: Int64) -> Int64? {
        guard let interval else {
            let date = expression.next(after: Date(timeIntervalSince1970: Double(moment) / 1000))
            return date.map { Int64($0.timeIntervalSince1970.rounded()) * 1000 }
        }
        let (time, overflow) = mark.addingReportingOverflow(((moment - mark) / interval + 1) * interval)
        return overflow ? nil : time
    }

    /// The last time after the mark and not after a moment.
    func last(upTo moment: Int64, mark: Int64) -> Int64? {
        guard moment > mark else { return nil }
        if let interval {
            let count = (moment - mark) / interval
            return count > 0 ? mark + count * interval : nil
        }
        func isBefore(_ time: Int64?) -> Bool { time.map { $0 <= moment } ?? false }
        guard isBefore(next(after: mark, mark: mark)) else { return nil }
        // Times are whole seconds. After the first bound there is one up to the moment, after the second there is none.
        var (low, high) = (mark, moment)
        while high - low > 1000 {
            let middle = low + (high - low) / 2
            if isBefore(next(after: middle, mark: mark)) { low = middle } else { high = middle }
        }
        // At most one more lies in the last second.
        var last = next(after: low, mark: mark)
        while let time = last, let later = next(after: time, mark: mark), later <= moment { last = later }
        return last
    }

    /// Whether the entry is due at this time, as far as that follows from the time alone.
    func isTime(_ time: Int64) -> Bool { interval == nil && next(after: time - 1, mark: time - 1) == time }
}
