internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Microseconds in a second.
let second: Int64 = 1_000_000

/// Text as SQLite can keep it whole: one with a NUL would be cut off there, and is kept as bytes instead.
func stored(_ text: String) -> any DatabaseValueConvertible {
    text.utf8.contains(0) ? Data(text.utf8) : text
}

func stored(orNull text: String) -> (any DatabaseValueConvertible)? {
    text.isEmpty ? nil : stored(text)
}

extension Row {
    /// Text that was stored by ``stored(_:)``; empty if there is none.
    func text(_ index: Int) throws -> String {
        try withUnsafeData(atIndex: index) { String(decoding: $0 ?? Data(), as: UTF8.self) }
    }

    func bytes(_ index: Int) throws -> [UInt8]? {
        try withUnsafeData(atIndex: index) { $0.map(Array.init) }
    }
}

extension TaskMessage {
    /// The columns from which a message is read, in the order of ``init(row:queue:)``.
    static let columns = """
        id, type, payload, max_retry, retried, error, timeout, deadline, is_unique, last_failed_at, retention, \
        completed_at, task_group, headers, pending_since, position
        """

    init(row: Row, queue: String) throws {
        self.init(type: try row.text(1), payload: try row.bytes(2), id: try row.text(0), queue: queue)
        maxRetry = row[3]
        retried = row[4]
        errorMessage = try row.text(5)
        timeout = row[6]
        deadline = row[7]
        uniqueKey = (row[8] as Int64) == 0 ? "" : Self.lockMark
        lastFailedAt = row[9]
        retention = row[10]
        completedAt = row[11]
        group = try row.text(12)
        let json = try row.bytes(13)
        if let json { headers = try JSONDecoder().decode([String: String].self, from: Data(json)) }
    }

    /// Stands for a lock, which is found by the task.
    static let lockMark = "unique"

    func encodedHeaders() throws -> String? {
        headers.isEmpty ? nil : String(decoding: try JSONEncoder().encode(headers), as: UTF8.self)
    }
}

extension EnqueueRequest.Start {
    func microseconds(now: Int64) -> Int64 {
        switch self {
        case .now: now
        case .at(let milliseconds): milliseconds.multipliedClamped(by: 1000)
        case .after(let milliseconds): now.addingClamped(max(0, milliseconds).multipliedClamped(by: 1000))
        }
    }
}

extension Duration {
    /// Whole microseconds, a fraction rounded up, so that nothing happens too early.
    var microsecondsRoundedUp: Int64 {
        let (seconds, attoseconds) = components
        let fraction = attoseconds / 1_000_000_000_000
        let up: Int64 = attoseconds > fraction * 1_000_000_000_000 ? 1 : 0
        return seconds.multipliedClamped(by: second).addingClamped(fraction + up)
    }
}

/// Later than anything that will happen, and few enough bytes for SQLite to tell times apart.
private let never: Int64 = 1 << 62

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? -never : never) : Swift.min(Swift.max(sum, -never), never)
    }

    func multipliedClamped(by other: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? ((self < 0) == (other < 0) ? never : -never) : Swift.min(Swift.max(product, -never), never)
    }
}

extension Date {
    init(microseconds: Int64) { self.init(timeIntervalSince1970: Double(microseconds) / Double(second)) }
}
