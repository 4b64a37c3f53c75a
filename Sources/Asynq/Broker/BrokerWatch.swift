/// Tells a server, without being polled, that a queue has work, that a due time has changed or that a task is to be
/// cancelled. Everything it says is a hint: a signal may come for nothing, and while ``isLive(for:)`` is false may not come
/// at all; then the server polls.
public protocol BrokerWatch: Sendable {
    /// Whether signals of this queue, one of those that the watch was made for, can be relied upon at the moment.
    func isLive(for queue: String) -> Bool

    /// Asks for one ``BrokerSignal/pending(queue:)`` as soon as the queue has a pending task and is not paused, at
    /// once if that is so already. Returns immediately.
    ///
    /// - Parameters:
    ///   - queue: one of those that the watch was made for.
    ///   - delay: how long to wait before looking; spreads the looks of many idle servers.
    func listenForPending(in queue: String, after delay: Duration)

    /// Asks for one ``BrokerSignal/due(queue:)`` at the next change of the due times of each queue. Returns when changes
    /// from now on will be signalled, or when that is not possible at the moment.
    func listenForDue(in queues: [String]) async

    /// Asks for one ``BrokerSignal/groups(queue:)`` when a group that had no tasks gets some, in each queue. Returns as
    /// ``listenForDue(in:)`` does.
    func listenForGroups(in queues: [String]) async

    /// Asks for one ``BrokerSignal/grown(_:)`` when a task is added to the group, for each group. Returns as
    /// ``listenForDue(in:)`` does.
    func listenForGrowth(of groups: [GroupReference]) async

    /// Ends the watch. No signal comes afterwards.
    func close() async
}

/// What a ``BrokerWatch`` says.
public enum BrokerSignal: Sendable, Hashable {
    /// The queue may have tasks to take.
    case pending(queue: String)
    /// The earliest due time of the queue's scheduled tasks or retries may have changed.
    case due(queue: String)
    /// The queue may have groups that it did not have before.
    case groups(queue: String)
    /// The group may have more tasks.
    case grown(GroupReference)
    /// The handler of this task is to be cancelled.
    case cancel(taskID: String)
    /// The watch is live (again), for one queue at least; what happened before is not known, so look at everything once.
    case live
    /// The watch has lost a connection: poll the queues for which it is not live.
    case lost
}
