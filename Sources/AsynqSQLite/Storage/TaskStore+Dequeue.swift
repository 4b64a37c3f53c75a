internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension TaskStore {
    /// So many bytes of payload are enough for one answer.
    private static let maxReplySize = 16 << 20

    func dequeue(_ request: DequeueRequest) throws -> [LeasedTask] {
        guard request.limit > 0, let queue = try queue(request.queue), !queue.isPaused else { return [] }
        let leaseEnd = LeasedTask.leaseEnd(mark: .random(in: LeasedTask.leaseMarks), now: now)
        let rows = try Row.fetchCursor(
            try statement(
                "SELECT \(TaskMessage.columns) FROM asynq_task WHERE queue = ? AND state = 2 ORDER BY position LIMIT ?"
            ),
            arguments: [queue.id, request.limit]
        )
        var tasks: [LeasedTask] = []
        var (size, last) = (0, Int64.min)
        while size < Self.maxReplySize, let row = try rows.next() {
            let message = try TaskMessage(row: row, queue: queue.name)
            size += message.payload?.count ?? 0
            last = row[15]
            tasks.append(
                LeasedTask(
                    message: message,
                    pendingSince: row[14] * 1000,
                    dequeuedAt: now * 1000,
                    leaseEnd: leaseEnd
                )
            )
        }
        guard !tasks.isEmpty else { return [] }
        // Positions are never shared, so these are the same rows.
        try execute(
            "UPDATE asynq_task SET state = 3, position = ? WHERE queue = ? AND state = 2 AND position <= ?",
            [leaseEnd, queue.id, last]
        )
        return tasks
    }

    func expiredLeases(_ name: String, limit: Int) throws -> [LeasedTask] {
        guard let queue = try queue(name) else { return [] }
        let rows = try Row.fetchCursor(
            try statement(
                """
                SELECT \(TaskMessage.columns) FROM asynq_task WHERE queue = ? AND state = 3 AND position <= ?
                ORDER BY position LIMIT ?
                """
            ),
            arguments: [queue.id, now - LeasedTask.recoveryGrace.microsecondsRoundedUp, limit]
        )
        var tasks: [LeasedTask] = []
        while let row = try rows.next() {
            tasks.append(
                LeasedTask(message: try TaskMessage(row: row, queue: name), leaseEnd: row[15])
            )
        }
        return tasks
    }

    func extendLease(_ task: LeasedTask) throws -> Bool {
        guard let queue = try queue(task.message.queue) else { return false }
        try execute(
            "UPDATE asynq_task SET position = ? WHERE queue = ? AND id = ? AND state = 3 AND position % 1000000 = ?",
            [
                LeasedTask.leaseEnd(mark: task.leaseMark, now: now), queue.id, stored(task.message.id), task.leaseMark,
            ]
        )
        return db.changesCount > 0
    }

    func writeResult(_ result: [UInt8], of task: LeasedTask) throws -> Bool {
        guard let queue = try queue(task.message.queue) else { return false }
        try execute(
            "UPDATE asynq_task SET result = ? WHERE queue = ? AND id = ? AND state = 3 AND position % 1000000 = ?",
            [Data(result), queue.id, stored(task.message.id), task.leaseMark]
        )
        return db.changesCount > 0
    }
}
