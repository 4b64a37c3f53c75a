/// Which groups an ``AggregateLoop`` knows, and when it is to look at each. A value with no I/O and no clock; times are
/// nanoseconds on the loop clock.
struct GroupAgenda {
    private struct Entry {
        /// When it may be ready.
        var due = Int64.max
        /// It may have changed since it was looked at.
        var hasChanged = true
        /// It is being looked at.
        var isInSight = false
        /// An aggregator has its tasks: one at a time, so that a slow one does not pile up.
        var isRunning = false
    }

    private var entries: [GroupReference: Entry] = [:]
    private(set) var runningCount = 0

    /// These are the groups of these queues now.
    mutating func list(_ groups: [GroupReference], in queues: Set<String>) {
        let there = Set(groups)
        for (group, entry) in entries where queues.contains(group.queue) && !there.contains(group) {
            if !entry.isRunning, !entry.isInSight, !entry.hasChanged { entries[group] = nil }
        }
        for group in groups where entries[group] == nil { entries[group] = Entry() }
    }

    mutating func changed(_ group: GroupReference) { entries[group, default: Entry()].hasChanged = true }

    /// Whether a change of it tells nothing for now: it is being looked at, or an aggregator has tasks of it.
    func isBusy(_ group: GroupReference) -> Bool { entries[group].map { $0.isInSight || $0.isRunning } ?? false }

    mutating func allChanged() {
        for group in entries.keys { entries[group]?.hasChanged = true }
    }

    /// The groups to look at, those that have waited longest first. What changes from now on is a new change.
    mutating func take(_ limit: Int, now: Int64) -> [GroupReference] {
        let due = entries.filter { !$0.value.isRunning && ($0.value.hasChanged || $0.value.due <= now) }
            .sorted { $0.value.due < $1.value.due }
            .prefix(limit).map(\.key)
        for group in due {
            entries[group]?.hasChanged = false
            entries[group]?.isInSight = true
        }
        return Array(due)
    }

    /// It was looked at, and may be ready then; `nil`: it has no tasks.
    ///
    /// - Returns: whether it has changed meanwhile.
    @discardableResult
    mutating func checked(_ group: GroupReference, due: Int64?) -> Bool {
        entries[group]?.due = due ?? .max
        entries[group]?.isInSight = false
        let hasChanged = entries[group]?.hasChanged == true
        if due == nil, !hasChanged { entries[group] = nil }
        return hasChanged
    }

    mutating func began(_ group: GroupReference) {
        entries[group, default: Entry()].isRunning = true
        runningCount += 1
    }

    mutating func ended(_ group: GroupReference) {
        entries[group] = Entry()
        runningCount -= 1
    }

    /// When there is something to look at next; in the past if there is now.
    var next: Int64 {
        entries.values.lazy.filter { !$0.isRunning }.map { $0.hasChanged ? .min : $0.due }.min() ?? .max
    }
}
