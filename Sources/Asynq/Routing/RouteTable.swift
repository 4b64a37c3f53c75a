/// The routes of a ``TaskRouter``, without its middleware.
struct RouteTable: TaskHandler {
    private var exact: [String: any TaskHandler] = [:]
    /// The longest pattern first.
    private var byLength: [(pattern: String, handler: any TaskHandler)] = []

    mutating func add(_ pattern: String, _ handler: any TaskHandler) throws(AsynqError) {
        guard !pattern.isBlank else {
            throw AsynqError(.invalidArgument, "the pattern of a handler is blank: give it a task type")
        }
        guard exact[pattern] == nil else {
            throw AsynqError(.invalidArgument, "there is a handler for \"\(pattern)\" already")
        }
        exact[pattern] = handler
        let place = byLength.firstIndex { $0.pattern.utf8.count < pattern.utf8.count } ?? byLength.endIndex
        byLength.insert((pattern, handler), at: place)
    }

    func handler(for type: String) -> (any TaskHandler)? {
        exact[type] ?? byLength.first { type.utf8.starts(with: $0.pattern.utf8) }?.handler
    }

    /// The pattern that a type falls under.
    func pattern(for type: String) -> String? {
        exact[type] != nil ? type : byLength.first { type.utf8.starts(with: $0.pattern.utf8) }?.pattern
    }

    func handle(_ task: AsynqTask, context: TaskContext) async throws {
        guard let handler = handler(for: task.type) else {
            throw AsynqError(
                .handlerNotFound,
                "no handler for tasks of type \"\(task.type)\" is registered on this server"
            )
        }
        try await handler.handle(task, context: context)
    }
}
