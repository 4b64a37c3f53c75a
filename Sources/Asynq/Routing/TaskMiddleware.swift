/// Wraps handlers: runs before and after them, may change the task, the error, or not call them at all.
///
/// ```swift
/// struct Timing: TaskMiddleware {
///     func handle(_ task: AsynqTask, context: TaskContext, next: any TaskHandler) async throws {
///         let start = ContinuousClock.now
///         defer { context.logger.info("took \(ContinuousClock.now - start)") }
///         try await next.handle(task, context: context)
///     }
/// }
/// router.use(Timing())
/// ```
public protocol TaskMiddleware: Sendable {
    func handle(_ task: AsynqTask, context: TaskContext, next: any TaskHandler) async throws
}

/// A handler inside a middleware.
struct WrappedHandler: TaskHandler {
    let middleware: any TaskMiddleware
    let next: any TaskHandler

    func handle(_ task: AsynqTask, context: TaskContext) async throws {
        try await middleware.handle(task, context: context, next: next)
    }
}

extension TaskHandler {
    /// This handler inside these middleware, the first outermost.
    func wrapped(in middleware: [any TaskMiddleware]) -> any TaskHandler {
        middleware.reversed().reduce(self as any TaskHandler) { WrappedHandler(middleware: $1, next: $0) }
    }
}
