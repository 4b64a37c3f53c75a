import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// One run of a scheduler: its loops as children of one task, and the order in which they end.
final class SchedulerEngine: Sendable {
    struct State: Sendable {
        var table: ScheduleTable
        /// The group whose lease is held, and until when at the most, on this process's clock.
        var lease: (group: String, until: Int64)?
        var isShuttingDown = false
    }

    let broker: any ScheduleBroker
    let configuration: AsynqScheduler.Configuration
    let clock: LoopClock
    let time: BrokerTime
    let logger: Logger
    let state: Mutex<State>
    let recorder: EventRecorder
    /// `<host>:<pid>:<uuid>`.
    let identity: String

    /// There may be something to enqueue.
    let entriesChanged = Wakeup()
    /// The set of entries has changed.
    let groupChanged = Wakeup()
    /// What inspectors see has changed, beyond the times of runs.
    let viewChanged = Wakeup()
    private let shutdownRequested = Wakeup()

    /// Entries that are dealt with at once.
    private static let batch = 4096
    /// Microseconds.
    private static let longestSleep: Int64 = 3_600_000_000

    init(broker: any ScheduleBroker, configuration: AsynqScheduler.Configuration, clock: LoopClock) {
        self.broker = broker
        self.configuration = configuration
        self.clock = clock
        time = BrokerTime(clock)
        logger = configuration.logger
        state = Mutex(State(table: ScheduleTable(missedAfter: configuration.missedAfter)))
        recorder = EventRecorder(broker: broker, clock: clock, logger: configuration.logger)
        let process = ProcessInfo.processInfo
        identity = "\(process.hostName):\(process.processIdentifier):\(TaskID.random())"
    }

    // MARK: Requests

    var isAtWork: Bool {
        let now = clock.now()
        return state.withLock { $0.lease.map { $0.until > now } ?? false }
    }

    func change(adding added: [PeriodicEntry], removing removed: [String]) throws(AsynqError) {
        try state.withLock { state throws(AsynqError) in
            try state.table.change(adding: added, removing: removed)
        }
        groupChanged.notify()
        entriesChanged.notify()
        viewChanged.notify()
    }

    func requestShutdown() {
        state.withLock { $0.isShuttingDown = true }
        shutdownRequested.notify()
    }

    // MARK: Running

    func run() async {
        logger.info("scheduler started", metadata: ["scheduler_id": "\(identity)"])
        await withTaskGroup(of: Void.self) { recorders in
            let recorder = recorder
            recorders.addTask { await recorder.run() }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.keepLease() }
                group.addTask { await self.enqueueDue() }
                group.addTask { await self.showEntries() }
                while !state.withLock({ $0.isShuttingDown }) { await shutdownRequested.wait() }
                group.cancelAll()
            }
            recorders.cancelAll()
        }
        await recorder.flush()
        await leave()
        logger.info("scheduler closed", metadata: ["scheduler_id": "\(identity)"])
    }

    /// Makes room for the others, and takes its entries out of sight; their histories stay.
    private func leave() async {
        let lease = state.withLock { state in
            defer { state.lease = nil }
            return state.lease
        }
        do {
            if let lease { try await broker.releaseSchedulerLease(lease.group, holder: identity) }
            try await broker.clearSchedulerEntries(of: identity)
        } catch {
            logger.warning("cannot remove this scheduler's entries from view", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Enqueueing

    /// What a look at the entries has led to.
    private enum Look {
        /// This one is not at work, or does not know the time yet.
        case standsBy
        /// Nothing was due, nor will be before so many microseconds have passed; `nil`: before entries change.
        case nothing(wait: Int64?)
        case worked
    }

    /// Enqueues what is due for as long as this scheduler is at work.
    private func enqueueDue() async {
        // What has been enqueued is written down when no run waits any more: histories may be late, runs may not.
        var events: [SchedulerEnqueueEvent] = []
        defer { recorder.add(events) }
        while !Task.isCancelled {
            // Read first: the clock may move between this and the sleep.
            let start = clock.now()
            switch await look(&events) {
            case .standsBy: await entriesChanged.wait()
            case .nothing(let wait):
                // Not for ever: a sleep has a longest length.
                let wait = min(Self.longestSleep, wait ?? Self.longestSleep)
                await entriesChanged.wait(until: start + wait * 1000, clock)
            case .worked: break
            }
        }
    }

    /// Enqueues what is due now, a batch of it.
    ///
    /// - Parameter events: what the histories are to say. Is handed on when no more is due.
    private func look(_ events: inout [SchedulerEnqueueEvent]) async -> Look {
        guard isAtWork, let now = time.now else { return .standsBy }
        let turn = state.withLock { $0.table.turn(now: now / 1000, limit: Self.batch) }
        report(turn.dropped)
        if turn.due.count < Self.batch {
            recorder.add(events)
            events = []
        }
        if turn.unread.isEmpty && turn.due.isEmpty {
            return .nothing(wait: turn.nextAt.map { max(0, $0.multipliedClamped(by: 1000) - now) })
        }
        await read(turn.unread)
        events += await enqueue(turn.due)
        return .worked
    }

    /// Does all that is to be done now, and shows it, without running: for a test that moves the clock itself.
    func runPending() async throws -> AsynqScheduler.PendingRuns {
        let isNeeded = state.withLock { $0.lease != nil || $0.table.currentGroup() != nil }
        guard isNeeded else { return AsynqScheduler.PendingRuns() }
        if state.withLock({ $0.isShuttingDown }) {
            throw AsynqError(.serverClosed, "the scheduler has been shut down: its entries are due no more")
        }
        let untilAsked = try await askForLease()
        var result = AsynqScheduler.PendingRuns(wait: untilAsked)
        var events: [SchedulerEnqueueEvent] = []
        looking: while true {
            switch await look(&events) {
            case .standsBy: break looking
            case .nothing(let wait):
                result.wait = wait.map { .microseconds($0) }
                break looking
            case .worked: result.hasWorked = true
            }
        }
        recorder.add(events)
        await recorder.flush()
        if isAtWork {
            try await writeEntries()
        } else {
            try await broker.clearSchedulerEntries(of: identity)
        }
        return result
    }

    private func read(_ tickets: [ScheduleTable.Ticket]) async {
        guard !tickets.isEmpty else { return }
        let marks = await broker.entryMarks(tickets.map(\.entry.reference))
        let now = (time.now ?? 0) / 1000
        var failure: AsynqError?
        var ahead: PeriodicEntry?
        state.withLock { state in
            for (ticket, mark) in zip(tickets, marks) {
                switch mark {
                case .success(let mark):
                    state.table.arm(ticket, mark: mark)
                    if mark > now + 60_000 { ahead = ticket.entry }
                case .failure(let error):
                    failure = failure ?? error
                    state.table.postpone(ticket, after: now, error: error)
                }
            }
        }
        viewChanged.notify()
        if let failure {
            logger.error("cannot read when entries ran last; trying again", metadata: ["error": "\(failure)"])
        }
        if let ahead {
            logger.warning(
                "an entry has run for a time in the future, and waits for it to pass: has the broker's clock been set back?",
                metadata: ["entry_id": "\(ahead.id)"]
            )
        }
    }

    /// - Returns: what the histories are to say of it.
    private func enqueue(_ due: [ScheduleTable.Due]) async -> [SchedulerEnqueueEvent] {
        guard !due.isEmpty else { return [] }
        let occurrences = due.map { $0.ticket.entry.occurrence(at: $0.time) }
        if let hook = configuration.preEnqueue {
            for (item, occurrence) in zip(due, occurrences) where !item.isRepeated {
                hook(run(item.ticket.entry, occurrence))
            }
        }
        let results = await broker.enqueueOccurrences(occurrences)
        let now = (time.now ?? 0) / 1000
        var reports: [(PeriodicRun, Result<TaskInfo, AsynqError>)] = []
        var events: [SchedulerEnqueueEvent] = []
        var failed: (count: Int, error: AsynqError)?
        state.withLock { state in
            for (index, result) in results.enumerated() {
                let (item, occurrence) = (due[index], occurrences[index])
                let outcome = Outcome(result, of: item)
                switch outcome {
                case .enqueued(let receipt):
                    state.table.settle(item.ticket, at: item.time, isEnqueued: true)
                    let message = occurrence.request.message
                    events.append(
                        SchedulerEnqueueEvent(
                            entryID: occurrence.entryID,
                            taskID: message.id,
                            enqueuedAt: Date(milliseconds: now)
                        )
                    )
                    if configuration.postEnqueue != nil {
                        reports.append((run(item.ticket.entry, occurrence), .success(TaskInfo(message, receipt))))
                    }
                case .settled(let mark):
                    state.table.settle(item.ticket, at: max(mark, item.time), isEnqueued: true)
                case .early(let by):
                    state.table.postpone(item.ticket, until: now + max(1, by.millisecondsRoundedUp))
                case .refused(let error):
                    state.table.settle(item.ticket, at: item.time, isEnqueued: false)
                    reports.append((run(item.ticket.entry, occurrence), .failure(error)))
                case .failed(let error):
                    state.table.postpone(item.ticket, after: now, error: error)
                    failed = ((failed?.count ?? 0) + 1, error)
                }
            }
        }
        if let failed {
            logger.error(
                "cannot enqueue periodic tasks; trying again",
                metadata: ["entries": "\(failed.count)", "error": "\(failed.error)"]
            )
        }
        for (run, result) in reports { report(run, result) }
        return events
    }

    /// What an answer means for a run.
    private enum Outcome {
        case enqueued(EnqueueReceipt)
        case settled(mark: Int64)
        case early(by: Duration)
        /// The broker will not have this task.
        case refused(AsynqError)
        case failed(AsynqError)

        init(_ result: Result<OccurrenceOutcome, AsynqError>, of due: ScheduleTable.Due) {
            self =
                switch result {
                case .success(.enqueued(let receipt)): .enqueued(receipt)
                // The answer to the attempt before was lost: the task was stored then.
                case .success(.settled(let mark)) where due.isRepeated && mark == due.time:
                    .enqueued(EnqueueReceipt(state: .pending, nextProcessAt: Date(milliseconds: due.time)))
                case .success(.settled(let mark)): .settled(mark: mark)
                case .success(.early(let by)): .early(by: by)
                // The id follows from entry and time: the task is there, only its mark is lost.
                case .failure(let error) where error.code == .taskIDConflict && !due.ticket.entry.hasTaskID:
                    .settled(mark: due.time)
                case .failure(let error)
                where [.taskIDConflict, .duplicateTask, .invalidArgument].contains(error.code):
                    .refused(error)
                case .failure(let error): .failed(error)
                }
        }
    }

    private func run(_ entry: PeriodicEntry, _ occurrence: EntryOccurrence) -> PeriodicRun {
        PeriodicRun(
            entryID: entry.id,
            spec: entry.spec,
            task: entry.task,
            taskID: occurrence.request.message.id,
            time: Date(milliseconds: occurrence.time)
        )
    }

    private func report(_ run: PeriodicRun, _ result: Result<TaskInfo, AsynqError>) {
        if case .failure(let error) = result {
            logger.notice(
                "a periodic task was not enqueued",
                metadata: ["entry_id": "\(run.entryID)", "error": "\(error)"]
            )
        }
        configuration.postEnqueue?(run, result)
    }

    private func report(_ dropped: [ScheduleTable.Dropped]) {
        guard let first = dropped.first else { return }
        logger.notice(
            "missed runs are left out",
            metadata: [
                "entries": "\(dropped.count)", "first_entry_id": "\(first.entry.id)",
                "last_time": "\(Date(milliseconds: first.time).formatted(.iso8601))",
            ]
        )
        for item in dropped {
            guard let error = item.error else { continue }
            configuration.postEnqueue?(run(item.entry, item.entry.occurrence(at: item.time)), .failure(error))
        }
    }
}

extension Int64 {
    fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? (self < 0 ? .min : .max) : product
    }
}
