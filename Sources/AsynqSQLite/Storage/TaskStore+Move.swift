internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What inspectors do.
extension TaskStore {
    func move(_ tasks: [TaskReference], _ move: TaskMove) throws -> [Result<TaskState, AsynqError>] {
        var archived: [String: Queue] = [:]
        let results = try tasks.map { task -> Result<TaskState, AsynqError> in
            guard let queue = try queue(task.queue) else { return .failure(.taskNotFound(task)) }
            let row = try Row.fetchOne(
                try statement("SELECT seq, state, is_unique FROM asynq_task WHERE queue = ? AND id = ?"),
                arguments: [queue.id, stored(task.id)]
            )
            guard let row else { return .failure(.taskNotFound(task)) }
            let state = TaskState(stored: row[1])
            // An aggregating task in another state than that of the groups is being aggregated.
            let isStaged = state == .aggregating && (row[1] as Int64) != StoredState.aggregating.rawValue
            guard move.isAllowed(from: state), !isStaged else { return .failure(.cannotMove(task, move, in: state)) }
            try self.move(row[0], task.id, isUnique: row[2], move, queue, to: try nextPosition(queue))
            if move == .archive { archived[task.queue] = queue }
            return .success(state)
        }
        for queue in archived.values { try trimArchive(queue) }
        return results
    }

    func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) throws -> MoveBatch {
        guard let queue = try queue(selection.queue) else { return MoveBatch(moved: 0, remaining: 0) }
        let place = place(queue, selection)
        let rows = try Row.fetchAll(
            try statement(
                "SELECT seq, id, is_unique FROM asynq_task WHERE \(place.condition) ORDER BY position LIMIT ?"
            ),
            arguments: place.arguments + [limit]
        )
        var position = try nextPosition(queue)
        for row in rows {
            try self.move(row[0], try row.text(1), isUnique: row[2], move, queue, to: position)
            position += 1
        }
        if move == .archive, !rows.isEmpty { try trimArchive(queue) }
        return MoveBatch(moved: rows.count, remaining: try tasks(selection, offset: 0, limit: 0).total)
    }

    private func move(
        _ seq: Int64,
        _ id: String,
        isUnique: Bool,
        _ move: TaskMove,
        _ queue: Queue,
        to position: Int64
    ) throws {
        switch move {
        case .run:
            try execute(
                "UPDATE asynq_task SET state = 2, position = ?, pending_since = ? WHERE seq = ?",
                [position, now, seq]
            )
            isPending(queue)
        case .archive:
            try execute("UPDATE asynq_task SET state = 6, position = ? WHERE seq = ?", [now, seq])
        case .delete:
            if isUnique { try unlock(queue, id) }
            try execute("DELETE FROM asynq_task WHERE seq = ?", [seq])
        }
    }

    func updatePayload(_ payload: [UInt8]?, of task: TaskReference) throws {
        if (payload?.count ?? 0) > Self.maxPayload {
            throw AsynqError(
                .invalidArgument,
                "the payload has \((payload ?? []).count) bytes; SQLite holds no more than \(Self.maxPayload)"
            )
        }
        guard let queue = try queue(task.queue),
            let row = try Row.fetchOne(
                try statement("SELECT seq, state, is_unique, type FROM asynq_task WHERE queue = ? AND id = ?"),
                arguments: [queue.id, stored(task.id)]
            )
        else { throw AsynqError.taskNotFound(task) }
        let state = TaskState(stored: row[1])
        guard state == .scheduled else { throw AsynqError.cannotUpdate(task, in: state) }
        if row[2] {
            let end = try Int64.fetchOne(
                try statement("SELECT ends_at FROM asynq_lock WHERE queue = ? AND task = ? AND ends_at > ?"),
                arguments: [queue.id, stored(task.id), now]
            )
            if let end { try relock(queue, task.id, type: try row.text(3), payload, until: end) }
        }
        try execute("UPDATE asynq_task SET payload = ? WHERE seq = ?", [payload.map { Data($0) }, row[0] as Int64])
    }

    /// Moves the lock of a task to another payload.
    private func relock(_ queue: Queue, _ id: String, type: String, _ payload: [UInt8]?, until end: Int64) throws {
        let key = Self.lockKey(payload)
        let isTaken = try Bool.fetchOne(
            try statement(
                "SELECT 1 FROM asynq_lock WHERE queue = ? AND type = ? AND payload = ? AND task <> ? AND ends_at > ?"
            ),
            arguments: [queue.id, stored(type), key, stored(id), now]
        )
        if isTaken != nil { throw AsynqError.duplicateTask(type: type, queue: queue.name) }
        try unlock(queue, id)
        try execute(
            "INSERT OR REPLACE INTO asynq_lock VALUES (?, ?, ?, ?, ?)",
            [queue.id, stored(type), key, stored(id), end]
        )
    }

    // MARK: Queues

    func setPaused(_ isPaused: Bool, _ name: String) throws {
        guard isPaused else {
            try execute("UPDATE asynq_queue SET paused_at = NULL WHERE name = ?", [stored(name)])
            // What waits there can be taken now.
            changes.pending.insert(name)
            return
        }
        let queue = try queueToWrite(name)
        try execute("UPDATE asynq_queue SET paused_at = coalesce(paused_at, ?) WHERE id = ?", [now, queue.id])
    }

    func deleteQueue(_ name: String, force: Bool, limit: Int) throws -> QueueDeletion {
        guard let queue = try queue(name) else { throw AsynqError.queueNotFound(name) }
        let leased =
            try Int.fetchOne(
                try statement("SELECT count(*) FROM asynq_task WHERE queue = ? AND state = 3 AND position > ?"),
                arguments: [queue.id, now]
            ) ?? 0
        let size = try size(queue)
        if leased > 0 || (size > 0 && !force) { throw AsynqError.queueNotEmpty(name, size: size, active: leased) }
        let rows = try Row.fetchAll(
            try statement("SELECT seq, id, is_unique FROM asynq_task WHERE queue = ? LIMIT ?"),
            arguments: [queue.id, limit]
        )
        for row in rows { try move(row[0], try row.text(1), isUnique: row[2], .delete, queue, to: 0) }
        // Locks of tasks that are gone, and that have not ended yet.
        try execute(
            """
            DELETE FROM asynq_lock WHERE (queue, type, payload) IN
              (SELECT queue, type, payload FROM asynq_lock WHERE queue = ? LIMIT ?)
            """,
            [queue.id, limit]
        )
        let remaining = size - rows.count
        if remaining > 0 || db.changesCount >= limit {
            try execute("UPDATE asynq_queue SET paused_at = coalesce(paused_at, ?) WHERE id = ?", [now, queue.id])
            return QueueDeletion(deleted: rows.count, remaining: max(1, remaining), isDone: false)
        }
        let tables = ["asynq_day", "asynq_count", "asynq_aggregation_set", "asynq_group_hold", "asynq_mark"]
        for table in tables { try execute("DELETE FROM \(table) WHERE queue = ?", [queue.id]) }
        try execute("DELETE FROM asynq_queue WHERE id = ?", [queue.id])
        return QueueDeletion(deleted: rows.count, remaining: 0, isDone: true)
    }

    private func size(_ queue: Queue) throws -> Int {
        try Int.fetchOne(
            try statement("SELECT coalesce(sum(tasks), 0) FROM asynq_count WHERE queue = ?"),
            arguments: [queue.id]
        ) ?? 0
    }
}
