internal import Asynq
internal import GRDB

extension TaskStore {
    /// The times at which tasks of a queue become due, if any waits: the earliest scheduled and the earliest retry.
    func firstDue(_ queue: Queue) throws -> Int64? {
        var first: Int64?
        for state in [StoredState.scheduled, .retry] {
            let position = try Int64.fetchOne(
                try statement(
                    "SELECT position FROM asynq_task WHERE queue = ? AND state = ? ORDER BY position LIMIT 1"
                ),
                arguments: [queue.id, state.rawValue]
            )
            if let position { first = min(first ?? position, position) }
        }
        return first
    }

    /// - Returns: how many were moved.
    func forward(_ queue: Queue, limit: Int) throws -> Int {
        var due: [(seq: Int64, position: Int64, group: String)] = []
        for state in [StoredState.scheduled, .retry] {
            let rows = try Row.fetchCursor(
                try statement(
                    """
                    SELECT seq, position, task_group FROM asynq_task WHERE queue = ? AND state = ? AND position <= ?
                    ORDER BY position LIMIT ?
                    """
                ),
                arguments: [queue.id, state.rawValue, now, limit]
            )
            while let row = try rows.next() { due.append((row[0], row[1], try row.text(2))) }
        }
        due.sort { ($0.position, $0.seq) < ($1.position, $1.seq) }
        var position = try nextPosition(queue)
        for task in due.prefix(limit) {
            let state = task.group.isEmpty ? StoredState.pending : .aggregating
            try execute(
                "UPDATE asynq_task SET state = ?, position = ?, pending_since = ? WHERE seq = ?",
                [state.rawValue, state == .pending ? position : now, now, task.seq]
            )
            if state == .pending {
                position += 1
                isPending(queue)
            } else {
                changes.groups.insert(GroupReference(queue: queue.name, name: task.group))
            }
        }
        return min(limit, due.count)
    }

    func hasExpired(_ queue: Queue) throws -> Bool {
        try Bool.fetchOne(
            try statement(
                """
                SELECT EXISTS (SELECT 1 FROM asynq_task WHERE queue = ? AND state = 7 AND position <= ?)
                  OR EXISTS (SELECT 1 FROM asynq_lock WHERE ends_at <= ?)
                """
            ),
            arguments: [queue.id, now, now]
        ) ?? false
    }

    /// - Returns: how many completed tasks were deleted.
    func deleteExpired(_ queue: Queue, limit: Int) throws -> Int {
        try execute(
            """
            DELETE FROM asynq_task WHERE seq IN
              (SELECT seq FROM asynq_task WHERE queue = ? AND state = 7 AND position <= ? ORDER BY position LIMIT ?)
            """,
            [queue.id, now, limit]
        )
        let deleted = db.changesCount
        try execute(
            """
            DELETE FROM asynq_lock WHERE (queue, type, payload) IN
              (SELECT queue, type, payload FROM asynq_lock WHERE ends_at <= ? ORDER BY ends_at LIMIT ?)
            """,
            [now, limit]
        )
        try execute("DELETE FROM asynq_day WHERE queue = ? AND day < ?", [queue.id, now / (86_400 * second) - 90])
        return deleted
    }
}
