/// The names of everything in Redis (spec 1, "Keys"). The first half of the contract with Go's asynq.
package enum RedisKeys {
    package static let queues = "asynq:queues"
    package static let servers = "asynq:servers"
    package static let workers = "asynq:workers"
    package static let cancelChannel = "asynq:cancel"
    package static let schedulers = "asynq:schedulers"

    package static func server(_ id: String) -> String { "asynq:servers:{\(id)}" }
    package static func workers(of id: String) -> String { "asynq:workers:{\(id)}" }
    package static func semaphore(_ scope: String) -> String { "asynq:sema:\(scope)" }
    package static func entries(ofScheduler id: String) -> String { "asynq:schedulers:{\(id)}" }
    package static func history(ofEntry id: String) -> String { "asynq:scheduler_history:\(id)" }
    /// Of our own: which of the schedulers with the same entries is at work.
    package static func schedulerLease(_ group: String) -> String { "asynq:scheduler_lease:\(group)" }
}

/// The keys of one queue. Its name stands between braces, so that they share a hash slot.
package final class QueueKeys: Sendable {
    package let queue: String
    /// The beginning of all keys of the queue.
    package let base: String
    package let taskPrefix: String
    package let groupPrefix: String
    package let pending: String
    package let active: String
    package let lease: String
    package let scheduled: String
    package let retry: String
    package let archived: String
    package let completed: String
    package let paused: String
    package let processed: String
    package let failed: String
    package let groups: String
    package let aggregationSets: String
    /// Of our own: group → the Unix second until which it is left alone, because it could not be aggregated.
    package let groupHolds: String
    /// Of our own: task id → exact start time in Unix milliseconds, for tasks due at a fraction of a second.
    package let due: String
    /// Of our own: id of a scheduler's entry → the last of its occurrences that was settled, in Unix milliseconds.
    package let marks: String

    package init(_ queue: String) {
        self.queue = queue
        base = "asynq:{\(queue)}:"
        taskPrefix = base + "t:"
        groupPrefix = base + "g:"
        pending = base + "pending"
        active = base + "active"
        lease = base + "lease"
        scheduled = base + "scheduled"
        retry = base + "retry"
        archived = base + "archived"
        completed = base + "completed"
        paused = base + "paused"
        processed = base + "processed"
        failed = base + "failed"
        groups = base + "groups"
        aggregationSets = base + "aggregation_sets"
        groupHolds = base + "group_holds"
        due = base + "due"
        marks = base + "schedule"
    }

    package func task(_ id: String) -> String { taskPrefix + id }
    package func group(_ name: String) -> String { groupPrefix + name }
}
