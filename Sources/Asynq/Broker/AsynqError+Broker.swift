/// The errors that every broker words alike.
extension AsynqError {
    /// A task with this id exists.
    public static func taskIDConflict(_ id: String, queue: String) -> AsynqError {
        AsynqError(.taskIDConflict, "a task with the id \"\(id)\" exists in queue \"\(queue)\" already")
    }

    /// An equal task holds the uniqueness lock.
    public static func duplicateTask(type: String, queue: String) -> AsynqError {
        AsynqError(
            .duplicateTask,
            "a task of type \"\(type)\" with the same payload is in queue \"\(queue)\" already"
        )
    }

    /// A result for a task that nobody runs.
    public static func taskNotRunning(_ task: LeasedTask) -> AsynqError {
        AsynqError(
            .taskNotFound,
            "task \"\(task.message.id)\" is not running in queue \"\(task.message.queue)\" any more, so it can have no result"
        )
    }

    /// A queue that has never been used, or was deleted.
    public static func queueNotFound(_ queue: String) -> AsynqError {
        AsynqError(.queueNotFound, "there is no queue \"\(queue)\"")
    }

    /// A task that is not there (any more).
    public static func taskNotFound(_ task: TaskReference) -> AsynqError {
        AsynqError(.taskNotFound, "there is no task \"\(task.id)\" in queue \"\(task.queue)\"")
    }

    /// A move that the task's state does not allow.
    ///
    /// - Parameters:
    ///   - task: the task that was to be moved.
    ///   - move: what was asked for.
    ///   - state: `aggregating` for one that is being aggregated at the moment.
    public static func cannotMove(_ task: TaskReference, _ move: TaskMove, in state: TaskState) -> AsynqError {
        let reason =
            switch state {
            case .active: "it is running: cancel it first, and wait until its handler has ended"
            case .aggregating: "it is being aggregated: wait until that has ended"
            case .pending, .scheduled, .retry, .archived, .completed: "it is \(state.rawValue) already"
            }
        return AsynqError(
            .invalidTaskState,
            "cannot \(move.rawValue) task \"\(task.id)\" in queue \"\(task.queue)\": \(reason)"
        )
    }

    /// A new payload for a task that no longer waits for its time.
    public static func cannotUpdate(_ task: TaskReference, in state: TaskState) -> AsynqError {
        AsynqError(
            .invalidTaskState,
            "cannot update task \"\(task.id)\" in queue \"\(task.queue)\": it is \(state.rawValue), and only a "
                + "scheduled task can be given another payload"
        )
    }

    /// A queue that cannot be deleted.
    ///
    /// - Parameters:
    ///   - queue: its name.
    ///   - size: how many tasks it holds, in all states.
    ///   - active: how many of them are running.
    public static func queueNotEmpty(_ queue: String, size: Int, active: Int) -> AsynqError {
        AsynqError(
            .queueNotEmpty,
            active > 0
                ? "queue \"\(queue)\" has \(active) active tasks: pause it and wait until they have ended"
                : "queue \"\(queue)\" holds \(size) tasks: delete them first, or use force"
        )
    }
}
