internal import Asynq
internal import GRDB

/// The transitions of spec 1 on the tables, within a transaction of somebody else.
struct TaskStore {
    let db: Database
    /// Unix microseconds.
    let now: Int64
    /// What has changed, for those who wait for it.
    let changes = Changes()

    /// Queues in which something has come up.
    final class Changes {
        var pending: Set<String> = []
        var due: Set<String> = []
        var groups: Set<GroupReference> = []
        var isEmpty: Bool { pending.isEmpty && due.isEmpty && groups.isEmpty }
    }

    struct Queue {
        let id: Int64
        let name: String
        let isPaused: Bool
    }

    /// A statement that is prepared once for each connection.
    func statement(_ sql: String) throws -> Statement { try db.cachedStatement(sql: sql) }

    func execute(_ sql: String, _ arguments: StatementArguments) throws {
        try statement(sql).execute(arguments: arguments)
    }

    /// - Returns: `nil` if the queue has never been used.
    func queue(_ name: String) throws -> Queue? {
        let row = try Row.fetchOne(
            try statement("SELECT id, paused_at IS NOT NULL FROM asynq_queue WHERE name = ?"),
            arguments: [stored(name)]
        )
        return row.map { Queue(id: $0[0], name: name, isPaused: $0[1]) }
    }

    func queueToWrite(_ name: String) throws -> Queue {
        if let queue = try queue(name) { return queue }
        try execute("INSERT INTO asynq_queue (name) VALUES (?)", [stored(name)])
        return Queue(id: db.lastInsertedRowID, name: name, isPaused: false)
    }

    /// The first of a row of positions behind all that are pending. They grow with time, so that they keep their size,
    /// and are never shared.
    func nextPosition(_ queue: Queue) throws -> Int64 {
        let last = try Int64.fetchOne(
            try statement(
                "SELECT position FROM asynq_task WHERE queue = ? AND state = 2 ORDER BY position DESC LIMIT 1"
            ),
            arguments: [queue.id]
        )
        return max(now, (last ?? 0) + 1)
    }

    /// The position before all that are pending.
    func firstPosition(_ queue: Queue) throws -> Int64 {
        let first = try Int64.fetchOne(
            try statement("SELECT position FROM asynq_task WHERE queue = ? AND state = 2 ORDER BY position LIMIT 1"),
            arguments: [queue.id]
        )
        return min(now, first ?? now) - 1
    }

    func isPending(_ queue: Queue) { if !queue.isPaused { changes.pending.insert(queue.name) } }

    func count(_ queue: Queue, processed: Int, failed: Int) throws {
        guard processed > 0 else { return }
        try execute(
            "UPDATE asynq_queue SET processed = processed + ?, failed = failed + ? WHERE id = ?",
            [processed, failed, queue.id]
        )
        try execute(
            """
            INSERT INTO asynq_day VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET processed = processed + excluded.processed, failed = failed + excluded.failed
            """,
            [queue.id, now / (86_400 * second), processed, failed]
        )
    }

    /// Frees the lock of a task, if it still is the task's.
    func unlock(_ queue: Queue, _ id: String) throws {
        try execute("DELETE FROM asynq_lock WHERE queue = ? AND task = ?", [queue.id, stored(id)])
    }
}
