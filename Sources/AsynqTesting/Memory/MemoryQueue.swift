import Asynq
import DequeModule

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// One queue of a ``MemoryBroker``: all its tasks and where each lies. A value without I/O; each operation is one
/// transition of spec 1, "Transitions". Times are Unix nanoseconds.
struct MemoryQueue {
    struct Task {
        var message: TaskMessage
        var state: TaskState
        /// Since when it has been pending; only then.
        var pendingSince: Int64?
        /// When its lease ends, it is due, its retention ends, or it was archived or grouped: what the state needs.
        var time: Int64 = 0
        /// Of the last attempt; see ``LeasedTask/leaseMark``.
        var mark: Int64 = 0
        var result: [UInt8]?
    }

    struct LockKey: Hashable {
        let type: String
        let payload: [UInt8]?
    }

    struct Lock {
        let id: String
        let end: Int64
    }

    struct Counters: Hashable {
        var processed = 0
        var failed = 0
    }

    let name: String
    /// Since when.
    var pausedAt: Int64?
    var isPaused: Bool { pausedAt != nil }
    var tasks: [String: Task] = [:]
    /// Oldest first.
    var pending: Deque<String> = []
    var active: Set<String> = []
    /// Scheduled and to be retried.
    var waiting = TimedIDs()
    var completed = TimedIDs()
    var archived = TimedIDs()
    /// By name; none is empty.
    var groups: [String: TimedIDs] = [:]
    /// By id.
    var sets: [String: Staged] = [:]
    /// What sets that have been completed were replaced by.
    var completedSets: [String: (task: String, receipt: EnqueueReceipt)] = [:]
    /// Until when a group is left alone, because it could not be aggregated.
    var groupHolds: [String: Int64] = [:]
    var locks: [LockKey: Lock] = [:]
    var total = Counters()
    /// By day since 1970.
    var byDay: [Int64: Counters] = [:]
    init(name: String) {
        self.name = name
    }

    // MARK: Transitions

    mutating func enqueue(_ request: EnqueueRequest, now: Int64) -> Result<EnqueueReceipt, AsynqError> {
        var message = request.message
        // The id first: a lock taken for a task that is then refused would stay behind.
        guard tasks[message.id] == nil else { return .failure(.taskIDConflict(message.id, queue: name)) }
        let start = max(now, request.start.nanoseconds(now: now))
        if let ttl = request.uniqueFor {
            let key = LockKey(type: message.type, payload: message.payload)
            if let lock = locks[key], lock.end > now {
                return .failure(.duplicateTask(type: message.type, queue: name))
            }
            locks[key] = Lock(id: message.id, end: start.addingClamped(ttl.nanosecondsClamped))
            message.uniqueKey = Self.uniqueKey
        }
        tasks[message.id] = Task(message: message, state: .pending)
        if start > now {
            put(message.id, waitingIn: .scheduled, until: start)
            return .success(EnqueueReceipt(state: .scheduled, nextProcessAt: .init(unixNanoseconds: start)))
        }
        let state = putInQueueOrGroup(message.id, now: now)
        let date = state == .pending ? Date(unixNanoseconds: now) : nil
        return .success(EnqueueReceipt(state: state, nextProcessAt: date))
    }

    mutating func dequeue(_ limit: Int, now: Int64) -> [LeasedTask] {
        guard !isPaused else { return [] }
        var leased: [LeasedTask] = []
        let end = now.addingClamped(LeasedTask.leaseDuration.nanosecondsClamped)
        let mark = Int64.random(in: LeasedTask.leaseMarks)
        while leased.count < limit, let id = pending.popFirst(), var task = tasks[id] {
            leased.append(
                LeasedTask(
                    message: task.message,
                    pendingSince: task.pendingSince,
                    dequeuedAt: now,
                    leaseEnd: Self.leaseEnd(end, mark)
                )
            )
            (task.state, task.pendingSince, task.time, task.mark) = (.active, nil, end, mark)
            tasks[id] = task
            active.insert(id)
        }
        return leased
    }

    mutating func finish(_ request: FinishRequest, now: Int64) -> FinishResult {
        let id = request.task.message.id
        guard let task = tasks[id], task.state == .active else { return .notFound }
        switch request.condition {
        case .isActive: break
        case .isSameAttempt: if task.mark != request.task.leaseMark { return .notFound }
        case .isLeaseExpired: if !isAbandoned(task, now) { return .notFound }
        }
        active.remove(id)
        tasks[id]?.message = request.message(endedAt: now / second)
        tasks[id]?.message.uniqueKey = task.message.uniqueKey
        switch request.outcome {
        case .done, .drop:
            count(now) { $0.processed += 1 }
            unlock(id)
            let retention = task.message.retention
            if retention > 0, request.outcome == .done {
                let end = now.addingClamped(Duration.seconds(retention).nanosecondsClamped)
                tasks[id]?.state = .completed
                tasks[id]?.time = end
                completed.insert(id, end)
            } else {
                tasks[id] = nil
            }
        case .retry(let delay, _, let countsAsFailure):
            if countsAsFailure { countFailure(now) }
            put(id, waitingIn: .retry, until: now.addingClamped(max(.zero, delay).nanosecondsClamped))
        case .archive:
            countFailure(now)
            tasks[id]?.state = .archived
            tasks[id]?.time = now
            archived.insert(id, now)
            trimArchive(now)
        case .requeue:
            tasks[id]?.message = task.message
            pending.prepend(id)
            tasks[id]?.state = .pending
            tasks[id]?.pendingSince = now
        }
        return .finished
    }

    mutating func extendLease(_ task: LeasedTask, now: Int64) -> Bool {
        let id = task.message.id
        guard isRunning(task) else { return false }
        tasks[id]?.time = now.addingClamped(LeasedTask.leaseDuration.nanosecondsClamped)
        return true
    }

    /// - Returns: how many were moved.
    mutating func forward(limit: Int, now: Int64) -> Int {
        var moved = 0
        while moved < limit, let (id, time) = waiting.first, time <= now {
            waiting.remove(id, time)
            _ = putInQueueOrGroup(id, now: now)
            moved += 1
        }
        return moved
    }

    func expiredLeases(limit: Int, now: Int64) -> [LeasedTask] {
        active.lazy.compactMap { tasks[$0] }.filter { isAbandoned($0, now) }.prefix(max(0, limit))
            .map { LeasedTask(message: $0.message, leaseEnd: Self.leaseEnd($0.time, $0.mark)) }
    }

    mutating func deleteExpiredCompleted(limit: Int, now: Int64) -> Int {
        var deleted = 0
        while deleted < limit, let (id, time) = completed.first, time <= now {
            completed.remove(id, time)
            tasks[id] = nil
            deleted += 1
        }
        locks = locks.filter { $0.value.end > now }
        return deleted
    }

    mutating func writeResult(_ result: [UInt8], of task: LeasedTask) -> Bool {
        guard isRunning(task) else { return false }
        tasks[task.message.id]?.result = result
        return true
    }

    // MARK: Parts

    /// The lock is found by the task's type and payload.
    private static let uniqueKey = "unique"

    private mutating func put(_ id: String, waitingIn state: TaskState, until time: Int64) {
        tasks[id]?.state = state
        tasks[id]?.time = time
        waiting.insert(id, time)
    }

    private mutating func putInQueueOrGroup(_ id: String, now: Int64) -> TaskState {
        guard let group = tasks[id]?.message.group else { return .pending }
        if group.isEmpty {
            tasks[id]?.state = .pending
            tasks[id]?.pendingSince = now
            pending.append(id)
            return .pending
        }
        tasks[id]?.state = .aggregating
        tasks[id]?.time = now
        groups[group, default: TimedIDs()].insert(id, now)
        return .aggregating
    }

    /// Whether this attempt is the one that is active.
    private func isRunning(_ task: LeasedTask) -> Bool {
        guard let own = tasks[task.message.id] else { return false }
        return own.state == .active && own.mark == task.leaseMark
    }

    /// In Unix microseconds.
    ///
    /// - Parameter time: in Unix nanoseconds.
    private static func leaseEnd(_ time: Int64, _ mark: Int64) -> Int64 {
        LeasedTask.leaseEnd(mark: mark, now: (time - LeasedTask.leaseDuration.nanosecondsClamped) / 1000)
    }

    private func isAbandoned(_ task: Task, _ now: Int64) -> Bool {
        task.time.addingClamped(LeasedTask.recoveryGrace.nanosecondsClamped) <= now
    }

    /// Frees the task's lock if it still is the task's.
    mutating func unlock(_ id: String) {
        guard let message = tasks[id]?.message, !message.uniqueKey.isEmpty else { return }
        let key = LockKey(type: message.type, payload: message.payload)
        if locks[key]?.id == id { locks[key] = nil }
    }

    mutating func trimArchive(_ now: Int64) {
        let oldest = now - ArchiveLimit.age.nanosecondsClamped
        while let (id, time) = archived.first, archived.count > ArchiveLimit.count || time <= oldest {
            archived.remove(id, time)
            unlock(id)
            tasks[id] = nil
        }
    }

    private mutating func countFailure(_ now: Int64) {
        count(now) {
            $0.processed += 1
            $0.failed += 1
        }
    }

    private mutating func count(_ now: Int64, _ change: (inout Counters) -> Void) {
        change(&total)
        change(&byDay[now / (86_400 * second), default: Counters()])
    }
}
