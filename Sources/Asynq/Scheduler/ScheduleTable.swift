import HeapModule

/// When each entry of a scheduler is due, and what was missed. A value without I/O: it is told what became of what it hands
/// out. Times are Unix milliseconds of the broker.
///
/// An entry is unread until its mark is known; then its next time follows from that. Each entry has one timer, or is in
/// hand: handed out by ``turn(now:limit:)`` and not yet returned by ``arm(_:mark:)``, ``settle(_:at:isEnqueued:)`` or
/// ``postpone(_:until:error:)``.
struct ScheduleTable: Sendable {
    /// An entry in hand. Void when the entry has been removed or made unread since.
    struct Ticket: Sendable {
        let entry: PeriodicEntry
        fileprivate let number: Int
    }

    /// An entry whose time has come.
    struct Due: Sendable {
        let ticket: Ticket
        let time: Int64
        /// Whether it has been tried for this time before, with an outcome that is not known.
        let isRepeated: Bool
    }

    /// Times that are left out.
    struct Dropped: Sendable {
        let entry: PeriodicEntry
        /// The last of them.
        let time: Int64
        /// Why the last attempt failed, if there was one.
        let error: AsynqError?
    }

    /// What is to be done now.
    struct Turn: Sendable {
        /// Entries whose marks are to be read.
        var unread: [Ticket] = []
        var due: [Due] = []
        var dropped: [Dropped] = []
        /// When there is more to do; `nil`: when something changes.
        var nextAt: Int64?
    }

    private struct Slot {
        let entry: PeriodicEntry
        /// Entries are shown in the order in which they came.
        let place: Int
        var ticket = 0
        /// The last time that is settled; `nil`: unread.
        var mark: Int64?
        /// The next time; `nil`: never again.
        var next: Int64?
        var previous: Int64?
        /// The time of the last attempt.
        var tried: Int64?
        var failures = 0
        var error: AsynqError?
        /// Times up to this one have passed the rule for missed ones.
        var admittedUntil = Int64.min
        /// Times up to this one have been reported as left out.
        var droppedUntil = Int64.min
    }

    /// Those of the same time go off in the order in which their entries came.
    private struct Timer: Comparable {
        let time: Int64
        let place: Int
        let ticket: Int
        let id: String

        static func < (left: Timer, right: Timer) -> Bool {
            (left.time, left.place, left.ticket) < (right.time, right.place, right.ticket)
        }
    }

    /// A time older than this is missed.
    private let missedAfter: Int64
    private var slots: [String: Slot] = [:]
    private var timers = Heap<Timer>()
    private var lastTicket = 0
    private var lastPlace = 0
    private var group: String?
    private var isGroupKnown = true

    init(missedAfter: Duration) {
        self.missedAfter = missedAfter.millisecondsRoundedUp
    }

    // MARK: Entries

    /// All of it, or nothing.
    mutating func change(adding added: [PeriodicEntry], removing removed: [String]) throws(AsynqError) {
        let removed = Set(removed)
        for id in removed where slots[id] == nil {
            throw AsynqError(.entryNotFound, "the scheduler has no entry \"\(id)\"")
        }
        var ids: Set<String> = []
        for entry in added {
            let isThere = slots[entry.id] != nil && !removed.contains(entry.id)
            guard !isThere, ids.insert(entry.id).inserted else {
                throw AsynqError(
                    .duplicateEntry,
                    "the entry \(entry.id) (\(entry.spec) \(entry.task.type)) is registered already: one that is to run twice needs an id of its own"
                )
            }
        }
        for id in removed { slots[id] = nil }
        for entry in added {
            lastPlace += 1
            slots[entry.id] = Slot(entry: entry, place: lastPlace)
            setTimer(entry.id, .min)
        }
        isGroupKnown = false
    }

    /// Names the set of entries; `nil` if there is none.
    mutating func currentGroup() -> String? {
        if !isGroupKnown { group = slots.isEmpty ? nil : EntryID.group(slots.keys) }
        isGroupKnown = true
        return group
    }

    /// All marks are to be read again: somebody else may have been at work.
    mutating func makeUnread() {
        timers = Heap()
        for id in slots.keys {
            slots[id]?.mark = nil
            slots[id]?.admittedUntil = .min
            setTimer(id, .min)
        }
    }

    /// What inspectors see.
    var shown: [SchedulerEntry] {
        slots.values.sorted { $0.place < $1.place }.map { $0.entry.shown(next: $0.next, previous: $0.previous) }
    }

    // MARK: Turns

    /// Hands out what is due, at most `limit` entries; each for one time, its earliest.
    mutating func turn(now: Int64, limit: Int) -> Turn {
        var turn = Turn()
        while turn.unread.count + turn.due.count < limit, let timer = timers.min, timer.time <= now {
            timers.removeMin()
            guard let slot = slots[timer.id], slot.ticket == timer.ticket else { continue }
            let ticket = Ticket(entry: slot.entry, number: slot.ticket)
            if slot.mark == nil {
                turn.unread.append(ticket)
            } else if let time = dueTime(timer.id, now, &turn) {
                turn.due.append(
                    Due(ticket: ticket, time: time, isRepeated: slot.failures > 0 && slot.tried == time)
                )
                slots[timer.id]?.tried = time
            }
        }
        turn.nextAt = timers.min?.time
        return turn
    }

    /// The earliest time at which the entry is to run now; if there is none, sets its timer.
    private mutating func dueTime(_ id: String, _ now: Int64, _ turn: inout Turn) -> Int64? {
        guard var slot = slots[id], let mark = slot.mark else { return nil }
        if let next = slot.next, next < now - missedAfter, next > slot.admittedUntil {
            let (first, dropped) = admit(slot.entry, mark, now)
            if let dropped, dropped > slot.droppedUntil {
                turn.dropped.append(Dropped(entry: slot.entry, time: dropped, error: slot.error))
                slot.droppedUntil = dropped
                slot.error = nil
            }
            slot.admittedUntil = now
            slot.next = first ?? slot.entry.rule.next(after: now, mark: mark)
            slots[id] = slot
        }
        guard let next = slot.next else { return nil }
        if next <= now { return next }
        setTimer(id, next)
        return nil
    }

    /// The first of the times up to now that the entry's rule for missed ones admits, and the last of those before that
    /// it does not.
    private func admit(_ entry: PeriodicEntry, _ mark: Int64, _ now: Int64) -> (first: Int64?, dropped: Int64?) {
        var first: Int64?
        var missed = 0
        var moment = now
        while let time = entry.rule.last(upTo: moment, mark: mark) {
            if time < now - missedAfter {
                let isAdmitted =
                    switch entry.missed.kind {
                    case .skip: false
                    case .one: first == nil
                    case .all(let limit): missed < limit
                    }
                guard isAdmitted else { return (first, time) }
                missed += 1
            }
            first = time
            moment = time - 1
        }
        return (first, nil)
    }

    // MARK: Outcomes

    /// The mark of an entry has been read.
    mutating func arm(_ ticket: Ticket, mark: Int64) {
        guard var slot = held(ticket) else { return }
        let rule = slot.entry.rule
        slot.mark = mark
        slot.next = rule.next(after: mark, mark: mark)
        if rule.isTime(mark) { slot.previous = mark }
        slots[slot.entry.id] = slot
        if let next = slot.next { setTimer(slot.entry.id, next) }
    }

    /// A time is settled, by this scheduler or another.
    mutating func settle(_ ticket: Ticket, at time: Int64, isEnqueued: Bool) {
        guard var slot = held(ticket) else { return }
        slot.mark = time
        slot.next = slot.entry.rule.next(after: time, mark: time)
        if isEnqueued { slot.previous = time }
        slot.failures = 0
        slot.error = nil
        slots[slot.entry.id] = slot
        if let next = slot.next { setTimer(slot.entry.id, next) }
    }

    /// An attempt was too early.
    mutating func postpone(_ ticket: Ticket, until time: Int64) {
        guard held(ticket) != nil else { return }
        setTimer(ticket.entry.id, time)
    }

    /// An attempt, or the reading of the mark, has failed: to be repeated, after a delay that grows to 5 s.
    mutating func postpone(_ ticket: Ticket, after now: Int64, error: AsynqError) {
        guard var slot = held(ticket) else { return }
        slot.failures += 1
        slot.error = error
        // By then it may be missed. The rule for all of them takes long, and would admit these again.
        if case .all = slot.entry.missed.kind {} else { slot.admittedUntil = .min }
        slots[slot.entry.id] = slot
        setTimer(slot.entry.id, now + min(5000, 100 << min(Int64(slot.failures - 1), 10)))
    }

    private func held(_ ticket: Ticket) -> Slot? {
        guard let slot = slots[ticket.entry.id], slot.ticket == ticket.number else { return nil }
        return slot
    }

    private mutating func setTimer(_ id: String, _ time: Int64) {
        lastTicket += 1
        slots[id]?.ticket = lastTicket
        let place = slots[id]?.place ?? .max
        timers.insert(Timer(time: time, place: place, ticket: lastTicket, id: id))
    }
}
