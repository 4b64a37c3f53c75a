public import Asynq

extension SQLiteBroker {
    public func enqueueOccurrences(
        _ occurrences: [EntryOccurrence]
    ) async -> [Result<OccurrenceOutcome, AsynqError>] {
        var results: [Result<OccurrenceOutcome, AsynqError>] = []
        for chunk in occurrences.chunks() {
            do {
                results += try await writes.perform(weight: chunk.count) { try $0.enqueue(chunk) }
            } catch {
                results += chunk.map { _ in .failure(error) }
            }
        }
        return results
    }

    public func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] {
        var results: [Result<Int64, AsynqError>] = []
        for chunk in entries.chunks() {
            do {
                results += try await writes.perform(weight: chunk.count) { store in
                    try chunk.map { .success(try store.markOrNow($0)) }
                }
            } catch {
                results += chunk.map { _ in .failure(error) }
            }
        }
        return results
    }

    public func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        try await writes.perform(weight: 1) { try $0.holdSchedulerLease(group, holder: holder, ttl: ttl) }
    }

    public func releaseSchedulerLease(_ group: String, holder: String) async throws {
        try await writes.perform(weight: 1) { try $0.releaseSchedulerLease(group, holder: holder) }
    }

    public func writeSchedulerEntries(
        _ entries: [SchedulerEntry],
        of scheduler: String,
        ttl: Duration
    ) async throws {
        guard !entries.isEmpty else { return try await clearSchedulerEntries(of: scheduler) }
        try await writes.perform(weight: 1) { try $0.writeSchedulerEntries(entries, of: scheduler, ttl: ttl) }
    }

    public func clearSchedulerEntries(of scheduler: String) async throws {
        try await writes.perform(weight: 1) { try $0.clearSchedulerEntries(of: scheduler) }
    }

    public func schedulerEntries() async throws -> [SchedulerEntry] {
        try await read { try $0.schedulerEntries() }
    }

    public func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {
        for chunk in events.chunks() {
            try await writes.perform(weight: chunk.count) { try $0.record(chunk) }
        }
    }

    public func enqueueEvents(
        ofEntry id: String,
        offset: Int,
        limit: Int
    ) async throws -> [SchedulerEnqueueEvent] {
        try await read { try $0.events(ofEntry: id, offset: offset, limit: limit) }
    }
}
