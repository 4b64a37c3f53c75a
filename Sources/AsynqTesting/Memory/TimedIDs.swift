import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Nanoseconds in a second.
let second: Int64 = 1_000_000_000

/// Ids in the order of their times, those of the same time as they came.
struct TimedIDs {
    private struct Entry {
        let time: Int64
        let id: String
    }

    /// Sorted.
    private var entries: [Entry] = []
    /// Before it nothing is left: the first ones are removed most often.
    private var head = 0

    var count: Int { entries.count - head }
    var first: (id: String, time: Int64)? { count > 0 ? (entries[head].id, entries[head].time) : nil }
    var last: (id: String, time: Int64)? {
        count > 0 ? (entries[entries.count - 1].id, entries[entries.count - 1].time) : nil
    }
    var ids: [String] { entries[head...].map(\.id) }

    mutating func insert(_ id: String, _ time: Int64) {
        entries.insert(Entry(time: time, id: id), at: place(after: time))
    }

    /// - Returns: whether it was there.
    @discardableResult
    mutating func remove(_ id: String, _ time: Int64) -> Bool {
        var index = place(after: time - 1)
        while index < entries.count, entries[index].id != id { index += 1 }
        guard index < entries.count else { return false }
        if index > head {
            entries.remove(at: index)
            return true
        }
        head += 1
        if head > 1000, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
        return true
    }

    /// Where the entries of later times begin.
    private func place(after time: Int64) -> Int {
        var (low, high) = (head, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}

extension Date {
    init(unixNanoseconds: Int64) {
        self.init(timeIntervalSince1970: Double(unixNanoseconds) / 1_000_000_000)
    }
}

extension EnqueueRequest.Start {
    func nanoseconds(now: Int64) -> Int64 {
        func scaled(_ milliseconds: Int64) -> Int64 {
            let (value, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
            return overflow ? (milliseconds < 0 ? .min : .max) : value
        }
        return switch self {
        case .now: now
        case .at(let milliseconds): scaled(milliseconds)
        case .after(let milliseconds): now.addingClamped(scaled(max(0, milliseconds)))
        }
    }
}
