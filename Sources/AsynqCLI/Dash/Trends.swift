import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How the figures went while the dashboard was open.
struct Trends: Sendable {
    /// As many as fit on the widest screen that is sensible.
    private static let kept = 200

    /// Attempts that ended, per second, all queues together.
    private(set) var rates: [Double] = []
    /// Pending tasks, all queues together.
    private(set) var pending: [Double] = []
    private(set) var queueRates: [String: [Double]] = [:]
    private var last: (at: Date, processed: [String: Int])?

    mutating func add(_ data: DashData) {
        let processed = Dictionary(data.queues.map { ($0.queue, $0.processed) }) { first, _ in first }
        Self.append(Double(data.queues.reduce(0) { $0 + $1.pending }), to: &pending)
        defer { last = (data.readAt, processed) }
        guard let last else { return }
        let seconds = data.readAt.timeIntervalSince(last.at)
        guard seconds > 0 else { return }
        var sum = 0.0
        for (queue, count) in processed {
            let rate = max(0, Double(count - (last.processed[queue] ?? count))) / seconds
            Self.append(rate, to: &queueRates[queue, default: []])
            sum += rate
        }
        queueRates = queueRates.filter { processed[$0.key] != nil }
        Self.append(sum, to: &rates)
    }

    private static func append(_ value: Double, to values: inout [Double]) {
        values.append(value)
        if values.count > kept { values.removeFirst(values.count - kept) }
    }
}
