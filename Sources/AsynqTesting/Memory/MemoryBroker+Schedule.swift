public import Asynq
import Synchronization

/// What schedulers keep in a ``MemoryBroker``.
struct MemorySchedule {
    struct Lease {
        let holder: String
        /// Unix nanoseconds.
        let end: Int64
    }

    /// By queue and entry, in Unix milliseconds.
    var marks: [EntryReference: Int64] = [:]
    var leases: [String: Lease] = [:]
    var entries: [String: (list: [SchedulerEntry], end: Int64)] = [:]
    /// By entry, newest first.
    var events: [String: [SchedulerEnqueueEvent]] = [:]
}

extension MemoryBroker {
    public func enqueueOccurrences(
        _ occurrences: [EntryOccurrence]
    ) async -> [Result<OccurrenceOutcome, AsynqError>] {
        change { state, now in
            occurrences.map { occurrence -> Result<OccurrenceOutcome, AsynqError> in
                guard !isShutDown.load(ordering: .relaxed) else { return .failure(Self.closed) }
                let queue = occurrence.request.message.queue
                let entry = EntryReference(entryID: occurrence.entryID, queue: queue)
                if let mark = state.schedule.marks[entry], mark >= occurrence.time {
                    return .success(.settled(mark: mark))
                }
                let early = Duration.milliseconds(occurrence.time) - .nanoseconds(now)
                if early > .zero { return .success(.early(by: early)) }
                state.schedule.marks[entry] = occurrence.time
                return state.enqueue(occurrence.request, now: now).map { .enqueued($0) }
            }
        }
    }

    public func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] {
        change { state, now in
            entries.map { entry -> Result<Int64, AsynqError> in
                guard !isShutDown.load(ordering: .relaxed) else { return .failure(Self.closed) }
                let mark = state.schedule.marks[entry] ?? now / second * 1000
                state.schedule.marks[entry] = mark
                return .success(mark)
            }
        }
    }

    public func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        try check()
        return change { state, now in
            if let lease = state.schedule.leases[group], lease.holder != holder, lease.end > now {
                return SchedulerLease(isHeld: false, remaining: .nanoseconds(lease.end - now), now: now / 1000)
            }
            let end = now.addingClamped(ttl.nanosecondsClamped)
            state.schedule.leases[group] = MemorySchedule.Lease(holder: holder, end: end)
            return SchedulerLease(isHeld: true, remaining: ttl, now: now / 1000)
        }
    }

    public func releaseSchedulerLease(_ group: String, holder: String) async throws {
        try check()
        change { state, _ in
            if state.schedule.leases[group]?.holder == holder { state.schedule.leases[group] = nil }
        }
    }

    public func writeSchedulerEntries(
        _ entries: [SchedulerEntry],
        of scheduler: String,
        ttl: Duration
    ) async throws {
        try check()
        change { state, now in
            state.schedule.entries[scheduler] =
                entries.isEmpty ? nil : (entries, now.addingClamped(ttl.nanosecondsClamped))
        }
    }

    public func clearSchedulerEntries(of scheduler: String) async throws {
        try check()
        change { state, _ in state.schedule.entries[scheduler] = nil }
    }

    public func schedulerEntries() async throws -> [SchedulerEntry] {
        try check()
        return read { state, now in
            state.schedule.entries.sorted { $0.key < $1.key }.filter { $0.value.end > now }.flatMap(\.value.list)
        }
    }

    public func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {
        try check()
        change { state, _ in
            for event in events {
                var history = state.schedule.events[event.entryID] ?? []
                let place = history.firstIndex { $0.enqueuedAt <= event.enqueuedAt } ?? history.count
                history.insert(event, at: place)
                state.schedule.events[event.entryID] = Array(history.prefix(ScheduleLimit.events))
            }
        }
    }

    public func enqueueEvents(
        ofEntry id: String,
        offset: Int,
        limit: Int
    ) async throws -> [SchedulerEnqueueEvent] {
        try check()
        return read { state, _ in
            Array((state.schedule.events[id] ?? []).dropFirst(max(0, offset)).prefix(max(0, limit)))
        }
    }
}

extension MemoryBroker.State {
    /// Stores a task, and notes it in the log.
    mutating func enqueue(_ request: EnqueueRequest, now: Int64) -> Result<EnqueueReceipt, AsynqError> {
        let name = request.message.queue
        let receipt = queues[name, default: MemoryQueue(name: name)].enqueue(request, now: now)
        if case .success(let receipt) = receipt {
            log.append(TaskInfo(request.message, state: receipt.state, nextProcessAt: receipt.nextProcessAt))
        }
        return receipt
    }
}
