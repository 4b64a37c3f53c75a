import Asynq

/// What a broker must do, in the simplest form: one list of tasks, searched from end to end. One queue. Times are seconds
/// on the store's clock.
struct BrokerModel {
    struct Task {
        var message: TaskMessage
        var state: TaskState
        /// Order among the pending; the smallest is next.
        var order = 0
        /// When the lease ends, the task is due, its retention ends, or it came into its group.
        var time: Double = 0
        var lockEnd: Double?
        /// The set that it is staged in.
        var set: String?
        var result: [UInt8]?
    }

    var tasks: [Task] = []
    var isPaused = false
    /// When each set that has not ended is stale.
    var sets: [String: Double] = [:]
    /// The tasks that sets were replaced by.
    var replaced: [String: String] = [:]
    var processed = 0
    var failed = 0
    private var nextOrder = 0
    private var frontOrder = -1

    var pending: [String] {
        tasks.filter { $0.state == .pending }.sorted { $0.order < $1.order }.map(\.message.id)
    }

    /// The times at which something changes by itself.
    var moments: [Double] {
        tasks.flatMap { task -> [Double] in
            let own: [Double] =
                switch task.state {
                case .active: [task.time, task.time + 30]
                case .scheduled, .retry, .completed: [task.time]
                case .aggregating:
                    task.set == nil ? [task.time + Self.policy.grace, task.time + Self.policy.delay] : []
                case .pending, .archived: []
                }
            return own + (task.lockEnd.map { [$0] } ?? [])
        } + sets.values
    }

    func index(_ id: String) -> Int? { tasks.firstIndex { $0.message.id == id } }

    /// Returns the expected state, or error.
    mutating func enqueue(_ request: EnqueueRequest, now: Double) -> String {
        if index(request.message.id) != nil { return "taskIDConflict" }
        var task = Task(message: request.message, state: .pending)
        var start = now
        if case .after(let milliseconds) = request.start { start += Double(milliseconds) / 1000 }
        if let ttl = request.uniqueFor {
            let equal = tasks.indices.filter {
                tasks[$0].message.type == request.message.type && tasks[$0].message.payload == request.message.payload
            }
            if equal.contains(where: { (tasks[$0].lockEnd ?? 0) > now }) { return "duplicateTask" }
            for index in equal { tasks[index].lockEnd = nil }
            task.lockEnd = start + Double(ttl.components.seconds)
        }
        if start > now {
            (task.state, task.time) = (.scheduled, start)
        } else {
            place(&task, now)
        }
        tasks.append(task)
        return task.state.rawValue
    }

    private mutating func place(_ task: inout Task, _ now: Double) {
        if task.message.group.isEmpty {
            (task.state, task.order) = (.pending, nextOrder)
            nextOrder += 1
        } else {
            (task.state, task.time) = (.aggregating, now)
        }
    }

    mutating func dequeue(_ limit: Int, now: Double) -> [String] {
        let ids = isPaused ? [] : Array(pending.prefix(limit))
        for id in ids {
            guard let index = index(id) else { continue }
            (tasks[index].state, tasks[index].time) = (.active, now + 30)
        }
        return ids
    }

    /// Returns whether the task was active.
    mutating func finish(_ request: FinishRequest, now: Double) -> Bool {
        guard let index = index(request.task.message.id), tasks[index].state == .active else { return false }
        if request.condition == .isLeaseExpired, tasks[index].time + 30 > now { return false }
        var message = request.task.message
        switch request.outcome {
        case .done, .drop:
            processed += 1
            tasks[index].lockEnd = nil
            guard message.retention > 0, request.outcome == .done else {
                tasks.remove(at: index)
                return true
            }
            (tasks[index].state, tasks[index].time) = (.completed, now + Double(message.retention))
        case .retry(let delay, let error, let countsAsFailure):
            message.errorMessage = error
            if countsAsFailure {
                message.retried += 1
                processed += 1
                failed += 1
            }
            (tasks[index].state, tasks[index].time) = (.retry, now + Double(delay.components.seconds))
        case .archive(let error):
            message.errorMessage = error
            processed += 1
            failed += 1
            tasks[index].state = .archived
        case .requeue:
            (tasks[index].state, tasks[index].order) = (.pending, frontOrder)
            frontOrder -= 1
            return true
        }
        tasks[index].message = message
        return true
    }

    /// Returns whether the task could be moved.
    mutating func move(_ id: String, _ move: TaskMove, now: Double) -> Bool {
        // One that is being aggregated is left alone.
        guard let index = index(id), tasks[index].set == nil, move.isAllowed(from: tasks[index].state) else {
            return false
        }
        switch move {
        case .run:
            (tasks[index].state, tasks[index].order) = (.pending, nextOrder)
            nextOrder += 1
        case .archive: tasks[index].state = .archived
        case .delete: tasks.remove(at: index)
        }
        return true
    }

    mutating func extend(_ id: String, now: Double) -> Bool {
        guard let index = index(id), tasks[index].state == .active else { return false }
        tasks[index].time = now + 30
        return true
    }

    /// Moves all that is due.
    mutating func forward(now: Double) {
        let due = tasks.indices.filter {
            (tasks[$0].state == .scheduled || tasks[$0].state == .retry) && tasks[$0].time <= now
        }
        for index in due {
            var task = tasks[index]
            place(&task, now)
            tasks[index] = task
        }
    }

    /// Takes over the order that the store has given to these.
    mutating func reorder(_ ids: [String], as pending: [String]) {
        let orders = ids.compactMap(index).filter { tasks[$0].state == .pending }.map { tasks[$0].order }.sorted()
        let places = pending.filter(ids.contains)
        for (id, order) in zip(places, orders) {
            if let index = index(id) { tasks[index].order = order }
        }
    }

    func expired(now: Double) -> Set<String> {
        Set(tasks.filter { $0.state == .active && $0.time + 30 <= now }.map(\.message.id))
    }

    mutating func deleteExpiredCompleted(now: Double) -> Int {
        let count = tasks.count
        tasks.removeAll { $0.state == .completed && $0.time <= now }
        return count - tasks.count
    }

    mutating func writeResult(_ result: [UInt8], of id: String) -> Bool {
        guard let index = index(id), tasks[index].state == .active else { return false }
        tasks[index].result = result
        return true
    }
}

/// Groups: all tasks with one are in the same.
extension BrokerModel {
    /// Seconds, and tasks.
    static let policy = (grace: 15.0, delay: 40.0, size: 4)

    private var grouped: [Task] { tasks.filter { $0.state == .aggregating && $0.set == nil } }

    /// Whether the group is ready; `nil` if it has no tasks.
    func isGroupReady(now: Double) -> Bool? {
        let times = grouped.map(\.time)
        guard let oldest = times.min(), let newest = times.max() else { return nil }
        return times.count >= Self.policy.size || newest + Self.policy.grace <= now || oldest + Self.policy.delay <= now
    }

    /// Whether these tasks may be staged: the oldest ones, where those of one second have no order.
    func areOldest(_ ids: [String]) -> Bool {
        let rest = grouped.filter { !ids.contains($0.message.id) }.map(\.time).min() ?? .infinity
        let taken = grouped.filter { ids.contains($0.message.id) }.map(\.time)
        return taken.count == min(Self.policy.size, grouped.count) && taken.allSatisfy { $0 <= rest + 1 }
    }

    mutating func stage(_ ids: [String], as set: String, now: Double) {
        for id in ids { if let index = index(id) { tasks[index].set = set } }
        sets[set] = now + 120
    }

    /// Returns the expected state, or error.
    mutating func complete(_ set: String, _ request: EnqueueRequest, now: Double) -> String {
        guard sets[set] != nil else { return "leaseExpired" }
        let before = self
        tasks.removeAll { $0.set == set }
        sets[set] = nil
        let result = enqueue(request, now: now)
        if result == "taskIDConflict" || result == "duplicateTask" {
            self = before
        } else {
            replaced[set] = request.message.id
        }
        return result
    }

    mutating func release(_ set: String) {
        for index in tasks.indices where tasks[index].set == set { tasks[index].set = nil }
        sets[set] = nil
    }

    mutating func extend(set: String, now: Double) -> Bool {
        guard sets[set] != nil else { return false }
        sets[set] = now + 120
        return true
    }

    /// Returns how many tasks are in their group again.
    mutating func reclaim(now: Double) -> Int {
        let stale = sets.filter { $0.value <= now }.keys
        let count = tasks.count { task in task.set.map(stale.contains) ?? false }
        for set in stale { release(set) }
        return count
    }
}
