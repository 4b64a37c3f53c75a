internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension TaskStore {
    // MARK: Occurrences

    func enqueue(_ occurrences: [EntryOccurrence]) throws -> [Result<OccurrenceOutcome, AsynqError>] {
        try occurrences.map { occurrence in
            let early = occurrence.time.multipliedClamped(by: 1000).addingClamped(-now)
            let queue = try queueToWrite(occurrence.request.message.queue)
            if let mark = try mark(queue, occurrence.entryID), mark >= occurrence.time {
                return .success(.settled(mark: mark))
            }
            if early > 0 { return .success(.early(by: .microseconds(early))) }
            let result = try enqueue([occurrence.request])[0]
            if case .failure(let error) = result, error.code == .invalidArgument { return .failure(error) }
            try execute(
                "INSERT INTO asynq_mark VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark",
                [queue.id, stored(occurrence.entryID), occurrence.time]
            )
            return result.map { .enqueued($0) }
        }
    }

    /// The mark of an entry, the current second if it has none.
    func markOrNow(_ entry: EntryReference) throws -> Int64 {
        let queue = try queueToWrite(entry.queue)
        if let mark = try mark(queue, entry.entryID) { return mark }
        let mark = now / second * 1000
        try execute("INSERT INTO asynq_mark VALUES (?, ?, ?)", [queue.id, stored(entry.entryID), mark])
        return mark
    }

    private func mark(_ queue: Queue, _ entry: String) throws -> Int64? {
        try Int64.fetchOne(
            try statement("SELECT mark FROM asynq_mark WHERE queue = ? AND entry = ?"),
            arguments: [queue.id, stored(entry)]
        )
    }

    // MARK: Lease

    func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) throws -> SchedulerLease {
        let row = try Row.fetchOne(
            try statement("SELECT holder, ends_at FROM asynq_scheduler_lease WHERE name = ? AND ends_at > ?"),
            arguments: [stored(group), now]
        )
        if let row, try row.text(0) != holder {
            return SchedulerLease(isHeld: false, remaining: .microseconds((row[1] as Int64) - now), now: now)
        }
        try execute(
            "INSERT OR REPLACE INTO asynq_scheduler_lease VALUES (?, ?, ?)",
            [stored(group), stored(holder), now.addingClamped(ttl.microsecondsRoundedUp)]
        )
        try execute("DELETE FROM asynq_scheduler_lease WHERE ends_at <= ?", [now])
        return SchedulerLease(isHeld: true, remaining: ttl, now: now)
    }

    func releaseSchedulerLease(_ group: String, holder: String) throws {
        try execute(
            "DELETE FROM asynq_scheduler_lease WHERE name = ? AND holder = ?",
            [stored(group), stored(holder)]
        )
    }

    // MARK: Entries

    func writeSchedulerEntries(_ entries: [SchedulerEntry], of scheduler: String, ttl: Duration) throws {
        let json = String(decoding: try JSONEncoder().encode(entries.map(StoredEntry.init)), as: UTF8.self)
        try execute(
            "INSERT OR REPLACE INTO asynq_scheduler VALUES (?, ?, ?)",
            [stored(scheduler), json, now.addingClamped(ttl.microsecondsRoundedUp)]
        )
        // What nobody needs any more.
        let oldest = now - ScheduleLimit.age.microsecondsRoundedUp
        try execute("DELETE FROM asynq_scheduler WHERE ends_at <= ?", [now])
        try execute("DELETE FROM asynq_mark WHERE mark < ?", [oldest / 1000])
        try execute("DELETE FROM asynq_scheduler_event WHERE at < ?", [oldest])
    }

    func clearSchedulerEntries(of scheduler: String) throws {
        try execute("DELETE FROM asynq_scheduler WHERE id = ?", [stored(scheduler)])
    }

    func schedulerEntries() throws -> [SchedulerEntry] {
        let rows = try Row.fetchAll(
            try statement("SELECT entries FROM asynq_scheduler WHERE ends_at > ? ORDER BY id"),
            arguments: [now]
        )
        return try rows.flatMap { row in
            try JSONDecoder().decode([StoredEntry].self, from: Data(try row.bytes(0) ?? [])).map(\.entry)
        }
    }

    // MARK: History

    func record(_ events: [SchedulerEnqueueEvent]) throws {
        for event in events {
            try execute(
                "INSERT INTO asynq_scheduler_event (entry, task, at) VALUES (?, ?, ?)",
                [stored(event.entryID), stored(event.taskID), event.enqueuedAt.microseconds]
            )
        }
        for entry in Set(events.map(\.entryID)) {
            try execute(
                """
                DELETE FROM asynq_scheduler_event WHERE seq IN
                  (SELECT seq FROM asynq_scheduler_event WHERE entry = ? ORDER BY at DESC, seq DESC LIMIT -1 OFFSET ?)
                """,
                [stored(entry), ScheduleLimit.events]
            )
        }
    }

    func events(ofEntry id: String, offset: Int, limit: Int) throws -> [SchedulerEnqueueEvent] {
        let rows = try Row.fetchAll(
            try statement(
                "SELECT task, at FROM asynq_scheduler_event WHERE entry = ? ORDER BY at DESC, seq DESC LIMIT ? OFFSET ?"
            ),
            arguments: [stored(id), max(0, limit), max(0, offset)]
        )
        return try rows.map { row in
            SchedulerEnqueueEvent(entryID: id, taskID: try row.text(0), enqueuedAt: Date(microseconds: row[1]))
        }
    }
}

/// An entry, as it is stored.
private struct StoredEntry: Codable {
    var id: String
    var spec: String
    var type: String
    var payload: Data
    var options: [String]
    /// Unix microseconds.
    var next: Int64?
    var previous: Int64?

    init(_ entry: SchedulerEntry) {
        id = entry.id
        spec = entry.spec
        type = entry.taskType
        payload = Data(entry.payload)
        options = entry.options
        next = entry.nextEnqueueAt?.microseconds
        previous = entry.previousEnqueueAt?.microseconds
    }

    var entry: SchedulerEntry {
        SchedulerEntry(
            id: id,
            spec: spec,
            taskType: type,
            payload: Array(payload),
            options: options,
            nextEnqueueAt: next.map { Date(microseconds: $0) },
            previousEnqueueAt: previous.map { Date(microseconds: $0) }
        )
    }
}

extension Date {
    fileprivate var microseconds: Int64 { Int64((timeIntervalSince1970 * Double(second)).rounded()) }
}
