import Synchronization

/// The ``WorkerTable`` behind a lock, and the wake-ups of the loops that serve it.
///
/// On the hot path the lock is taken once for a batch of dequeued tasks, once for each handler that ends, and once for
/// a batch of stored outcomes.
final class WorkerPool: Sendable {
    private let table: Mutex<WorkerTable>
    private let clock: LoopClock
    /// There may be room for more tasks.
    let roomChanged = Wakeup()
    /// There are outcomes to store: the first, or enough for a batch.
    let outcomesAdded = Wakeup()
    /// Something is to expire earlier than was known.
    let deadlineChanged = Wakeup()
    /// A handler has ended, or an outcome was stored.
    let progressed = Wakeup()
    /// There are tasks in stock.
    let stockAdded = Wakeup()

    init(concurrency: Int, clock: LoopClock) {
        table = Mutex(WorkerTable(concurrency: concurrency))
        self.clock = clock
    }

    /// Looks at the table.
    func read<Value: Sendable>(_ body: (borrowing WorkerTable) -> Value) -> Value {
        table.withLock { body($0) }
    }

    func setStockTarget(_ target: Int) {
        table.withLock { $0.stockTarget = target }
    }

    func request(_ count: Int) {
        table.withLock { $0.request(count) }
    }

    func answered(_ count: Int) {
        table.withLock { $0.answered(count) }
        roomChanged.notify()
    }

    /// Takes over dequeued tasks: `start` makes a worker for each that is to run now.
    func admit(_ tasks: [LeasedTask], dequeuedAt: Int64, start: (WorkerTable.Ticket) -> Task<Void, Never>) {
        let now = clock.now()
        let (tickets, isEarlier, wantsStoring, hasStock) = table.withLock { table in
            let before = table.nextDeadline
            let tickets = table.admit(tasks, dequeuedAt: dequeuedAt, now: now)
            return (tickets, table.nextDeadline < before, table.unstored > 0, table.stockCount > 0)
        }
        if isEarlier { deadlineChanged.notify() }
        if hasStock { stockAdded.notify() }
        if wantsStoring { outcomesAdded.notify() }
        guard !tickets.isEmpty else { return }
        let handles = tickets.map(start)
        let cancelled = table.withLock { table in
            zip(tickets, handles).compactMap { table.attach($1, to: $0.worker) ? $1 : nil }
        }
        for handle in cancelled { handle.cancel() }
    }

    /// A handler has ended; see ``WorkerTable/finished(_:_:isDecided:now:)``.
    func finished(
        _ ticket: WorkerTable.Ticket,
        _ outcome: FinishRequest.Outcome?,
        isDecided: Bool
    ) -> WorkerTable.Next {
        let now = clock.now()
        let (next, wantsRoom, wantsStoring, isEarlier) = table.withLock { table in
            let (before, unsent) = (table.nextDeadline, table.unsentCount)
            let next = table.finished(ticket, outcome, isDecided: isDecided, now: now)
            return (next, table.demand > 0, table.hasOutcomesOfNote(since: unsent), table.nextDeadline < before)
        }
        if case .decide = next { return next }
        if wantsStoring { outcomesAdded.notify() }
        if wantsRoom { roomChanged.notify() }
        if isEarlier { deadlineChanged.notify() }
        if case .stop = next { progressed.notify() }
        return next
    }

    /// The handler of a cancelled task has ended, and its outcome is being worked out.
    func deciding(_ ticket: WorkerTable.Ticket) {
        table.withLock { $0.deciding(ticket.slot) }
    }

    func takeFinished() -> (toStore: [WorkerTable.Finished], expired: [WorkerTable.Finished]) {
        table.withLock { $0.takeFinished(now: clock.now()) }
    }

    func putBack(_ items: [WorkerTable.Finished]) {
        table.withLock { $0.putBack(items) }
    }

    func stored(_ items: [WorkerTable.Finished]) {
        let wantsRoom = table.withLock { table in
            table.stored(items)
            return table.demand > 0
        }
        if wantsRoom { roomChanged.notify() }
        progressed.notify()
    }

    func extended(_ ids: [WorkerTable.SlotID], at time: Int64) {
        table.withLock { $0.extended(ids, at: time) }
    }

    /// - Parameter isCertain: the broker has said so, and not only this side's clock.
    /// - Returns: which of these run and had not been told before.
    func leasesLost(_ ids: [WorkerTable.SlotID], isCertain: Bool) -> [WorkerTable.SlotID] {
        var new: [WorkerTable.SlotID] = []
        cancel { table in
            let lost = table.leasesLost(ids, isCertain: isCertain, now: clock.now())
            new = lost.new
            return lost.cancelled
        }
        outcomesAdded.notify()
        roomChanged.notify()
        return new
    }

    func cancel(taskID: String) {
        cancel { $0.cancel(taskID: taskID, now: clock.now()) }
    }

    func cancelAll() {
        cancel { $0.cancelAll(now: clock.now()) }
    }

    /// Cancels what is late. Returns the tasks whose handlers ignore their cancellation.
    func expire(grace: Duration) -> [(WorkerTable.Held, CancelCause)] {
        var stubborn: [(WorkerTable.Held, CancelCause)] = []
        let handles = table.withLock { table in
            let (handles, found) = table.expire(clock.now(), grace: grace)
            stubborn = found
            return handles
        }
        for handle in handles { handle.cancel() }
        return stubborn
    }

    /// Outside the lock, because cancelling runs the cancellation handlers of whatever the worker waits for.
    private func cancel(_ select: (inout WorkerTable) -> [Task<Void, Never>]) {
        let handles = table.withLock { select(&$0) }
        for handle in handles { handle.cancel() }
        deadlineChanged.notify()
    }

    func abandon(_ id: WorkerTable.SlotID, _ outcome: FinishRequest.Outcome?) {
        table.withLock { $0.abandon(id, outcome) }
        outcomesAdded.notify()
        roomChanged.notify()
        progressed.notify()
    }

    func stopAccepting() {
        table.withLock { $0.stopAccepting(now: clock.now()) }
        outcomesAdded.notify()
        roomChanged.notify()
    }

    func handBackStock() {
        table.withLock { $0.handBackStock(now: clock.now()) }
        outcomesAdded.notify()
    }
}
