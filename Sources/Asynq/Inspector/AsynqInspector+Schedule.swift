extension AsynqInspector {
    // MARK: Periodic tasks

    /// The entries of all schedulers that are running, Go's too, as they were at most 10 s ago. Sorted by the time at which they are next
    /// enqueued; those that never are come last.
    public func schedulerEntries() async throws -> [SchedulerEntry] {
        try await broker.schedulerEntries().sorted { one, other in
            switch (one.nextEnqueueAt, other.nextEnqueueAt) {
            case (let time?, let later?) where time != later: time < later
            case (_?, nil): true
            case (nil, _?): false
            default: (one.spec, one.taskType, one.id) < (other.spec, other.taskType, other.id)
            }
        }
    }

    /// What an entry has enqueued, newest first. The newest 1000 events are kept, also when its scheduler has ended.
    ///
    /// - Parameters:
    ///   - id: of the entry. One that is not known has an empty history.
    ///   - page: from 1. One behind the last is empty.
    ///   - pageSize: how many events make a page. Default: 30.
    /// - Throws: ``AsynqError``, also with code `invalidArgument`.
    public func enqueueEvents(
        ofEntry id: String,
        page: Int = 1,
        pageSize: Int = 30
    ) async throws -> [SchedulerEnqueueEvent] {
        let before = try Self.offset(page: page, size: pageSize, of: "events")
        guard before < ScheduleLimit.events else { return [] }
        return try await broker.enqueueEvents(
            ofEntry: id,
            offset: before,
            limit: min(pageSize, ScheduleLimit.events - before)
        )
    }

    /// How many stand before a page; the largest number if that cannot be counted.
    static func offset(page: Int, size: Int, of what: String) throws -> Int {
        guard page >= 1 else { throw AsynqError(.invalidArgument, "page \(page): pages are counted from 1") }
        guard size >= 1 else { throw AsynqError(.invalidArgument, "a page of \(size) \(what): use at least 1") }
        let (before, isTooFar) = (page - 1).multipliedReportingOverflow(by: size)
        return isTooFar ? .max : before
    }
}
