#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// How a task is queued and run. Of two options that conflict the last one wins; options given at enqueue come
/// after those of the task (spec 2, "Task and options").
public struct TaskOption: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case maxRetry(Int)
        case queue(String)
        case taskID(String)
        case timeout(Duration)
        case deadline(Date)
        case unique(Duration)
        case processAt(Date)
        case processIn(Duration)
        case retention(Duration)
        case group(String)
        case header(String, String)
    }

    let kind: Kind

    /// How often the task is tried again after its first failure before it is archived. Default: 25. A negative
    /// number counts as 0.
    public static func maxRetry(_ count: Int) -> TaskOption { .init(kind: .maxRetry(count)) }

    /// The queue to put the task on. Default: `default`. Must not be blank; any other text is allowed.
    public static func queue(_ name: String) -> TaskOption { .init(kind: .queue(name)) }

    /// The id of the task, instead of a new UUID. Must not be blank. While a task with this id exists in the queue,
    /// another one is refused with ``AsynqError/Code/taskIDConflict``.
    public static func taskID(_ id: String) -> TaskOption { .init(kind: .taskID(id)) }

    /// How long one attempt may take before its handler is cancelled and the attempt counts as failed. Whole
    /// seconds; a fraction is rounded up. Zero: no limit. Default: 30 minutes if no deadline is set either.
    public static func timeout(_ duration: Duration) -> TaskOption { .init(kind: .timeout(duration)) }

    /// The moment after which no attempt may still run. Whole seconds; a fraction is rounded up. With a timeout as
    /// well, the earlier of the two holds.
    public static func deadline(_ date: Date) -> TaskOption { .init(kind: .deadline(date)) }

    /// Refuses the task with ``AsynqError/Code/duplicateTask`` while another with the same type, payload and queue
    /// holds the lock: until that one is done, or for `ttl` (at least 1 s), counted from when it may start.
    public static func unique(for ttl: Duration) -> TaskOption { .init(kind: .unique(ttl)) }

    /// Not before this moment (exact to the millisecond). In the past: now. Of this and ``processIn(_:)`` the last
    /// one wins.
    public static func processAt(_ date: Date) -> TaskOption { .init(kind: .processAt(date)) }

    /// Not before this much time has passed on the broker's clock (exact to the millisecond). Zero or less: now.
    public static func processIn(_ delay: Duration) -> TaskOption { .init(kind: .processIn(delay)) }

    /// Keeps the task and its result this long after it succeeded. Whole seconds; a fraction is rounded up.
    /// Default: 0, it is deleted at once.
    public static func retention(_ duration: Duration) -> TaskOption { .init(kind: .retention(duration)) }

    /// Collects the task in this group of its queue, to be aggregated with others into one task. Must not be blank.
    public static func group(_ name: String) -> TaskOption { .init(kind: .group(name)) }

    /// Adds a header; an earlier one of this name is replaced.
    public static func header(_ name: String, _ value: String) -> TaskOption { .init(kind: .header(name, value)) }
}
