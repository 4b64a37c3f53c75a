public import Asynq
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MemoryBroker {
    public func queueNames() async throws -> [String] {
        try check()
        return read { state, _ in Array(state.queues.keys) }
    }

    public func hasQueue(_ queue: String) async throws -> Bool {
        try check()
        return read { state, _ in state.queues[queue] != nil }
    }

    public func snapshots(of queues: [String]) async throws -> [QueueSnapshot?] {
        try check()
        return read { state, now in queues.map { state.queues[$0]?.snapshot(now: now) } }
    }

    public func history(of queues: [String], days: Int) async throws -> [[DailyCounts]] {
        try check()
        return read { state, now in
            queues.map { (state.queues[$0] ?? MemoryQueue(name: $0)).history(days: min(max(days, 1), 90), now: now) }
        }
    }

    public func groups(of queue: String) async throws -> [GroupSize] {
        try check()
        return read { state, _ in state.queues[queue]?.groupSizes ?? [] }
    }

    public func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing {
        try check()
        return read { state, now in
            guard let queue = state.queues[selection.queue] else { return TaskListing(tasks: [], total: 0) }
            let ids = queue.ids(in: selection.state, group: selection.group)
            let tasks = ids.dropFirst(max(0, offset)).prefix(max(0, limit)).compactMap { queue.tasks[$0] }
            return TaskListing(tasks: tasks.map { TaskInfo($0, now: now) }, total: ids.count)
        }
    }

    public func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?] {
        try check()
        return read { state, now in
            tasks.map { state.queues[$0.queue]?.tasks[$0.id].map { TaskInfo($0, now: now) } }
        }
    }

    public func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>] {
        change { state, now in
            tasks.map { task -> Result<TaskState, AsynqError> in
                guard !isShutDown.load(ordering: .relaxed) else { return .failure(Self.closed) }
                return state.queues[task.queue]?.move(task.id, move, now: now) ?? .failure(.taskNotFound(task))
            }
        }
    }

    public func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch {
        try check()
        return change { state, now in
            let ids = state.queues[selection.queue]?.ids(in: selection.state, group: selection.group) ?? []
            var moved = 0
            for id in ids.prefix(max(0, limit)) {
                if case .success? = state.queues[selection.queue]?.move(id, move, now: now) { moved += 1 }
            }
            return MoveBatch(moved: moved, remaining: ids.count - moved)
        }
    }

    public func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws {
        try check()
        try change { state, now -> Result<Void, AsynqError> in
            guard state.queues[task.queue] != nil else { return .failure(.taskNotFound(task)) }
            return Result { () throws(AsynqError) in
                try state.queues[task.queue]?.updatePayload(payload, of: task.id, now: now)
            }
        }.get()
    }

    public func setPaused(_ isPaused: Bool, of queue: String) async throws {
        try check()
        change { state, now in state.setPaused(isPaused, queue, now) }
    }

    public func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion {
        try check()
        return try change { state, now -> Result<QueueDeletion, AsynqError> in
            guard let content = state.queues[queue] else { return .failure(.queueNotFound(queue)) }
            let count = content.tasks.count
            let leased = content.active.count { content.isLeased($0, now: now) }
            if leased > 0 || (count > 0 && !force) {
                return .failure(.queueNotEmpty(queue, size: count, active: leased))
            }
            state.queues[queue] = nil
            state.schedule.marks = state.schedule.marks.filter { $0.key.queue != queue }
            return .success(QueueDeletion(deleted: count, remaining: 0, isDone: true))
        }.get()
    }

    public func servers() async throws -> [ServerInfo] {
        try check()
        return read { state, now in
            state.servers.values.filter { $0.end > now }.map { ServerInfo($0.state) }
        }
    }

    public func info() async throws -> BrokerInfo {
        try check()
        return read { state, _ in
            let tasks = state.queues.values.reduce(0) { $0 + $1.tasks.count }
            return BrokerInfo(
                kind: "memory",
                address: name,
                version: "1",
                sections: [
                    .init("Memory", [.init("queues", "\(state.queues.count)"), .init("tasks", "\(tasks)")])
                ]
            )
        }
    }
}

extension MemoryBroker.State {
    mutating func setPaused(_ isPaused: Bool, _ queue: String, _ now: Int64) {
        guard isPaused != (queues[queue]?.isPaused ?? false) else { return }
        queues[queue, default: MemoryQueue(name: queue)].pausedAt = isPaused ? now : nil
    }
}
