/// Runs handlers only while they hold a place in a semaphore: of a whole router, or of one pattern.
///
/// ```swift
/// let semaphore = try AsynqSemaphore(broker, scope: "payments-api", limit: 5)
/// router.use(SemaphoreMiddleware(semaphore))                                     // all tasks of this router
/// try router.handle("report:", middleware: SemaphoreMiddleware(reports)) { … }   // reports only
/// ```
///
/// A task that gets no place is tried again after ``retryAfter``. That is no failure: it uses up no retry and is not
/// counted, and neither `isFailure`, `retryDelay` nor the error handler of the server are asked. What runs out
/// meanwhile is the task's deadline, if it has one.
public struct SemaphoreMiddleware: TaskMiddleware {
    public var semaphore: AsynqSemaphore
    /// After which time a task is tried again when all places are taken; up to half as much is added at random.
    /// Default: 1 s.
    public var retryAfter: Duration
    /// How long a place is held at most. Needed for tasks without timeout and deadline. Default: until the attempt's
    /// deadline.
    public var duration: Duration?

    public init(_ semaphore: AsynqSemaphore, retryAfter: Duration = .seconds(1), for duration: Duration? = nil) {
        self.semaphore = semaphore
        self.retryAfter = retryAfter
        self.duration = duration
    }

    public func handle(_ task: AsynqTask, context: TaskContext, next: any TaskHandler) async throws {
        try await semaphore.withPermit(context, for: duration, retryAfter: retryAfter) {
            try await next.handle(task, context: context)
        }
    }
}
