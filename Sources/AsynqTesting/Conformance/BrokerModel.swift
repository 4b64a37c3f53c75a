import Asynq

/// What a broker must do, in the simplest form: one list of tasks, searched from end to end. One queue. Times are seconds
/// on the store's clock.
struct BrokerModel {
    struct Task {
        var message: TaskMessage
        var state: TaskState
        /// Order among the pending; the smallest is next.
        var order = 0
        /// When the lease ends, the task is due, or its retention ends.
        var time: Double = 0
        var lockEnd: Double?
        var result: [UInt8]?
    }

    var tasks: [Task] = []
    var isPaused = false
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
                case .pending, .archived, .aggregating: []
                }
            return own + (task.lockEnd.map { [$0] } ?? [])
        }
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
            place(&task)
        }
        tasks.append(task)
        return task.state.rawValue
    }

    private mutating func place(_ task: inout Task) {
        if task.message.group.isEmpty {
            (task.state, task.order) = (.pending, nextOrder)
            nextOrder += 1
        } else {
            task.state = .aggregating
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
        if request.onlyIfLeaseExpired, tasks[index].time + 30 > now { return false }
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
        guard let index = index(id), move.isAllowed(from: tasks[index].state) else { return false }
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
            place(&task)
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
