internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Lists of tasks.
extension TaskStore {
    /// A walk along an index to a page of a list.
    private struct Walk {
        /// How many entries lie before the page.
        let skipped: Int
        var isFromEnd = false
        /// Whether it begins at an end of the queue's tasks of all states, instead of those of the list.
        var isOfQueue = false

        /// Where a list ends its entries are compared with its state. To walk along a queue, of which it is known how many
        /// are in each state, nothing is compared, which takes a third of the time.
        var cost: Int { isOfQueue ? skipped : 3 * skipped }
        var order: String { isFromEnd ? "position DESC, seq DESC" : "position, seq" }

        /// The `seq` of each task of the page.
        func query(_ condition: String) -> String {
            let descending = isFromEnd ? "DESC" : ""
            let place =
                isOfQueue
                ? """
                INDEXED BY asynq_task_place WHERE queue \(isFromEnd ? "<=" : ">=") ?
                ORDER BY queue \(descending), state \(descending), \(order)
                """
                : "WHERE \(condition) ORDER BY \(order)"
            return "SELECT seq FROM asynq_task \(place) LIMIT ? OFFSET ?"
        }
    }

    func tasks(_ selection: TaskSelection, offset: Int, limit: Int) throws -> TaskListing {
        guard let queue = try queue(selection.queue) else { return TaskListing(tasks: [], total: 0) }
        let state = StoredState(selection.state).rawValue
        let place = place(queue, selection)
        let counts = try counts(queue.id)
        var listing = TaskListing(tasks: [], total: 0)
        if selection.group == nil {
            listing.total = counts.first { $0.state == state }?.tasks ?? 0
        } else {
            listing.total =
                try Int.fetchOne(
                    try statement("SELECT count(*) FROM asynq_task WHERE \(place.condition)"),
                    arguments: place.arguments
                ) ?? 0
        }
        guard limit > 0, offset < listing.total else { return listing }
        let offset = max(0, offset)
        let count = min(limit, listing.total - offset)
        let rest = listing.total - offset - count
        var walks = [Walk(skipped: offset), Walk(skipped: rest, isFromEnd: true)]
        if selection.group == nil {
            let before = counts.reduce(0) { $1.state < state ? $0 + $1.tasks : $0 }
            let behind = counts.reduce(0) { $1.state > state ? $0 + $1.tasks : $0 }
            walks.append(Walk(skipped: before + offset, isOfQueue: true))
            walks.append(Walk(skipped: rest + behind, isFromEnd: true, isOfQueue: true))
        }
        let walk = walks.dropFirst().reduce(walks[0]) { $1.cost < $0.cost ? $1 : $0 }
        // In two steps, so that what is skipped is read from an index alone. What is of another list is never shown, even if
        // somebody has written to the file so that the counts are wrong; the signs keep this from being searched for.
        let rows = try Row.fetchCursor(
            try statement(
                """
                SELECT \(Self.infoColumns) FROM asynq_task WHERE seq IN (\(walk.query(place.condition)))
                  AND +queue = ? AND +state = ? ORDER BY \(walk.order)
                """
            ),
            arguments: (walk.isOfQueue ? [queue.id] : place.arguments) + [count, walk.skipped, queue.id, state]
        )
        while let row = try rows.next() { listing.tasks.append(try taskInfo(row, queue.name)) }
        if walk.isFromEnd { listing.tasks.reverse() }
        return listing
    }

    func task(_ task: TaskReference) throws -> TaskInfo? {
        guard let queue = try queue(task.queue) else { return nil }
        return try Row.fetchOne(
            try statement("SELECT \(Self.infoColumns) FROM asynq_task WHERE queue = ? AND id = ?"),
            arguments: [queue.id, stored(task.id)]
        ).map { try taskInfo($0, queue.name) }
    }

    /// The rows of a selection.
    func place(_ queue: Queue, _ selection: TaskSelection) -> (condition: String, arguments: StatementArguments) {
        guard let group = selection.group else {
            return ("queue = ? AND state = ?", [queue.id, StoredState(selection.state).rawValue])
        }
        // The state as a number, so that the index of the groups is known to hold all of them.
        return ("queue = ? AND state = 8 AND task_group = ?", [queue.id, stored(group)])
    }

    private static let infoColumns = TaskMessage.columns + ", state, result"

    private func taskInfo(_ row: Row, _ queue: String) throws -> TaskInfo {
        let message = try TaskMessage(row: row, queue: queue)
        let state = TaskState(stored: row[16])
        let position: Int64 = row[15]
        let next: Int64? =
            switch state {
            case .pending: now
            case .scheduled, .retry: position
            case .active, .archived, .completed, .aggregating: nil
            }
        return TaskInfo(
            message,
            state: state,
            nextProcessAt: next.map { Date(microseconds: $0) },
            isOrphaned: state == .active && position <= now,
            result: try row.bytes(17)
        )
    }
}
