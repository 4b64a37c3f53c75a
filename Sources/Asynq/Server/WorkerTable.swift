import DequeModule

/// Why a running handler was cancelled; decides its outcome.
enum CancelCause: Sendable, Equatable {
    case timeout, cancelled, leaseLost, shutdown
}

/// Every task that a server holds, from its dequeue until its outcome is stored: in stock, running, or finishing. A
/// value with no I/O and no clock; ``WorkerPool`` puts a lock round it and carries out what it says.
///
/// Each task has a slot. Each that runs has a worker as well, which runs one task after the other. Times are
/// nanoseconds on the loop clock.
struct WorkerTable {
    /// A task to run.
    struct Ticket: Sendable {
        let slot: SlotID
        let worker: Int
        let task: LeasedTask
        let dequeuedAt: Int64
        /// When it will be cancelled; `.max`: never.
        let deadline: Int64
    }

    /// One use of a slot. The generation keeps whoever is late from touching the next use.
    struct SlotID: Sendable, Hashable {
        let index: Int
        let generation: UInt32
    }

    /// An outcome to be stored.
    struct Finished: Sendable {
        /// What is known of its way to the broker.
        enum Delivery: Sendable {
            /// It is sent for the first time, soon after its lease was known to last.
            case prompt
            /// It is sent for the first time, when its lease may be over and the task in another attempt.
            case late
            /// It was sent before and not answered: it may be stored, and the task in another attempt.
            case repeated
        }

        let slot: SlotID
        let task: LeasedTask
        let outcome: FinishRequest.Outcome
        var delivery = Delivery.prompt
    }

    /// A task that is held, for the heartbeat.
    struct Held: Sendable {
        let slot: SlotID
        let task: LeasedTask
        let isRunning: Bool
        /// Its outcome is being worked out.
        let handlerHasEnded: Bool
        let startedAt: Int64
        let deadline: Int64
        let leaseEnd: Int64
    }

    /// What a worker does after a handler has ended.
    enum Next {
        case run(Ticket)
        /// The handler was cancelled for this reason: work out the outcome, and report again.
        case decide(CancelCause)
        case stop
    }

    private enum Phase {
        case free, stocked, running, finishing
    }

    private struct Slot {
        var phase = Phase.free
        var generation: UInt32 = 0
        var task: LeasedTask?
        var dequeuedAt: Int64 = 0
        var startedAt: Int64 = 0
        var leaseEnd: Int64 = 0
        var deadline = Int64.max
        var worker = 0
        var cause: CancelCause?
        var cancelledAt: Int64 = 0
        var handlerHasEnded = false
    }

    private struct Worker {
        var handle: Task<Void, Never>?
        var isCancelled = false
        var hasEnded = false
    }

    /// So many outcomes are worth a call of their own while others are on their way.
    static let outcomesOfABatch = 64

    let concurrency: Int
    /// So many outcomes may wait to be stored before no new tasks are taken.
    private let maxUnstored: Int
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var workers: [Worker] = []
    private var freeWorkers: [Int] = []
    private var stock: Deque<Int> = []
    private var finishing: [Finished] = []
    private var isAccepting = true
    /// How many tasks to hold in stock.
    var stockTarget = 0
    private(set) var running = 0
    /// How many tasks have been asked for and not come yet.
    private(set) var requested = 0
    /// How many outcomes are not stored yet.
    private(set) var unstored = 0
    /// How many handlers have ended since the start.
    private(set) var finishedCount: UInt64 = 0
    /// When ``expire(_:grace:)`` has something to do next.
    private(set) var nextDeadline = Int64.max

    init(concurrency: Int) {
        self.concurrency = concurrency
        maxUnstored = max(1024, 4 * concurrency)
    }

    var stockCount: Int { stock.count }

    /// How many outcomes wait to be sent.
    var unsentCount: Int { finishing.count }

    /// Whether more outcomes make a difference to whoever sends them: there were none, or they make a batch now.
    ///
    /// - Parameter count: how many there were.
    func hasOutcomesOfNote(since count: Int) -> Bool {
        count == 0 && !finishing.isEmpty
            || count < Self.outcomesOfABatch && finishing.count >= Self.outcomesOfABatch
    }

    /// How many more tasks to ask for now, beyond those that have been asked for.
    var demand: Int {
        guard isAccepting, unstored < maxUnstored else { return 0 }
        let free = concurrency - running
        let wanted = free + max(0, stockTarget - stock.count) - requested
        // Only when a quarter of the stock is used up, so that what is asked for is a batch.
        if requested >= free, (stock.count + requested - free) * 4 > stockTarget * 3 { return 0 }
        return max(0, wanted)
    }

    /// So many tasks have been asked for.
    mutating func request(_ count: Int) { requested += count }

    /// An answer has come, or failed to.
    mutating func answered(_ count: Int) { requested -= count }

    // MARK: Taking tasks

    /// Takes over dequeued tasks, and hands back those whose leases are over already. Returns those to run, each on a new
    /// worker that is then to be ``attach``ed.
    mutating func admit(_ tasks: [LeasedTask], dequeuedAt: Int64, now: Int64) -> [Ticket] {
        var tickets: [Ticket] = []
        let leaseEnd = Self.leaseEnd(from: dequeuedAt)
        // Each that is handed back goes to the end that is served next, so the newest first.
        for task in leaseEnd > now ? tasks : tasks.reversed() {
            let index = freeSlots.popLast() ?? slots.count
            if index == slots.count { slots.append(Slot()) }
            slots[index].phase = .stocked
            slots[index].task = task
            slots[index].dequeuedAt = dequeuedAt
            slots[index].leaseEnd = leaseEnd
            guard leaseEnd > now else {
                handBackLate(index, now)
                continue
            }
            if running < concurrency, isAccepting {
                let worker = freeWorkers.popLast() ?? workers.count
                if worker == workers.count { workers.append(Worker()) }
                workers[worker] = Worker()
                running += 1
                tickets.append(begin(index, task, worker: worker, now))
            } else {
                stock.append(index)
            }
        }
        if !isAccepting { handBackStock(now: now) }
        return tickets
    }

    /// Gives a new worker its handle. Returns whether it is to be cancelled at once.
    mutating func attach(_ handle: Task<Void, Never>, to worker: Int) -> Bool {
        if workers[worker].hasEnded {
            freeWorkers.append(worker)
            return false
        }
        workers[worker].handle = handle
        return workers[worker].isCancelled
    }

    private mutating func begin(_ index: Int, _ task: LeasedTask, worker: Int, _ now: Int64) -> Ticket {
        let dequeuedAt = slots[index].dequeuedAt
        let deadline = Self.deadline(of: task, dequeuedAt: dequeuedAt, startedAt: now)
        slots[index].phase = .running
        slots[index].worker = worker
        slots[index].startedAt = now
        slots[index].deadline = deadline
        nextDeadline = min(nextDeadline, deadline)
        return Ticket(slot: id(index), worker: worker, task: task, dequeuedAt: dequeuedAt, deadline: deadline)
    }

    /// A second less than the lease lasts, for what lies between this clock and the broker's.
    private static func leaseEnd(from time: Int64) -> Int64 {
        time + (LeasedTask.leaseDuration - .seconds(1)).nanosecondsClamped
    }

    /// The earlier of timeout and deadline. The deadline is a moment on the broker's clock.
    private static func deadline(of task: LeasedTask, dequeuedAt: Int64, startedAt: Int64) -> Int64 {
        func later(_ time: Int64, _ seconds: Int64) -> Int64 {
            let (end, overflow) = time.addingReportingOverflow(Duration.seconds(seconds).nanosecondsClamped)
            return overflow ? (seconds < 0 ? .min : .max) : end
        }
        let message = task.message
        var deadline = Int64.max
        if message.timeout > 0 { deadline = later(startedAt, message.timeout) }
        if message.deadline > 0 {
            // The lease's end less its length, where nothing better is known.
            let brokerTime =
                task.dequeuedAt.map { $0 / 1_000_000_000 }
                ?? task.leaseEnd / 1_000_000 - LeasedTask.leaseDuration.components.seconds
            deadline = min(deadline, later(dequeuedAt, message.deadline - brokerTime))
        }
        return deadline
    }

    // MARK: Ending tasks

    /// A handler has ended. `outcome` is `nil` if nothing is to be stored, because the lease is lost.
    ///
    /// - Parameter isDecided: the outcome takes account of a cancellation.
    mutating func finished(_ ticket: Ticket, _ outcome: FinishRequest.Outcome?, isDecided: Bool, now: Int64) -> Next {
        let index = ticket.slot.index
        guard isRunning(ticket.slot) else {
            // It ignored its cancellation and was left behind.
            retire(ticket.worker)
            return .stop
        }
        let cause = slots[index].cause
        if !isDecided, let cause {
            slots[index].handlerHasEnded = true
            return .decide(cause)
        }
        finishedCount &+= 1
        settle(index, outcome)
        var late: [Int] = []
        defer { for index in late.reversed() { handBackLate(index, now) } }
        while cause == nil, isAccepting, let next = stock.popFirst(), let task = slots[next].task {
            if slots[next].leaseEnd > now { return .run(begin(next, task, worker: ticket.worker, now)) }
            late.append(next)
        }
        running -= 1
        retire(ticket.worker)
        return .stop
    }

    /// The handler has thrown; what becomes of its task is being worked out.
    mutating func deciding(_ id: SlotID) {
        if isRunning(id) { slots[id.index].handlerHasEnded = true }
    }

    /// Ends a slot's use by its handler.
    private mutating func settle(
        _ index: Int,
        _ outcome: FinishRequest.Outcome?,
        _ delivery: Finished.Delivery = .prompt
    ) {
        guard let outcome, let task = slots[index].task else { return release(index) }
        slots[index].phase = .finishing
        unstored += 1
        finishing.append(Finished(slot: id(index), task: task, outcome: outcome, delivery: delivery))
    }

    private mutating func release(_ index: Int) {
        let generation = slots[index].generation &+ 1
        slots[index] = Slot()
        slots[index].generation = generation
        freeSlots.append(index)
    }

    /// A worker that has no handle yet is kept for ``attach(_:to:)``.
    private mutating func retire(_ worker: Int) {
        if workers[worker].handle == nil {
            workers[worker].hasEnded = true
        } else {
            workers[worker] = Worker()
            freeWorkers.append(worker)
        }
    }

    private func id(_ index: Int) -> SlotID { SlotID(index: index, generation: slots[index].generation) }

    private func isRunning(_ id: SlotID) -> Bool {
        slots[id.index].generation == id.generation && slots[id.index].phase == .running
    }

    /// Why this handler was cancelled, if it was.
    func cause(of id: SlotID) -> CancelCause? { isRunning(id) ? slots[id.index].cause : nil }

    // MARK: Storing outcomes

    /// Takes the outcomes that wait to be stored, apart from those whose lease has ended in the meantime. A task is handed back
    /// for as long after that as recoveries leave it alone: the broker knows whether somebody else has it.
    mutating func takeFinished(now: Int64) -> (toStore: [Finished], expired: [Finished]) {
        let taken = finishing
        finishing = []
        guard taken.contains(where: { slots[$0.slot.index].leaseEnd <= now }) else { return (taken, []) }
        var (toStore, expired): ([Finished], [Finished]) = ([], [])
        for var item in taken {
            let leaseEnd = slots[item.slot.index].leaseEnd
            if leaseEnd > now {
                toStore.append(item)
            } else if item.outcome == .requeue, leaseEnd.adding(LeasedTask.recoveryGrace) > now {
                if item.delivery == .prompt { item.delivery = .late }
                toStore.append(item)
            } else {
                expired.append(item)
            }
        }
        stored(expired)
        return (toStore, expired)
    }

    /// These outcomes could not be stored yet.
    mutating func putBack(_ items: [Finished]) {
        let repeated = items.map { item in
            var item = item
            item.delivery = .repeated
            return item
        }
        finishing.insert(contentsOf: repeated, at: 0)
    }

    /// These tasks are no longer this server's.
    mutating func stored(_ items: [Finished]) {
        for item in items { release(item.slot.index) }
        unstored -= items.count
    }

    // MARK: Leases

    func held() -> [Held] {
        slots.indices.compactMap { index in
            let slot = slots[index]
            return slot.task.map {
                Held(
                    slot: id(index),
                    task: $0,
                    isRunning: slot.phase == .running,
                    handlerHasEnded: slot.handlerHasEnded,
                    startedAt: slot.startedAt,
                    deadline: slot.deadline,
                    leaseEnd: slot.leaseEnd
                )
            }
        }
    }

    /// The leases of these were extended at `time`.
    mutating func extended(_ ids: [SlotID], at time: Int64) {
        for id in ids where slots[id.index].generation == id.generation {
            slots[id.index].leaseEnd = max(slots[id.index].leaseEnd, Self.leaseEnd(from: time))
        }
    }

    /// The leases of these are gone: nothing will be stored. What is finishing is left to the broker, which refuses it if
    /// somebody else has the task.
    ///
    /// - Parameter isCertain: the broker has said so, and not only this side's clock.
    /// - Returns: the workers to cancel; and which of these run and had not been told before.
    mutating func leasesLost(
        _ ids: [SlotID],
        isCertain: Bool,
        now: Int64
    ) -> (cancelled: [Task<Void, Never>], new: [SlotID]) {
        for id in ids where slots[id.index].generation == id.generation && slots[id.index].phase == .stocked {
            stock.removeAll { $0 == id.index }
            if isCertain { release(id.index) } else { handBackLate(id.index, now) }
        }
        let new = ids.filter { isRunning($0) && slots[$0.index].cause != .leaseLost }
        return (cancel(new.map(\.index), .leaseLost, now), new)
    }

    // MARK: Cancelling

    /// Cancels the handler of this task, if it runs here.
    mutating func cancel(taskID: String, now: Int64) -> [Task<Void, Never>] {
        cancel(runningSlots.filter { slots[$0].task?.message.id == taskID }, .cancelled, now)
    }

    /// Cancels all handlers, whose tasks are to be handed back.
    mutating func cancelAll(now: Int64) -> [Task<Void, Never>] {
        cancel(runningSlots, .shutdown, now)
    }

    private var runningSlots: [Int] { slots.indices.filter { slots[$0].phase == .running } }

    /// A handler that is being cancelled already keeps its cause, except that a lost lease outdoes all others.
    private mutating func cancel(_ indices: [Int], _ cause: CancelCause, _ now: Int64) -> [Task<Void, Never>] {
        var handles: [Task<Void, Never>] = []
        for index in indices {
            if slots[index].cause != nil {
                if cause == .leaseLost { slots[index].cause = cause }
                continue
            }
            slots[index].cause = cause
            slots[index].cancelledAt = now
            nextDeadline = min(nextDeadline, now)
            let worker = slots[index].worker
            workers[worker].isCancelled = true
            if let handle = workers[worker].handle { handles.append(handle) }
        }
        return handles
    }

    /// Cancels the handlers whose time is up. Returns their workers, and the tasks whose handlers were cancelled at
    /// least `grace` ago and still run.
    mutating func expire(_ now: Int64, grace: Duration) -> (
        cancelled: [Task<Void, Never>], stubborn: [(Held, CancelCause)]
    ) {
        let late = runningSlots.filter { slots[$0].cause == nil && slots[$0].deadline <= now }
        let handles = cancel(late, .timeout, now)
        let stubborn = held().compactMap { item -> (Held, CancelCause)? in
            let slot = slots[item.slot.index]
            guard item.isRunning, let cause = slot.cause, slot.cancelledAt.adding(grace) <= now else { return nil }
            return (item, cause)
        }
        let left = Set(stubborn.map(\.0.slot.index))
        nextDeadline =
            runningSlots.filter { !left.contains($0) }
            .map { slots[$0].cause == nil ? slots[$0].deadline : slots[$0].cancelledAt.adding(grace) }
            .min() ?? .max
        return (handles, stubborn)
    }

    /// Leaves a handler behind that ignores its cancellation: its outcome is settled, its place is free.
    mutating func abandon(_ id: SlotID, _ outcome: FinishRequest.Outcome?) {
        guard isRunning(id) else { return }
        running -= 1
        finishedCount &+= 1
        settle(id.index, outcome)
    }

    // MARK: Handing back

    /// Hands back a task whose lease is over as far as this side knows, because the process or the line stood still for long.
    /// Whether another server has it by now is for the broker to say. If none has, it need not wait for its recovery, which
    /// would count as a failed attempt.
    private mutating func handBackLate(_ index: Int, _ now: Int64) {
        // It may have been over for long.
        slots[index].leaseEnd = now
        settle(index, .requeue, .late)
    }

    /// Takes no more tasks, and hands back those in stock.
    mutating func stopAccepting(now: Int64) {
        isAccepting = false
        handBackStock(now: now)
    }

    /// Hands back the stock. The newest first, as each goes to the end that is served next.
    mutating func handBackStock(now: Int64) {
        stockTarget = 0
        while let index = stock.popLast() {
            if slots[index].leaseEnd > now { settle(index, .requeue) } else { handBackLate(index, now) }
        }
    }
}
