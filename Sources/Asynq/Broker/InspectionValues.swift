/// Tasks of a queue that are in one state.
public struct TaskSelection: Sendable, Hashable {
    public var queue: String
    public var state: TaskState
    /// Of which group; always and only for `aggregating`.
    public var group: String?

    public init(queue: String, state: TaskState, group: String? = nil) {
        self.queue = queue
        self.state = state
        self.group = group
    }
}

/// What can be done to a task by hand.
public enum TaskMove: String, Sendable, Hashable, CaseIterable {
    /// To pending, next after those that wait. Whatever its group: it is not aggregated.
    case run
    /// To the archive.
    case archive
    /// Gone, with its result and its uniqueness lock.
    case delete

    /// The states from which all tasks can be moved at once.
    public var bulkStates: Set<TaskState> {
        switch self {
        case .run: [.scheduled, .retry, .archived, .aggregating]
        case .archive: [.pending, .scheduled, .retry, .aggregating]
        case .delete: [.pending, .scheduled, .retry, .archived, .completed, .aggregating]
        }
    }

    /// Whether one task can be moved from this state: not while it is active, and not to where it is.
    public func isAllowed(from state: TaskState) -> Bool {
        switch (self, state) {
        case (_, .active), (.run, .pending), (.archive, .archived): false
        default: true
        }
    }
}

/// Tasks of one state, and how many there are.
public struct TaskListing: Sendable {
    public var tasks: [TaskInfo]
    /// How many tasks are in this state, and group.
    public var total: Int

    public init(tasks: [TaskInfo], total: Int) {
        self.tasks = tasks
        self.total = total
    }
}

/// What a step of a bulk operation did.
public struct MoveBatch: Sendable, Hashable {
    /// How many tasks were moved.
    public var moved: Int
    /// How many are still in the state, and group.
    public var remaining: Int

    public init(moved: Int, remaining: Int) {
        self.moved = moved
        self.remaining = remaining
    }
}

/// What a step of the deletion of a queue did.
public struct QueueDeletion: Sendable, Hashable {
    /// How many tasks were deleted.
    public var deleted: Int
    /// How many tasks are left.
    public var remaining: Int
    /// Whether nothing is left of the queue.
    public var isDone: Bool

    public init(deleted: Int, remaining: Int, isDone: Bool) {
        self.deleted = deleted
        self.remaining = remaining
        self.isDone = isDone
    }
}
