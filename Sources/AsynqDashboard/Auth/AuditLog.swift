import Asynq
import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Who changed what: the last 1000 changes in memory, and each as a line of the log. Never a payload.
final class AuditLog: Sendable {
    struct Entry: Sendable {
        var at: Date
        var who: String
        var address: String
        var action: String
        var queue: String
        var taskID: String
        /// How many tasks were changed; `nil` where none is counted.
        var count: Int?
        /// `done`, or why not.
        var outcome: String
    }

    static let most = 1000

    private let logger: Logger
    /// Newest last.
    private let entries = Mutex<[Entry]>([])

    init(_ logger: Logger) {
        self.logger = logger
    }

    func add(_ entry: Entry) {
        entries.withLock { entries in
            // A tenth at a time, so that not each entry moves all others.
            if entries.count >= Self.most + Self.most / 10 { entries.removeFirst(Self.most / 10) }
            entries.append(entry)
        }
        logger.notice(
            "dashboard action",
            metadata: [
                "asynq.dashboard.action": "\(entry.action)", "asynq.dashboard.user": "\(entry.who)",
                "asynq.dashboard.address": "\(entry.address)", "asynq.queue": "\(entry.queue)",
                "asynq.task.id": "\(entry.taskID)", "asynq.dashboard.count": "\(entry.count ?? 0)",
                "asynq.dashboard.outcome": "\(entry.outcome)",
            ]
        )
    }

    /// The last ones, newest first.
    func last(_ count: Int) -> [Entry] {
        entries.withLock { Array($0.suffix(min(count, Self.most)).reversed()) }
    }
}

extension JSONValue {
    init(_ entry: AuditLog.Entry) {
        self = .object([
            "at": .time(entry.at),
            "who": .string(entry.who),
            "address": .string(entry.address),
            "action": .string(entry.action),
            "queue": .string(entry.queue),
            "task_id": .string(entry.taskID),
            "count": entry.count.map(JSONValue.int) ?? .null,
            "outcome": .string(entry.outcome),
        ])
    }
}
