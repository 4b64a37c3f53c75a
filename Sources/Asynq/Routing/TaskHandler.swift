/// Runs tasks. ``TaskRouter`` is one; a closure becomes one with ``ClosureHandler``.
///
/// Returning means the task is done. Throwing means it failed: it is tried again later, or archived when its retries
/// are used up. ``AsynqError/skipRetry(_:cause:)`` archives it at once, ``AsynqError/revokeTask(_:cause:)`` drops it.
///
/// The handler's Swift task is cancelled when the timeout or deadline passes, when somebody cancels the task, when the
/// lease is lost and when the server's shutdown time-out is over. What it returns or throws after that no longer
/// counts as success. A handler may run more than once for one task (at-least-once), so make it idempotent.
public protocol TaskHandler: Sendable {
    func handle(_ task: AsynqTask, context: TaskContext) async throws
}

/// A handler made of a closure.
public struct ClosureHandler: TaskHandler {
    private let body: @Sendable (AsynqTask, TaskContext) async throws -> Void

    public init(_ body: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void) {
        self.body = body
    }

    public func handle(_ task: AsynqTask, context: TaskContext) async throws {
        try await body(task, context)
    }
}
