/// Where a task stands. A task is in exactly one state at a time (spec 1, "Transitions").
public enum TaskState: String, Sendable, Hashable, CaseIterable, Codable {
    /// A worker is running it.
    case active
    /// Waiting in its queue for a free worker.
    case pending
    /// Waiting for its process-at time.
    case scheduled
    /// Failed, and waiting for its next attempt.
    case retry
    /// Given up: out of retries, or skipped. Kept for 90 days, or until somebody runs or deletes it.
    case archived
    /// Done, and kept for its retention time.
    case completed
    /// Waiting in a group to be aggregated with others.
    case aggregating
}
