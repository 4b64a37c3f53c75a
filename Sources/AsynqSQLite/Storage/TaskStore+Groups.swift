internal import Asynq
internal import GRDB

/// Groups: tasks in state 8 wait in their group, those in state 9 are in an aggregation set. The position of both is the time
/// at which they came into the group.
extension TaskStore {
    /// The names of the groups of a queue, each found by a step through the index and not by reading all tasks.
    func groups(_ queue: Queue) throws -> [String] {
        let rows = try Row.fetchCursor(
            try statement(
                """
                WITH RECURSIVE names(name) AS (
                  SELECT min(task_group) FROM asynq_task INDEXED BY asynq_task_group WHERE queue = ?1 AND state = 8
                  UNION ALL
                  SELECT (SELECT min(task_group) FROM asynq_task INDEXED BY asynq_task_group
                    WHERE queue = ?1 AND state = 8 AND task_group > name)
                  FROM names WHERE name IS NOT NULL
                ) SELECT name FROM names WHERE name IS NOT NULL
                """
            ),
            arguments: [queue.id]
        )
        var names: [String] = []
        while let row = try rows.next() { names.append(try row.text(0)) }
        return names
    }

    /// - Returns: how many microseconds until the group is ready; `nil` if it has no tasks.
    func timeUntilReady(_ queue: Queue, _ group: String, policy: GroupPolicy) throws -> Int64? {
        guard let oldest = try edge(queue, group, "min"), let newest = try edge(queue, group, "max") else { return nil }
        var count = 0
        if let maxSize = policy.maxSize {
            // Counts no further than it matters.
            count =
                try Int.fetchOne(
                    try statement(
                        """
                        SELECT count(*) FROM
                          (SELECT 1 FROM asynq_task INDEXED BY asynq_task_group
                            WHERE queue = ? AND state = 8 AND task_group = ? LIMIT ?)
                        """
                    ),
                    arguments: [queue.id, stored(group), maxSize]
                ) ?? 0
        }
        let wait = policy.timeUntilReady(
            count: count,
            oldest: .microseconds(now - oldest),
            newest: .microseconds(now - newest)
        )
        let hold = try Int64.fetchOne(
            try statement("SELECT ends_at FROM asynq_group_hold WHERE queue = ? AND task_group = ?"),
            arguments: [queue.id, stored(group)]
        )
        return max(wait.microsecondsRoundedUp, (hold ?? now) - now)
    }

    /// The time of the oldest or the newest task of a group.
    private func edge(_ queue: Queue, _ group: String, _ function: String) throws -> Int64? {
        try Int64.fetchOne(
            try statement(
                """
                SELECT \(function)(position) FROM asynq_task INDEXED BY asynq_task_group
                WHERE queue = ? AND state = 8 AND task_group = ?
                """
            ),
            arguments: [queue.id, stored(group)]
        )
    }

    /// Stages what is ready.
    func stage(_ group: GroupReference, policy: GroupPolicy) throws -> GroupCheck {
        guard let queue = try queue(group.queue) else { return GroupCheck(nextDueIn: nil) }
        guard try timeUntilReady(queue, group.name, policy: policy) == 0 else { return try check(queue, group, policy) }
        try execute(
            "DELETE FROM asynq_group_hold WHERE queue = ? AND task_group = ?",
            [queue.id, stored(group.name)]
        )
        try execute(
            "INSERT INTO asynq_aggregation_set (queue, task_group, ends_at) VALUES (?, ?, ?)",
            [queue.id, stored(group.name), now + AggregationSet.lifetime.microsecondsRoundedUp]
        )
        let id = db.lastInsertedRowID
        let rows = try Row.fetchCursor(
            try statement(
                """
                SELECT \(TaskMessage.columns), seq FROM asynq_task INDEXED BY asynq_task_group
                WHERE queue = ? AND state = 8 AND task_group = ?
                ORDER BY position, seq LIMIT ?
                """
            ),
            arguments: [queue.id, stored(group.name), policy.setSize]
        )
        var (tasks, numbers, bytes): ([TaskMessage], [Int64], Int) = ([], [], 0)
        while bytes < AggregationSet.maxBytes, let row = try rows.next() {
            let message = try TaskMessage(row: row, queue: queue.name)
            bytes += message.payload?.count ?? 0
            tasks.append(message)
            numbers.append(row[16])
        }
        for number in numbers {
            try execute("UPDATE asynq_task SET state = 9, set_id = ? WHERE seq = ?", [id, number])
        }
        return GroupCheck(
            set: AggregationSet(group: group, id: String(id), tasks: tasks),
            nextDueIn: try check(queue, group, policy).nextDueIn
        )
    }

    private func check(_ queue: Queue, _ group: GroupReference, _ policy: GroupPolicy) throws -> GroupCheck {
        GroupCheck(nextDueIn: try timeUntilReady(queue, group.name, policy: policy).map { .microseconds($0) })
    }

    // MARK: Ends of sets

    func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) throws -> Result<EnqueueReceipt, AsynqError> {
        guard let (id, queue, task) = try held(set) else { return .failure(.aggregationSetEnded(set)) }
        if let task {
            guard task == request.message.id else { return .failure(.aggregationSetEnded(set)) }
            return .success(try receipt(queue, task))
        }
        var result = Result<EnqueueReceipt, AsynqError>.failure(.aggregationSetEnded(set))
        try db.inSavepoint {
            try execute(
                """
                DELETE FROM asynq_lock WHERE queue = ? AND task IN
                  (SELECT id FROM asynq_task WHERE set_id = ? AND state = 9 AND is_unique)
                """,
                [queue.id, id]
            )
            try execute("DELETE FROM asynq_task WHERE set_id = ? AND state = 9", [id])
            result = try enqueue([request])[0]
            guard case .success = result else { return .rollback }
            // Kept for a while, for a caller who asks again because the answer was lost.
            try execute(
                "UPDATE asynq_aggregation_set SET task = ?, ends_at = ? WHERE id = ?",
                [stored(request.message.id), now + 5 * AggregationSet.lifetime.microsecondsRoundedUp, id]
            )
            return .commit
        }
        return result
    }

    /// What was said when this task was enqueued, as far as that is still known.
    private func receipt(_ queue: Queue, _ id: String) throws -> EnqueueReceipt {
        let row = try Row.fetchOne(
            try statement("SELECT state, position FROM asynq_task WHERE queue = ? AND id = ?"),
            arguments: [queue.id, stored(id)]
        )
        switch row.flatMap({ StoredState(rawValue: $0[0]) }) {
        case .scheduled:
            return EnqueueReceipt(state: .scheduled, nextProcessAt: row.map { .init(microseconds: $0[1]) })
        case .aggregating, .staged: return EnqueueReceipt(state: .aggregating, nextProcessAt: nil)
        default: return EnqueueReceipt(state: .pending, nextProcessAt: .init(microseconds: now))
        }
    }

    /// A set that has not been released or reclaimed, with the task that it was replaced by, if it was.
    private func held(_ set: AggregationSet) throws -> (id: Int64, queue: Queue, task: String?)? {
        guard let id = Int64(set.id), let queue = try queue(set.group.queue) else { return nil }
        let row = try Row.fetchOne(
            try statement("SELECT task IS NOT NULL, task FROM asynq_aggregation_set WHERE id = ? AND queue = ?"),
            arguments: [id, queue.id]
        )
        return try row.map { (id, queue, ($0[0] as Bool) ? try $0.text(1) : nil) }
    }

    func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) throws {
        guard let (id, queue, task) = try held(set), task == nil else { return }
        if delay > .zero {
            try execute(
                "INSERT OR REPLACE INTO asynq_group_hold VALUES (?, ?, ?)",
                [queue.id, stored(set.group.name), now.addingClamped(delay.microsecondsRoundedUp)]
            )
        }
        _ = try putBack(id, set.group)
    }

    /// - Returns: how many tasks.
    private func putBack(_ id: Int64, _ group: GroupReference) throws -> Int {
        try execute("UPDATE asynq_task SET state = 8, set_id = NULL WHERE set_id = ? AND state = 9", [id])
        let count = db.changesCount
        try execute("DELETE FROM asynq_aggregation_set WHERE id = ?", [id])
        changes.groups.insert(group)
        return count
    }

    func extendAggregation(_ set: AggregationSet) throws -> Bool {
        guard let (id, _, task) = try held(set), task == nil else { return false }
        try execute(
            "UPDATE asynq_aggregation_set SET ends_at = ? WHERE id = ?",
            [now + AggregationSet.lifetime.microsecondsRoundedUp, id]
        )
        return true
    }

    /// - Returns: whether the set is held.
    func archiveStaged(_ errors: [String: String], of set: AggregationSet) throws -> Bool {
        guard let (id, queue, task) = try held(set), task == nil else { return false }
        for (task, error) in errors {
            try execute(
                """
                UPDATE asynq_task SET state = 6, position = ?, error = ?, last_failed_at = ?, set_id = NULL
                WHERE queue = ? AND id = ? AND set_id = ? AND state = 9
                """,
                [now, stored(orNull: error), now / second, queue.id, stored(task), id]
            )
        }
        try trimArchive(queue)
        return true
    }

    // MARK: Stale sets

    /// Whether there is something for ``reclaimSets(_:limit:)``.
    func hasStaleSets(_ queue: Queue) throws -> Bool {
        try Bool.fetchOne(
            try statement(
                """
                SELECT EXISTS (SELECT 1 FROM asynq_aggregation_set WHERE queue = ? AND ends_at <= ?)
                  OR EXISTS (SELECT 1 FROM asynq_group_hold WHERE queue = ? AND ends_at <= ?)
                """
            ),
            arguments: [queue.id, now, queue.id, now]
        ) ?? false
    }

    /// - Returns: how many tasks are in their groups again.
    func reclaimSets(_ queue: Queue, limit: Int) throws -> Int {
        try execute("DELETE FROM asynq_group_hold WHERE queue = ? AND ends_at <= ?", [queue.id, now])
        try execute(
            "DELETE FROM asynq_aggregation_set WHERE queue = ? AND ends_at <= ? AND task IS NOT NULL",
            [queue.id, now]
        )
        let rows = try Row.fetchAll(
            try statement(
                """
                SELECT id, task_group FROM asynq_aggregation_set WHERE queue = ? AND ends_at <= ? ORDER BY ends_at LIMIT ?
                """
            ),
            arguments: [queue.id, now, limit]
        )
        var count = 0
        for row in rows where count < limit {
            count += try putBack(row[0], GroupReference(queue: queue.name, name: try row.text(1)))
        }
        return count
    }

    // MARK: Watching

    /// Tells whether tasks have come into groups of a queue since: the newest time, and how many have it.
    struct GroupMark: Sendable, Hashable {
        var newest: Int64?
        var count = 0
    }

    func groupMark(_ name: String) throws -> GroupMark {
        guard let queue = try queue(name) else { return GroupMark() }
        let newest = try Int64.fetchOne(
            try statement("SELECT max(position) FROM asynq_task WHERE queue = ? AND state = 8"),
            arguments: [queue.id]
        )
        guard let newest else { return GroupMark() }
        let count = try Int.fetchOne(
            try statement("SELECT count(*) FROM asynq_task WHERE queue = ? AND state = 8 AND position = ?"),
            arguments: [queue.id, newest]
        )
        return GroupMark(newest: newest, count: count ?? 0)
    }

    /// The groups that tasks have come into since then, and maybe some more.
    func groupsGrown(_ name: String, since mark: GroupMark) throws -> Set<GroupReference> {
        guard let queue = try queue(name) else { return [] }
        let rows = try Row.fetchCursor(
            try statement(
                "SELECT DISTINCT task_group FROM asynq_task WHERE queue = ? AND state = 8 AND position >= ?"
            ),
            arguments: [queue.id, mark.newest ?? .min]
        )
        var groups: Set<GroupReference> = []
        while let row = try rows.next() { groups.insert(GroupReference(queue: name, name: try row.text(0))) }
        return groups
    }
}
