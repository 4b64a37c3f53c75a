/// An aggregator of typed payloads.
///
/// ```swift
/// configuration.groupAggregator = TypedAggregator(Notification.self) { notifications, context in
///     Digest(user: context.group, lines: notifications.map(\.text))
/// }
/// ```
///
/// A task that does not decode, or is of another type, neither holds up its group nor is it lost: it is archived with the
/// reason as its error, and the others are aggregated without it. A group of such tasks alone is archived whole. (A server whose
/// groups hold tasks of several types needs a ``ClosureAggregator`` that tells them apart.)
public struct TypedAggregator<Payload: TaskPayload>: TaskAggregator {
    private let body: @Sendable ([Payload], AggregationContext) async throws -> AsynqTask

    /// - Parameters:
    ///   - type: what the groups hold.
    ///   - body: gets the payloads, oldest first, at least one; returns the payload of the aggregated task, which has the
    ///     options of its own type.
    public init<Aggregated: TaskPayload>(
        _ type: Payload.Type,
        _ body: @escaping @Sendable ([Payload], AggregationContext) async throws -> Aggregated
    ) {
        self.body = { try await body($0, $1).asTask() }
    }

    /// - Parameters:
    ///   - type: what the groups hold.
    ///   - body: gets the payloads, oldest first, at least one; returns the aggregated task, with any options.
    public init(
        _ type: Payload.Type,
        _ body: @escaping @Sendable ([Payload], AggregationContext) async throws -> AsynqTask
    ) {
        self.body = body
    }

    public func aggregate(_ tasks: [AsynqTask], context: AggregationContext) async throws -> AsynqTask {
        var payloads: [Payload] = []
        payloads.reserveCapacity(tasks.count)
        var reasons: [Int: String] = [:]
        for (index, task) in tasks.enumerated() {
            guard task.type == Payload.taskType else {
                reasons[index] =
                    "a task of type \"\(task.type)\" cannot be aggregated with those of type \"\(Payload.taskType)\""
                continue
            }
            do throws(AsynqError) {
                payloads.append(try Payload(decoding: task))
            } catch {
                reasons[index] = error.message
            }
        }
        guard reasons.isEmpty else { throw RejectedTasks(reasons) }
        return try await body(payloads, context)
    }
}
