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
    public static func taskNotRunning(_ task: TaskReference) -> AsynqError {
        AsynqError(
            .taskNotFound,
            "task \"\(task.id)\" is not running in queue \"\(task.queue)\" any more, so it can have no result"
        )
    }
}
