/// What a scheduler asks of a broker (spec 1, "Keys"; spec 2, "Scheduler").
///
/// Each entry has a *mark*: the last of its occurrences that has been settled, kept beside the tasks of its queue. An
/// occurrence is enqueued, and the mark moved to it, in one step; an occurrence at or before the mark is refused. So any
/// number of schedulers may try, a scheduler that was paused for hours among them, and each occurrence is enqueued once,
/// whatever became of its task. Deleting a queue deletes its marks: its entries begin anew. The lease only spares schedulers with the same entries from all trying at once.
public protocol ScheduleBroker: Sendable {
    /// Enqueues occurrences of periodic tasks, each at most once, none before its time. Results are in the order of the
    /// occurrences. One whose task is refused, as a duplicate or for its id, is settled all the same.
    func enqueueOccurrences(_ occurrences: [EntryOccurrence]) async -> [Result<OccurrenceOutcome, AsynqError>]

    /// The marks of entries in Unix milliseconds, in the order of the entries. An entry without one is given the current
    /// second: what is to come counts from there.
    func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>]

    /// Takes the lease of a group of schedulers if it is free, and renews it if the holder has it already.
    func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease

    /// Frees the lease if the holder has it.
    func releaseSchedulerLease(_ group: String, holder: String) async throws

    /// Makes the entries of a scheduler visible to inspectors for `ttl`, in place of those written before.
    func writeSchedulerEntries(_ entries: [SchedulerEntry], of scheduler: String, ttl: Duration) async throws

    /// Removes what ``writeSchedulerEntries(_:of:ttl:)`` wrote. Keeps the history of the entries (spec 1, fault 18).
    func clearSchedulerEntries(of scheduler: String) async throws

    /// The entries of all schedulers that are visible.
    func schedulerEntries() async throws -> [SchedulerEntry]

    /// Adds to the histories of entries. The newest 1000 events of each are kept.
    func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws

    /// The history of an entry, newest first. Empty if there is none.
    ///
    /// - Parameters:
    ///   - id: of the entry.
    ///   - offset: how many of the newest to leave out.
    ///   - limit: the most events to return.
    func enqueueEvents(ofEntry id: String, offset: Int, limit: Int) async throws -> [SchedulerEnqueueEvent]
}

/// How much is kept of what schedulers do.
public enum ScheduleLimit {
    /// Events in the history of each entry.
    public static let events = 1000
    /// How long the mark and the history of an entry stay that is not enqueued any more: longer than a year, for yearly
    /// ones.
    public static let age = Duration.days(400)
}
