public import Logging

/// Makes one task of the tasks of a group (``TaskOption/group(_:)``): many notifications become one digest, many writes
/// one batch. It is given to a server as its ``AsynqServer/Configuration/groupAggregator``.
///
/// Returning a task replaces those of the group by it, in their queue, in one step. Throwing leaves the group as it was; it is
/// tried again after a while. It may run more than once for the same tasks (at-least-once), so it should do nothing
/// else than to make the task. It runs for several groups at once, for each of them one call after the other.
///
/// The aggregator's Swift task is cancelled when its time-out or the server's shutdown comes, and when another server has taken
/// over the tasks. What it returns after that is not used.
///
/// See ``ClosureAggregator`` and, for Codable payloads, ``TypedAggregator``.
public protocol TaskAggregator: Sendable {
    /// - Parameters:
    ///   - tasks: type, payload and headers of the group's tasks, oldest first. At least one.
    ///   - context: the group, its queue and a logger.
    /// - Returns: the aggregated task. Its options count as at enqueue; the queue is that of the group, whatever they say. It
    ///   may be in another group, but not in the same one.
    /// - Throws: anything; ``RejectedTasks`` to have some of the tasks archived and the others aggregated.
    func aggregate(_ tasks: [AsynqTask], context: AggregationContext) async throws -> AsynqTask
}

/// What an aggregator knows of the tasks that it is given.
public struct AggregationContext: Sendable {
    /// The name of the group.
    public let group: String
    /// The queue of the group, and of the aggregated task.
    public let queue: String
    /// The ids of the tasks, in their order.
    public let taskIDs: [String]
    /// The server's logger with group and queue as metadata.
    public let logger: Logger

    package init(group: String, queue: String, taskIDs: [String], logger: Logger) {
        self.group = group
        self.queue = queue
        self.taskIDs = taskIDs
        var logger = logger
        logger[metadataKey: "group"] = "\(group)"
        logger[metadataKey: "queue"] = "\(queue)"
        self.logger = logger
    }
}

/// An aggregator made of a closure.
///
/// ```swift
/// configuration.groupAggregator = ClosureAggregator { tasks, context in
///     AsynqTask("digest", payload: Array("\(tasks.count) for \(context.group)".utf8))
/// }
/// ```
public struct ClosureAggregator: TaskAggregator {
    private let body: @Sendable ([AsynqTask], AggregationContext) async throws -> AsynqTask

    public init(_ body: @escaping @Sendable ([AsynqTask], AggregationContext) async throws -> AsynqTask) {
        self.body = body
    }

    public func aggregate(_ tasks: [AsynqTask], context: AggregationContext) async throws -> AsynqTask {
        try await body(tasks, context)
    }
}

/// To be thrown by an aggregator: these tasks will never be aggregated. They go to the archive, where they can be looked at,
/// and the aggregator is called again with the others.
public struct RejectedTasks: Error, CustomStringConvertible {
    /// What is wrong with each, by its place among the tasks, from 0. Stored with the task as its error, so without
    /// private data.
    public var reasons: [Int: String]

    public init(_ reasons: [Int: String]) {
        self.reasons = reasons
    }

    public var description: String { "\(reasons.count) tasks cannot be aggregated" }
}
