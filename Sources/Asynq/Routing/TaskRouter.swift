/// Sends each task to the handler of its type: the one registered for exactly this type, or else the one with the
/// longest pattern that the type begins with.
///
/// ```swift
/// var router = TaskRouter()
/// router.use(Timing())
/// try router.handle(WelcomeEmail.self) { email, context in … }
/// try router.handle("image:") { task, context in … }            // image:resize, image:crop, …
/// ```
///
/// A task that no pattern matches fails with ``AsynqError/Code/handlerNotFound``, and so is retried: another server
/// may know it, after the next deployment at the latest.
public struct TaskRouter: TaskHandler {
    private var routes = RouteTable()
    private var middleware: [any TaskMiddleware] = []
    private var entry: any TaskHandler = RouteTable()

    public init() {}

    /// Adds middleware around all handlers, those registered before too. The first added is the outermost.
    public mutating func use(_ middleware: any TaskMiddleware...) {
        self.middleware += middleware
        entry = routes.wrapped(in: self.middleware)
    }

    /// Registers a handler for raw tasks.
    ///
    /// - Parameters:
    ///   - pattern: a task type, or the beginning of task types. Not blank.
    ///   - middleware: around this handler only, inside those of the router; the first is the outermost.
    ///   - body: runs a task; what it throws is the outcome (``TaskHandler``).
    /// - Throws: ``AsynqError`` with code `invalidArgument` if the pattern is blank or has a handler already.
    public mutating func handle(
        _ pattern: String,
        middleware: any TaskMiddleware...,
        with body: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void
    ) throws(AsynqError) {
        try register(pattern, ClosureHandler(body).wrapped(in: middleware))
    }

    /// Registers a handler object.
    ///
    /// - Throws: ``AsynqError`` with code `invalidArgument` if the pattern is blank or has a handler already.
    public mutating func handle(
        _ pattern: String,
        middleware: any TaskMiddleware...,
        with handler: any TaskHandler
    ) throws(AsynqError) {
        try register(pattern, handler.wrapped(in: middleware))
    }

    /// Registers a handler for a typed payload. A payload that does not decode is archived at once.
    ///
    /// - Throws: ``AsynqError`` with code `invalidArgument` if the payload's task type is blank or has a handler
    ///   already.
    public mutating func handle<Payload: TaskPayload>(
        _ type: Payload.Type,
        middleware: any TaskMiddleware...,
        with body: @escaping @Sendable (Payload, TaskContext) async throws -> Void
    ) throws(AsynqError) {
        let handler = ClosureHandler { task, context in
            try await body(try Payload(decoding: task), context)
        }
        try register(Payload.taskType, handler.wrapped(in: middleware))
    }

    public func handle(_ task: AsynqTask, context: TaskContext) async throws {
        try await entry.handle(task, context: context)
    }

    /// The pattern that a type falls under; `nil` if there is none.
    func pattern(for type: String) -> String? { routes.pattern(for: type) }

    private mutating func register(_ pattern: String, _ handler: any TaskHandler) throws(AsynqError) {
        try routes.add(pattern, handler)
        entry = routes.wrapped(in: middleware)
    }
}
