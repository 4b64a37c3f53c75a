import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What inspectors see and do.
extension MemoryQueue {
    func snapshot(now: Int64) -> QueueSnapshot {
        var snapshot = QueueSnapshot(queue: name, time: Date(unixNanoseconds: now))
        snapshot.pausedAt = pausedAt.map { Date(unixNanoseconds: $0) }
        for task in tasks.values { snapshot[task.state] += 1 }
        snapshot.groups = groupSizes.count
        let today = byDay[now / (86_400 * second)] ?? Counters()
        (snapshot.processedToday, snapshot.failedToday) = (today.processed, today.failed)
        (snapshot.processed, snapshot.failed) = (total.processed, total.failed)
        let oldest = pending.first.flatMap { tasks[$0]?.pendingSince }
        snapshot.latency = .nanoseconds(oldest.map { max(0, now - $0) } ?? 0)
        snapshot.memoryUsage = tasks.values.reduce(0) { sum, task in
            // About what the parts of a task take beside its texts.
            sum + 300 + (task.message.payload?.count ?? 0) + task.message.id.utf8.count + task.message.type.utf8.count
                + (task.result?.count ?? 0)
        }
        return snapshot
    }

    func history(days: Int, now: Int64) -> [DailyCounts] {
        let today = now / (86_400 * second)
        return (0..<Int64(days)).map { ago in
            let counters = byDay[today - ago] ?? Counters()
            return DailyCounts(
                day: Date(timeIntervalSince1970: Double(today - ago) * 86_400),
                processed: counters.processed,
                failed: counters.failed
            )
        }
    }

    var groupSizes: [GroupSize] {
        groups.filter { $0.value.count > 0 }.map { GroupSize(group: $0.key, size: $0.value.count) }
    }

    /// In the order in which they are listed.
    func ids(in state: TaskState, group: String?) -> [String] {
        switch state {
        case .pending: Array(pending)
        case .active: active.sorted { (tasks[$0]?.time ?? 0, $0) < (tasks[$1]?.time ?? 0, $1) }
        case .scheduled, .retry: waiting.ids.filter { tasks[$0]?.state == state }
        case .archived: archived.ids
        case .completed: completed.ids
        case .aggregating: group.flatMap { groups[$0]?.ids } ?? []
        }
    }

    /// - Returns: the state that it was in.
    mutating func move(_ id: String, _ move: TaskMove, now: Int64) -> Result<TaskState, AsynqError> {
        let reference = TaskReference(queue: name, id: id)
        guard let task = tasks[id] else { return .failure(.taskNotFound(reference)) }
        guard move.isAllowed(from: task.state), takeOut(id, task) else {
            return .failure(.cannotMove(reference, move, in: task.state))
        }
        switch move {
        case .run:
            tasks[id]?.state = .pending
            tasks[id]?.pendingSince = now
            pending.append(id)
        case .archive:
            tasks[id]?.state = .archived
            tasks[id]?.pendingSince = nil
            tasks[id]?.time = now
            archived.insert(id, now)
            trimArchive(now)
        case .delete:
            unlock(id)
            tasks[id] = nil
        }
        return .success(task.state)
    }

    /// - Returns: whether it lay where its state says; not if it is being aggregated.
    private mutating func takeOut(_ id: String, _ task: Task) -> Bool {
        switch task.state {
        case .active: return false
        case .pending:
            guard let index = pending.firstIndex(of: id) else { return false }
            pending.remove(at: index)
            return true
        case .scheduled, .retry: return waiting.remove(id, task.time)
        case .archived: return archived.remove(id, task.time)
        case .completed: return completed.remove(id, task.time)
        case .aggregating:
            let group = task.message.group
            guard groups[group]?.remove(id, task.time) == true else { return false }
            if groups[group]?.count == 0 { groups[group] = nil }
            return true
        }
    }

    mutating func updatePayload(_ payload: [UInt8]?, of id: String, now: Int64) throws(AsynqError) {
        let reference = TaskReference(queue: name, id: id)
        guard let task = tasks[id] else { throw .taskNotFound(reference) }
        guard task.state == .scheduled else { throw .cannotUpdate(reference, in: task.state) }
        let old = LockKey(type: task.message.type, payload: task.message.payload)
        let new = LockKey(type: task.message.type, payload: payload)
        if old != new, let lock = locks[old], lock.id == id, lock.end > now {
            if let other = locks[new], other.end > now {
                throw .duplicateTask(type: task.message.type, queue: name)
            }
            locks[old] = nil
            locks[new] = lock
        }
        tasks[id]?.message.payload = payload
    }

    /// Whether a worker may still be running it.
    func isLeased(_ id: String, now: Int64) -> Bool { tasks[id].map { $0.state == .active && $0.time > now } ?? false }
}
