internal import Asynq
internal import GRDB

extension TaskStore {
    func finish(_ requests: [FinishRequest]) throws -> [FinishResult] {
        var queues: [QueueName: Queue?] = [:]
        var counts: [QueueName: (processed: Int, failed: Int)] = [:]
        var archived: Set<QueueName> = []
        var first: [Int64: Int64] = [:]
        var results: [FinishResult] = []
        results.reserveCapacity(requests.count)
        for request in requests {
            let name = QueueName(request.task.message.queue)
            let known = try queues[name] ?? queue(name.text)
            queues[name] = .some(known)
            guard let queue = known else {
                results.append(.notFound)
                continue
            }
            var position: Int64 = 0
            if case .requeue = request.outcome {
                position = try first[queue.id] ?? firstPosition(queue)
                first[queue.id] = position - 1
            }
            guard try finish(request, queue, handedBackTo: position) else {
                results.append(.notFound)
                continue
            }
            results.append(.finished)
            switch request.outcome {
            case .done, .drop: counts[name, default: (0, 0)].processed += 1
            case .archive:
                archived.insert(name)
                counts[name, default: (0, 0)].processed += 1
                counts[name, default: (0, 0)].failed += 1
            case .retry(_, _, let countsAsFailure) where countsAsFailure:
                counts[name, default: (0, 0)].processed += 1
                counts[name, default: (0, 0)].failed += 1
            case .retry, .requeue: break
            }
        }
        for (name, count) in counts {
            if let queue = queues[name] ?? nil {
                try self.count(queue, processed: count.processed, failed: count.failed)
            }
        }
        for name in archived {
            if let queue = queues[name] ?? nil { try trimArchive(queue) }
        }
        return results
    }

    /// - Returns: whether the task was active.
    private func finish(_ request: FinishRequest, _ queue: Queue, handedBackTo position: Int64) throws -> Bool {
        let old = request.task.message
        let message = request.message(endedAt: now / second)
        let id = stored(message.id)
        // The position is the end of the lease, whose fraction of a second is the attempt's.
        let (condition, value): (String, Int64) =
            switch request.condition {
            case .isActive: ("position <= ?", .max)
            case .isSameAttempt: ("position % 1000000 = ?", request.task.leaseMark)
            case .isLeaseExpired: ("position <= ?", now - LeasedTask.recoveryGrace.microsecondsRoundedUp)
            }
        switch request.outcome {
        case .done where old.retention > 0:
            try execute(
                """
                UPDATE asynq_task SET state = 7, position = ?, completed_at = ?
                WHERE queue = ? AND id = ? AND state = 3 AND \(condition)
                """,
                [
                    now.addingClamped(old.retention.multipliedClamped(by: second)), message.completedAt, queue.id, id,
                    value,
                ]
            )
        case .done, .drop:
            try execute(
                "DELETE FROM asynq_task WHERE queue = ? AND id = ? AND state = 3 AND \(condition)",
                [queue.id, id, value]
            )
        case .retry(let delay, _, _):
            try execute(
                """
                UPDATE asynq_task SET state = 5, position = ?, retried = ?, error = ?, last_failed_at = ?
                WHERE queue = ? AND id = ? AND state = 3 AND \(condition)
                """,
                [
                    now.addingClamped(max(.zero, delay).microsecondsRoundedUp), message.retried,
                    stored(orNull: message.errorMessage), message.lastFailedAt, queue.id, id, value,
                ]
            )
        case .archive:
            try execute(
                """
                UPDATE asynq_task SET state = 6, position = ?, error = ?, last_failed_at = ?
                WHERE queue = ? AND id = ? AND state = 3 AND \(condition)
                """,
                [now, stored(orNull: message.errorMessage), message.lastFailedAt, queue.id, id, value]
            )
        case .requeue:
            try execute(
                """
                UPDATE asynq_task SET state = 2, position = ?, pending_since = ?
                WHERE queue = ? AND id = ? AND state = 3 AND \(condition)
                """,
                [position, now, queue.id, id, value]
            )
        }
        guard db.changesCount > 0 else { return false }
        switch request.outcome {
        case .done, .drop: if !old.uniqueKey.isEmpty { try unlock(queue, message.id) }
        case .retry: changes.due.insert(queue.name)
        case .requeue: isPending(queue)
        case .archive: break
        }
        return true
    }

    /// Deletes what is too old or too much, with all that belongs to it.
    func trimArchive(_ queue: Queue) throws {
        let count = try Int.fetchOne(
            try statement("SELECT count(*) FROM asynq_task WHERE queue = ? AND state = 6"),
            arguments: [queue.id]
        )
        let oldest = now - ArchiveLimit.age.microsecondsRoundedUp
        try deleteFirst(
            """
            SELECT seq, id, is_unique FROM asynq_task WHERE queue = ? AND state = 6 AND position <= ?
            ORDER BY position LIMIT 1000
            """,
            [queue.id, oldest],
            queue
        )
        let excess = (count ?? 0) - ArchiveLimit.count
        if excess > 0 {
            try deleteFirst(
                "SELECT seq, id, is_unique FROM asynq_task WHERE queue = ? AND state = 6 ORDER BY position LIMIT ?",
                [queue.id, excess],
                queue
            )
        }
    }

    private func deleteFirst(_ sql: String, _ arguments: StatementArguments, _ queue: Queue) throws {
        for row in try Row.fetchAll(try statement(sql), arguments: arguments) {
            if row[2] { try unlock(queue, try row.text(1)) }
            try execute("DELETE FROM asynq_task WHERE seq = ?", [row[0] as Int64])
        }
    }
}
