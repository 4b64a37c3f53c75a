import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Which tasks are looked for. Texts match anywhere, in capitals or not (of ASCII).
struct TaskFilter: Sendable, Hashable {
    var id: String?
    var type: String?
    /// In payload, error message or result.
    var text: String?
    /// All of the error message, as it is; empty: of those that have none.
    var error: String?
    /// At least so many seconds ago, and at most: of completion, or else the last failure. A task that has neither is found
    /// by neither.
    var olderThan: Double?
    var newerThan: Double?

    init() {}

    init(_ query: APIQuery) throws(APIError) {
        id = query.text("id")
        type = query.text("type")
        text = query.text("text")
        error = query.value("error")
        olderThan = try query.number("older_than", 0...Int.max).map(Double.init)
        newerThan = try query.number("newer_than", 0...Int.max).map(Double.init)
    }
}

/// A filter with its texts made ready.
struct TaskMatcher: Sendable {
    private let filter: TaskFilter
    private let id: [UInt8]?
    private let type: [UInt8]?
    private let text: [UInt8]?
    private let now: Date

    /// - Parameter now: from which ages count.
    init(_ filter: TaskFilter, now: Date) {
        self.filter = filter
        self.now = now
        id = filter.id.map(Self.lower)
        type = filter.type.map(Self.lower)
        text = filter.text.map(Self.lower)
    }

    func matches(_ task: TaskInfo) -> Bool {
        if let error = filter.error, (task.lastError ?? "") != error { return false }
        if let id, !Self.contains(Array(task.id.utf8), id) { return false }
        if let type, !Self.contains(Array(task.type.utf8), type) { return false }
        if filter.olderThan != nil || filter.newerThan != nil {
            guard let time = task.completedAt ?? task.lastFailedAt else { return false }
            let age = now.timeIntervalSince(time)
            if let least = filter.olderThan, age < least { return false }
            if let most = filter.newerThan, age > most { return false }
        }
        guard let text else { return true }
        return Self.contains(task.payload ?? [], text) || Self.contains(Array((task.lastError ?? "").utf8), text)
            || Self.contains(task.result ?? [], text)
    }

    private static func lower(_ text: String) -> [UInt8] { text.utf8.map(lower) }

    private static func lower(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// - Parameter part: in lower case.
    private static func contains(_ whole: [UInt8], _ part: [UInt8]) -> Bool {
        guard let first = part.first, whole.count >= part.count else { return part.isEmpty }
        return whole.withUnsafeBufferPointer { whole in
            part.withUnsafeBufferPointer { part in
                for start in 0...(whole.count - part.count) where lower(whole[start]) == first {
                    var length = 1
                    while length < part.count, lower(whole[start + length]) == part[length] { length += 1 }
                    if length == part.count { return true }
                }
                return false
            }
        }
    }
}
