public import Asynq
internal import GRDB

extension SQLiteBroker {
    public func queueNames() async throws -> [String] { try await read { try $0.queueNames() } }

    public func hasQueue(_ queue: String) async throws -> Bool { try await read { try $0.queue(queue) != nil } }

    public func snapshots(of queues: [String]) async throws -> [QueueSnapshot?] {
        try await read { store in try queues.map { try store.snapshot($0) } }
    }

    public func history(of queues: [String], days: Int) async throws -> [[DailyCounts]] {
        let days = min(max(days, 1), 90)
        return try await read { store in try queues.map { try store.history($0, days: days) } }
    }

    public func groups(of queue: String) async throws -> [GroupSize] {
        try await read { store in try store.queue(queue).map { try store.groups($0.id) } ?? [] }
    }

    public func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing {
        try await read { store in
            var listing = TaskListing(tasks: [], total: 0)
            // The total and the page are of one moment: a page may be counted from the end.
            try store.db.inTransaction(.deferred) {
                listing = try store.tasks(selection, offset: offset, limit: limit)
                return .commit
            }
            return listing
        }
    }

    public func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?] {
        try await read { store in try tasks.map { try store.task($0) } }
    }

    public func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>] {
        var results: [Result<TaskState, AsynqError>] = []
        for chunk in tasks.chunks() {
            do {
                results += try await writes.perform(weight: chunk.count) { try $0.move(chunk, move) }
            } catch {
                results += chunk.map { _ in .failure(error) }
            }
        }
        return results
    }

    public func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch {
        let limit = min(max(0, limit), Self.maxTasks)
        return try await writes.perform(weight: limit) { try $0.moveSome(selection, move, limit: limit) }
    }

    public func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws {
        try await writes.perform(weight: 1) { try $0.updatePayload(payload, of: task) }
    }

    public func setPaused(_ isPaused: Bool, of queue: String) async throws {
        try await writes.perform(weight: 1) { try $0.setPaused(isPaused, queue) }
    }

    public func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion {
        let limit = min(max(limit, 1), Self.maxTasks)
        return try await writes.perform(weight: limit) { try $0.deleteQueue(queue, force: force, limit: limit) }
    }

    public func servers() async throws -> [ServerInfo] { try await read { try $0.servers() } }

    public func info() async throws -> BrokerInfo {
        let (name, path) = (name, file.realPath)
        return try await read { try $0.info(address: name, path: path) }
    }
}
