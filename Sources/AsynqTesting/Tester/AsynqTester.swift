public import Asynq
import Logging

/// Runs handlers in a test: a broker in memory, a clock that the test moves, and a real server between them.
///
/// ```swift
/// @Test func `a reminder goes out after a day`() async throws {
///     let tester = AsynqTester(handler: try makeRouter(mailer))
///     try await SignUp(queue: tester.client).run(user)          // the code under test
///     try tester.broker.expectEnqueued(Reminder(userID: user.id))
///
///     try await tester.advance(by: .hours(24))                  // takes milliseconds
///     #expect(mailer.sent == ["reminder"])
/// }
/// ```
///
/// Retries, schedules, time-outs, leases, retention and periodic tasks all follow the clock; nothing sleeps.
public final class AsynqTester: Sendable {
    /// Stands still until ``advance(by:)``.
    public let clock: ManualClock
    /// Where the tasks are; ask it what was enqueued and what became of it.
    public let broker: MemoryBroker
    /// For the code under test.
    public let client: AsynqClient
    /// For the program's periodic tasks: register them here. It is not to be run or shut down; ``runUntilIdle()`` and
    /// ``advance(by:)`` enqueue what is due, after what was scheduled for the same moment.
    public let scheduler: AsynqScheduler

    private let handler: any TaskHandler
    private let configuration: AsynqServer.Configuration
    private let patience: Duration

    /// - Parameters:
    ///   - handler: what the program's worker runs: its router.
    ///   - clock: default: a new one that begins now.
    ///   - patience: how long handlers may take in real time before a test gives up. Default: 60 s.
    ///   - configure: changes the settings of its server. Without it one handler runs at a time, so that tasks run in
    ///     their order; the log is not shown, and signals are not handled.
    ///   - configureScheduler: changes the settings of its scheduler, such as the time zone.
    public init(
        handler: any TaskHandler = TaskRouter(),
        clock: ManualClock = ManualClock(),
        patience: Duration = .seconds(60),
        configure: (inout AsynqServer.Configuration) -> Void = { _ in },
        configureScheduler: (inout AsynqScheduler.Configuration) -> Void = { _ in }
    ) {
        self.handler = handler
        self.clock = clock
        self.patience = patience
        broker = MemoryBroker(clock: clock)
        client = AsynqClient(broker)
        var configuration = AsynqServer.Configuration(concurrency: 1)
        configuration.handlesSignals = false
        configuration.logger = Logger(label: "asynq") { _ in SwiftLogNoOpLogHandler() }
        var schedulerConfiguration = AsynqScheduler.Configuration()
        schedulerConfiguration.handlesSignals = false
        schedulerConfiguration.logger = configuration.logger
        configure(&configuration)
        configureScheduler(&schedulerConfiguration)
        self.configuration = configuration
        scheduler = AsynqScheduler(broker, configuration: schedulerConfiguration, clock: clock)
        broker.setGroupPolicy(configuration.groupPolicy)
    }

    /// Runs everything that can run now, periodic tasks that are due, and what that enqueues to run now, until nothing is left
    /// to do.
    ///
    /// - Throws: ``UnmetExpectation`` if handlers are still running when the patience is over; `AsynqError` with code
    ///   `invalidArgument` if the scheduler's settings contradict each other, or `serverClosed` if it was run or shut down.
    public func runUntilIdle() async throws {
        try await withServer { _ = try await self.settle() }
    }

    /// Lets time pass, and runs at its moment everything that becomes due: scheduled and periodic tasks, retries, groups that
    /// are ready to be aggregated, tasks of servers that have died.
    ///
    /// - Throws: as ``runUntilIdle()``.
    public func advance(by duration: Duration) async throws {
        let end = clock.now.advanced(by: duration)
        try await withServer {
            while let wait = try await self.settle(), self.clock.now.advanced(by: wait) <= end {
                self.clock.advance(by: wait)
            }
            // A handler may have moved it further.
            self.clock.advance(by: max(.zero, self.clock.now.duration(to: end)))
            _ = try await self.settle()
        }
    }

    /// Runs a server while `body` does its part, for tests of what happens in between.
    public func withServer(_ body: @Sendable () async throws -> Void) async throws {
        let server = AsynqServer(broker, handler: handler, configuration: configuration, clock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            do {
                try await body()
            } catch {
                // Does not wait for handlers, whose time-outs stand still with the clock.
                server.shutdown()
                server.shutdown()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    /// Does all that can be done at this time.
    ///
    /// - Returns: how long until there is more to do; `nil` if nothing waits for its time.
    private func settle() async throws -> Duration? {
        let end = ContinuousClock.now + patience
        while true {
            try Task.checkCancellation()
            // First, as the server has been woken for what was scheduled, and may be at it.
            try await finishTasks(before: end)
            // Handlers may have registered entries, or moved the clock.
            let periodic = try await scheduler.runPending()
            if !periodic.hasWorked, broker.isIdle {
                return [broker.timeUntilDue(), periodic.wait].compactMap(\.self).min()
            }
        }
    }

    private func finishTasks(before end: ContinuousClock.Instant) async throws {
        let isIdle = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [broker] in
                await broker.waitUntilIdle()
                return true
            }
            group.addTask {
                try await ContinuousClock().sleep(until: end)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        guard !isIdle else { return }
        let queues = configuration.queues.keys.sorted()
        let active = queues.flatMap { broker.tasks(in: .active, queue: $0) }
        let pending = queues.reduce(0) { $0 + broker.tasks(in: .pending, queue: $1).count }
        let grouped = broker.read { all, _ in
            all.queues.values.reduce(0) { $0 + $1.tasks.values.count { $0.state == .aggregating } }
        }
        let types = Set(active.map(\.type)).sorted().joined(separator: ", ")
        throw UnmetExpectation(
            "not idle within \(patience): \(active.count) tasks are running"
                + (active.isEmpty ? "" : " (\(types))")
                + ", \(pending) are pending, \(grouped) are in groups. A task in a queue that the "
                + "configuration does not name is never run; a handler must not wait for real time, nor move the clock "
                + "on to where its periodic task is due again"
        )
    }
}

extension MemoryBroker {
    /// How long until the earliest task becomes due, or the first group ready; `nil` if none waits.
    func timeUntilDue() -> Duration? {
        read { state, now in
            let task = state.queues.values.compactMap { $0.waiting.first?.time }.min()
                .map { Duration.nanoseconds(max(0, $0 - now)) }
            let group = state.queues.values.compactMap { $0.timeUntilGroupReady(state.groupPolicy, now: now) }.min()
            return [task, group].compactMap(\.self).min()
        }
    }

    func setGroupPolicy(_ policy: GroupPolicy?) {
        change { state, _ in state.groupPolicy = policy }
    }
}
