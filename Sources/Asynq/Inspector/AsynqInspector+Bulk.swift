/// Operations on all tasks of a state.
///
/// They go step by step, so that servers and clients work on meanwhile, and each task for itself: cancelling the caller
/// stops between two steps, and what was done stays done. All tasks that are there at the beginning are moved unless
/// somebody else moves them first; of those that come meanwhile some may be.
extension AsynqInspector {
    /// Puts all tasks of a state at the end of their queue.
    ///
    /// - Parameters:
    ///   - state: `scheduled`, `retry`, `archived` or `aggregating`.
    ///   - queue: the queue of the tasks.
    ///   - group: for `aggregating` only: those of this group. Default: those of all.
    ///   - progress: told after each step.
    /// - Returns: how many were moved.
    /// - Throws: ``AsynqError``, also with code `invalidArgument`: of these states no task, or not all at once, can be run.
    @discardableResult
    public func runAll(
        _ state: TaskState,
        queue: String,
        group: String? = nil,
        progress: BulkProgress.Handler? = nil
    ) async throws -> Int {
        try await moveAll(.run, state, queue, group, progress)
    }

    /// Archives all tasks of a state. An archive holds 10 000 tasks: of more only the last are kept.
    ///
    /// - Parameters:
    ///   - state: `pending`, `scheduled`, `retry` or `aggregating`.
    ///   - queue: the queue of the tasks.
    ///   - group: for `aggregating` only: those of this group. Default: those of all.
    ///   - progress: told after each step.
    /// - Returns: how many were moved.
    @discardableResult
    public func archiveAll(
        _ state: TaskState,
        queue: String,
        group: String? = nil,
        progress: BulkProgress.Handler? = nil
    ) async throws -> Int {
        try await moveAll(.archive, state, queue, group, progress)
    }

    /// Deletes all tasks of a state, and frees their uniqueness locks.
    ///
    /// - Parameters:
    ///   - state: any but `active`.
    ///   - queue: the queue of the tasks.
    ///   - group: for `aggregating` only: those of this group. Default: those of all.
    ///   - progress: told after each step.
    /// - Returns: how many were deleted.
    @discardableResult
    public func deleteAll(
        _ state: TaskState,
        queue: String,
        group: String? = nil,
        progress: BulkProgress.Handler? = nil
    ) async throws -> Int {
        try await moveAll(.delete, state, queue, group, progress)
    }

    /// Asks the servers to cancel the handlers of all tasks of a queue that are active now.
    ///
    /// - Returns: for how many it was asked.
    @discardableResult
    public func cancelAll(queue: String) async throws -> Int {
        // All ids first: a task that ends meanwhile must not shift others out of the next page.
        var ids: Set<String> = []
        for page in 1... {
            let tasks = try await tasks(in: .active, queue: queue, page: page, pageSize: Self.step)
            ids.formUnion(tasks.tasks.map(\.id))
            if page >= tasks.pageCount { break }
        }
        try await cancel(Array(ids))
        return ids.count
    }

    private func moveAll(
        _ move: TaskMove,
        _ state: TaskState,
        _ queue: String,
        _ group: String?,
        _ progress: BulkProgress.Handler?
    ) async throws -> Int {
        guard move.bulkStates.contains(state) else {
            let states = move.bulkStates.map(\.rawValue).sorted().joined(separator: ", ")
            throw AsynqError(
                .invalidArgument,
                "cannot \(move.rawValue) all \(state.rawValue) tasks: only those of \(states)"
            )
        }
        let selections = try await selections(state, queue, group)
        guard try await broker.hasQueue(queue) else { throw AsynqError.queueNotFound(queue) }
        var done = 0
        for (index, (selection, _)) in selections.enumerated() {
            // In these lists new tasks come last, so that one round takes all that were there.
            let isInOrder = state == .pending || state == .archived || state == .aggregating
            var rounds = BulkRounds(limit: isInOrder ? 1 : .max)
            rounds.begin(with: try await broker.tasks(selection, offset: 0, limit: 0).total)
            let later = selections[(index + 1)...].reduce(0) { $0 + $1.size }
            while rounds.left > 0 {
                try Task.checkCancellation()
                let step = try await broker.moveSome(selection, move, limit: min(Self.step, rounds.left))
                done += step.moved
                progress?(BulkProgress(done: done, remaining: step.remaining + later))
                guard rounds.isToGoOn(after: step.moved, remaining: step.remaining) else { break }
            }
        }
        return done
    }
}

/// How far a bulk operation has come.
public struct BulkProgress: Sendable, Hashable {
    /// Called from the task that does the work; what it does holds up the next step.
    public typealias Handler = @Sendable (BulkProgress) -> Void

    /// How many tasks were moved or deleted.
    public var done: Int
    /// How many are left, about: others come and go meanwhile.
    public var remaining: Int

    init(done: Int, remaining: Int) {
        self.done = done
        self.remaining = remaining
    }
}
