internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension TaskStore {
    /// SQLite's limit of a value, less some room for the rest of the row.
    static let maxPayload = 999_000_000

    func enqueue(_ requests: [EnqueueRequest]) throws -> [Result<EnqueueReceipt, AsynqError>] {
        var queues: [QueueName: Queue] = [:]
        var positions: [Int64: Int64] = [:]
        return try requests.map { request in
            let name = QueueName(request.message.queue)
            if (request.message.payload?.count ?? 0) > Self.maxPayload {
                return .failure(
                    AsynqError(
                        .invalidArgument,
                        "the payload has \((request.message.payload ?? []).count) bytes; SQLite holds no more than \(Self.maxPayload)"
                    )
                )
            }
            let queue = try queues[name] ?? queueToWrite(name.text)
            queues[name] = queue
            let start = max(now, request.start.microseconds(now: now))
            if start > now { return try insert(request, queue, .scheduled, start, start: start) }
            if !request.message.group.isEmpty { return try insert(request, queue, .aggregating, now, start: now) }
            let position = try positions[queue.id] ?? nextPosition(queue)
            positions[queue.id] = position + 1
            return try insert(request, queue, .pending, position, start: now)
        }
    }

    private func insert(
        _ request: EnqueueRequest,
        _ queue: Queue,
        _ state: StoredState,
        _ position: Int64,
        start: Int64
    ) throws -> Result<EnqueueReceipt, AsynqError> {
        let message = request.message
        if let ttl = request.uniqueFor {
            // The id first: a lock taken for a task that is then refused would stay behind.
            let isTaken = try Bool.fetchOne(
                try statement("SELECT 1 FROM asynq_task WHERE queue = ? AND id = ?"),
                arguments: [queue.id, stored(message.id)]
            )
            if isTaken != nil { return .failure(.taskIDConflict(message.id, queue: queue.name)) }
            guard try lock(message, queue, until: start.addingClamped(ttl.microsecondsRoundedUp)) else {
                return .failure(.duplicateTask(type: message.type, queue: queue.name))
            }
        }
        try execute(
            """
            INSERT INTO asynq_task (queue, state, position, pending_since, is_unique, retried, max_retry, timeout,
              deadline, retention, last_failed_at, completed_at, id, type, task_group, headers, error, payload)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """,
            [
                queue.id, state.rawValue, position, now, request.uniqueFor == nil ? 0 : 1, message.retried,
                message.maxRetry, message.timeout, message.deadline, message.retention, message.lastFailedAt,
                message.completedAt, stored(message.id), stored(message.type), stored(orNull: message.group),
                try message.encodedHeaders(), stored(orNull: message.errorMessage), message.payload.map { Data($0) },
            ]
        )
        guard db.changesCount > 0 else { return .failure(.taskIDConflict(message.id, queue: queue.name)) }
        switch state {
        case .scheduled:
            changes.due.insert(queue.name)
            return .success(EnqueueReceipt(state: .scheduled, nextProcessAt: Date(microseconds: start)))
        case .aggregating:
            changes.groups.insert(GroupReference(queue: queue.name, name: message.group))
            return .success(EnqueueReceipt(state: .aggregating, nextProcessAt: nil))
        default:
            isPending(queue)
            return .success(EnqueueReceipt(state: .pending, nextProcessAt: Date(microseconds: now)))
        }
    }

    /// - Returns: whether nobody else holds it.
    private func lock(_ message: TaskMessage, _ queue: Queue, until end: Int64) throws -> Bool {
        try execute(
            """
            INSERT INTO asynq_lock VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET task = excluded.task, ends_at = excluded.ends_at WHERE ends_at <= ?
            """,
            [queue.id, stored(message.type), Self.lockKey(message.payload), stored(message.id), end, now]
        )
        return db.changesCount > 0
    }

    /// A payload as it stands in a lock: one that is missing differs from an empty one.
    static func lockKey(_ payload: [UInt8]?) -> Data { payload.map { Data([1] + $0) } ?? Data([0]) }
}
