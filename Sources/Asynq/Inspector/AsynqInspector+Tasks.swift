extension AsynqInspector {
    // MARK: Looking

    /// Tasks in one state, page by page: pending and active ones oldest first, all others in the order of their times (due,
    /// archived, end of retention, added to the group).
    ///
    /// A task that moves while its page is read is left out; it is never shown in a state that it does not have.
    ///
    /// - Parameters:
    ///   - state: any.
    ///   - queue: the queue of the tasks.
    ///   - group: for `aggregating` only: of this group. Default: of all, one after the other.
    ///   - page: from 1. One behind the last is empty.
    ///   - pageSize: how many tasks make a page. Default: 30.
    /// - Throws: ``AsynqError``, also with code `invalidArgument`.
    public func tasks(
        in state: TaskState,
        queue: String,
        group: String? = nil,
        page: Int = 1,
        pageSize: Int = 30
    ) async throws -> TaskPage {
        let before = try Self.offset(page: page, size: pageSize, of: "tasks")
        async let isKnown = broker.hasQueue(queue)
        async let listing = list(state, queue, group, offset: before, limit: pageSize)
        guard try await isKnown else { throw AsynqError.queueNotFound(queue) }
        return TaskPage(page: page, pageSize: pageSize, try await listing)
    }

    /// A task as it is now.
    public func task(_ id: String, queue: String) async throws -> TaskInfo {
        try await tasks([id], queue: queue)[0].get()
    }

    /// Tasks by their ids: one result for each, in order.
    public func tasks(_ ids: [String], queue: String) async throws -> [Result<TaskInfo, AsynqError>] {
        guard !ids.isEmpty else { return [] }
        let references = ids.map { TaskReference(queue: queue, id: $0) }
        let tasks = try await broker.tasks(references)
        if tasks.contains(where: { $0 == nil }), try await !broker.hasQueue(queue) {
            throw AsynqError.queueNotFound(queue)
        }
        return zip(references, tasks).map { reference, task in
            task.map { .success($0) } ?? .failure(.taskNotFound(reference))
        }
    }

    // MARK: Moving

    /// Puts a task at the end of its queue, whatever it waits for: one that is scheduled, in retry, archived or completed.
    /// One that waits in a group leaves it, and runs by itself.
    ///
    /// - Throws: ``AsynqError``, also with code `invalidTaskState`: it is active, pending or being aggregated.
    public func run(_ id: String, queue: String) async throws { try await move(id, queue, .run) }

    /// Archives a task: it is kept, and not run unless somebody asks for it.
    ///
    /// - Throws: ``AsynqError``, also with code `invalidTaskState`: it is active, archived or being aggregated.
    public func archive(_ id: String, queue: String) async throws { try await move(id, queue, .archive) }

    /// Deletes a task, and frees its uniqueness lock.
    ///
    /// - Throws: ``AsynqError``, also with code `invalidTaskState`: it is active or being aggregated.
    public func delete(_ id: String, queue: String) async throws { try await move(id, queue, .delete) }

    /// As ``run(_:queue:)-(String,_)`` for many tasks, with one result for each, in order.
    public func run(_ ids: [String], queue: String) async throws -> [Result<Void, AsynqError>] {
        try await move(ids, queue, .run)
    }

    /// As ``archive(_:queue:)-(String,_)`` for many tasks, with one result for each, in order.
    public func archive(_ ids: [String], queue: String) async throws -> [Result<Void, AsynqError>] {
        try await move(ids, queue, .archive)
    }

    /// As ``delete(_:queue:)-(String,_)`` for many tasks, with one result for each, in order.
    public func delete(_ ids: [String], queue: String) async throws -> [Result<Void, AsynqError>] {
        try await move(ids, queue, .delete)
    }

    /// Gives a scheduled task another payload. A unique task takes the uniqueness of its new payload.
    ///
    /// - Throws: ``AsynqError``, also with code `invalidTaskState`: it is not scheduled; `duplicateTask`: another task
    ///   with this payload holds the lock. Nothing has changed then.
    public func updatePayload(_ payload: [UInt8]?, of id: String, queue: String) async throws {
        do {
            try await broker.updatePayload(payload, of: TaskReference(queue: queue, id: id))
        } catch let error as AsynqError where error.code == .taskNotFound {
            throw try await broker.hasQueue(queue) ? error : AsynqError.queueNotFound(queue)
        }
    }

    /// Gives a scheduled task another typed payload, as ``updatePayload(_:of:queue:)-([UInt8]?,_,_)`` does.
    public func updatePayload<Payload: TaskPayload>(_ payload: Payload, of id: String, queue: String) async throws {
        try await updatePayload(try Payload.coder.encode(payload), of: id, queue: queue)
    }

    /// Asks the server that runs a task to cancel its handler; the task then fails as by any other error. Not an error if
    /// none runs it.
    public func cancel(_ id: String) async throws { try await broker.cancel(taskID: id) }

    /// As ``cancel(_:)-(String)`` for many tasks.
    public func cancel(_ ids: [String]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, id) in ids.enumerated() {
                // So many are on their way at once.
                if index >= 100 { try await group.next() }
                group.addTask { try await broker.cancel(taskID: id) }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Inside

    private func move(_ id: String, _ queue: String, _ move: TaskMove) async throws {
        try await self.move([id], queue, move)[0].get()
    }

    private func move(_ ids: [String], _ queue: String, _ move: TaskMove) async throws -> [Result<Void, AsynqError>] {
        guard !ids.isEmpty else { return [] }
        let results = await broker.move(ids.map { TaskReference(queue: queue, id: $0) }, move)
        let areAllMissing = results.allSatisfy { result in
            if case .failure(let error) = result { error.code == .taskNotFound } else { false }
        }
        if areAllMissing, try await !broker.hasQueue(queue) { throw AsynqError.queueNotFound(queue) }
        return results.map { $0.map { _ in } }
    }

    private func list(
        _ state: TaskState,
        _ queue: String,
        _ group: String?,
        offset: Int,
        limit: Int
    ) async throws -> TaskListing {
        let selections = try await selections(state, queue, group)
        guard selections.count != 1 else {
            return try await broker.tasks(selections[0].selection, offset: offset, limit: limit)
        }
        // All groups, one after the other.
        var listing = TaskListing(tasks: [], total: 0)
        for (selection, size) in selections {
            let start = max(0, offset - listing.total)
            listing.total += size
            let wanted = limit - listing.tasks.count
            if start < size, wanted > 0 {
                listing.tasks += try await broker.tasks(selection, offset: start, limit: wanted).tasks
            }
        }
        return listing
    }

    /// The lists in which the tasks of a state lie, and their sizes where there are several.
    func selections(
        _ state: TaskState,
        _ queue: String,
        _ group: String?
    ) async throws -> [(selection: TaskSelection, size: Int)] {
        guard state == .aggregating else {
            guard group == nil else {
                throw AsynqError(.invalidArgument, "\(state.rawValue) tasks are in no group: leave it out")
            }
            return [(TaskSelection(queue: queue, state: state), 0)]
        }
        if let group { return [(TaskSelection(queue: queue, state: state, group: group), 0)] }
        return try await broker.groups(of: queue).sorted { $0.group < $1.group }.map {
            (TaskSelection(queue: queue, state: state, group: $0.group), $0.size)
        }
    }
}

/// A page of a list of tasks.
public struct TaskPage: Sendable {
    /// Fewer than fit on the page if it is the last, or if some have moved on meanwhile.
    public var tasks: [TaskInfo]
    /// From 1.
    public var page: Int
    public var pageSize: Int
    /// How many tasks the whole list has.
    public var total: Int
    /// How many pages it has.
    public var pageCount: Int { total / pageSize + (total % pageSize > 0 ? 1 : 0) }

    init(page: Int, pageSize: Int, _ listing: TaskListing) {
        self.page = page
        self.pageSize = pageSize
        tasks = listing.tasks
        total = listing.total
    }
}
