public import ServiceLifecycle
import Synchronization

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Enqueues tasks again and again: at the times of a cron expression, or at an interval.
///
/// ```swift
/// let scheduler = AsynqScheduler(broker)
/// try scheduler.register("30 9 * * mon-fri", DailyReport(), .queue("low"), timeZone: berlin)
/// try scheduler.register("@every 10m", AsynqTask("cache:refresh"), missed: .one)
/// try await scheduler.run()
/// ```
///
/// Any number of schedulers may have the same entries, in any number of processes: each run of an entry is enqueued
/// once. One of them is at work, and when it dies another one takes over within ``Configuration/leaseDuration``. Times
/// are those of the broker's clock.
///
/// It is a service of swift-service-lifecycle, to be run alone or in a `ServiceGroup`. It shuts down when its task is
/// cancelled, when a graceful shutdown is triggered, at SIGTERM or SIGINT, and at ``shutdown()``.
public final class AsynqScheduler: Service {
    private enum Lifecycle {
        case new, running, closed
    }

    private let broker: any Broker
    private let configuration: Configuration
    private let engine: SchedulerEngine
    private let lifecycle = Mutex(Lifecycle.new)

    /// - Parameters:
    ///   - broker: where the tasks go.
    ///   - configuration: checked when the scheduler starts.
    public convenience init(_ broker: any Broker, configuration: Configuration = .init()) {
        self.init(broker, configuration: configuration, clock: ContinuousClock())
    }

    package init<C: Clock>(_ broker: any Broker, configuration: Configuration, clock: C) where C.Duration == Duration {
        self.broker = broker
        self.configuration = configuration
        engine = SchedulerEngine(broker: broker, configuration: configuration, clock: LoopClock(clock))
    }

    /// Whether this is the one at work among the schedulers with the same entries.
    public var isAtWork: Bool { engine.isAtWork }

    // MARK: Entries

    /// Adds an entry; also while the scheduler runs.
    ///
    /// - Parameters:
    ///   - spec: when; see ``CronExpression``.
    ///   - task: what is enqueued each time.
    ///   - options: override those of the task. A run has a task id of its own unless the options name one.
    ///   - id: see ``PeriodicTaskConfig/id``.
    ///   - timeZone: of the spec. Default: the scheduler's.
    ///   - missed: what becomes of times at which the task could not be enqueued. Default: they are left out.
    /// - Returns: the entry's id.
    /// - Throws: ``AsynqError``: `invalidArgument` if the spec or an option is wrong, `duplicateEntry` if the scheduler has
    ///   the entry already.
    @discardableResult
    public func register(
        _ spec: String,
        _ task: AsynqTask,
        _ options: TaskOption...,
        id: String? = nil,
        timeZone: TimeZone? = nil,
        missed: MissedRuns = .skip
    ) throws -> String {
        try register(
            PeriodicTaskConfig(spec, task, options: options, id: id, timeZone: timeZone, missed: missed)
        )
    }

    /// Adds an entry that enqueues a typed payload.
    ///
    /// - Throws: as the other, or what the payload's coder throws.
    @discardableResult
    public func register(
        _ spec: String,
        _ payload: some TaskPayload,
        _ options: TaskOption...,
        id: String? = nil,
        timeZone: TimeZone? = nil,
        missed: MissedRuns = .skip
    ) throws -> String {
        let task = try payload.asTask()
        return try register(
            PeriodicTaskConfig(spec, task, options: options, id: id, timeZone: timeZone, missed: missed)
        )
    }

    /// Adds an entry.
    @discardableResult
    public func register(_ config: PeriodicTaskConfig) throws(AsynqError) -> String {
        let entry = try makeEntry(config)
        try change(adding: [entry], removing: [])
        return entry.id
    }

    /// Removes an entry; also while the scheduler runs. Its history stays.
    ///
    /// - Throws: ``AsynqError`` with code `entryNotFound` if there is none with this id.
    public func unregister(_ id: String) throws(AsynqError) {
        try change(adding: [], removing: [id])
    }

    func makeEntry(_ config: PeriodicTaskConfig) throws(AsynqError) -> PeriodicEntry {
        try PeriodicEntry(config, timeZone: configuration.timeZone)
    }

    /// All of it, or nothing.
    func change(adding added: [PeriodicEntry], removing removed: [String]) throws(AsynqError) {
        try engine.change(adding: added, removing: removed)
    }

    // MARK: Life

    /// Works until the scheduler is shut down. What inspectors see of its entries is removed then; their histories stay.
    ///
    /// - Throws: ``AsynqError``: `invalidArgument` for a configuration that contradicts itself, `serverClosed` if the
    ///   scheduler runs or has run before, `brokerUnavailable` or `brokerFailure` if the broker cannot be used. An error
    ///   later on, such as a broker that goes away, is logged and does not end it.
    public func run() async throws {
        try configuration.validate()
        try lifecycle.withLock { lifecycle in
            switch lifecycle {
            case .new: lifecycle = .running
            case .running: throw AsynqError(.serverClosed, "the scheduler is running already")
            case .closed: throw AsynqError(.serverClosed, "the scheduler has been closed: make a new one")
            }
        }
        defer { lifecycle.withLock { $0 = .closed } }
        try await broker.connect()

        let engine = engine
        let trap = configuration.handlesSignals ? SignalTrap(onTermination: { engine.requestShutdown() }) : nil
        defer { trap?.release() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                // A task of its own, because cancelling the caller begins the shutdown, which must still be able to
                // store what has been begun.
                await Task { await engine.run() }.value
            } onGracefulShutdown: {
                engine.requestShutdown()
            }
        } onCancel: {
            engine.requestShutdown()
        }
    }

    /// Begins the shutdown; ``run()`` returns when it is complete.
    public func shutdown() { engine.requestShutdown() }

    /// What a scheduler that does not run has done at one moment.
    package struct PendingRuns: Sendable {
        /// Whether there was something to do.
        package var hasWorked = false
        /// How long until there is more to do, or until the lease of another scheduler may have ended; `nil`: until entries
        /// change.
        package var wait: Duration?
    }

    /// Enqueues all that is due now without running: for a test that moves the clock itself.
    ///
    /// - Throws: ``AsynqError`` with code `serverClosed` if it runs or has run, or if it has been shut down and has entries.
    package func runPending() async throws -> PendingRuns {
        try configuration.validate()
        guard lifecycle.withLock({ $0 == .new }) else {
            throw AsynqError(.serverClosed, "a scheduler that is moved by a test's clock is not to be run")
        }
        return try await engine.runPending()
    }
}
