import Logging
public import ServiceLifecycle
import Synchronization

/// A scheduler whose entries come from somewhere else, such as a database or a file, and change while it runs.
///
/// ```swift
/// let manager = PeriodicTaskManager(broker) {
///     try await reports.all().map { report in
///         PeriodicTaskConfig(report.schedule, try BuildReport(id: report.id).asTask(), id: "report-\(report.id)")
///     }
/// }
/// try await manager.run()
/// ```
///
/// The provider is asked at start and then at an interval; what has been added is registered and what is missing
/// unregistered. Entries that stay the same go on undisturbed. For all else see ``AsynqScheduler``.
public final class PeriodicTaskManager: Service {
    /// Gives all the entries that there are to be. It must end when its task is cancelled.
    public typealias Provider = @Sendable () async throws -> [PeriodicTaskConfig]

    private let scheduler: AsynqScheduler
    let syncInterval: Duration
    private let provider: Provider
    private let clock: LoopClock
    private let logger: Logger
    private let entries = Mutex<[String: PeriodicEntry]>([:])

    /// - Parameters:
    ///   - broker: where the tasks go.
    ///   - configuration: of the scheduler.
    ///   - syncInterval: how often the provider is asked. Default: 3 min.
    ///   - provider: gives the entries.
    public convenience init(
        _ broker: any Broker,
        configuration: AsynqScheduler.Configuration = .init(),
        syncInterval: Duration = .minutes(3),
        provider: @escaping Provider
    ) {
        self.init(
            broker,
            configuration: configuration,
            syncInterval: syncInterval,
            clock: ContinuousClock(),
            provider: provider
        )
    }

    package init<C: Clock>(
        _ broker: any Broker,
        configuration: AsynqScheduler.Configuration,
        syncInterval: Duration,
        clock: C,
        provider: @escaping Provider
    ) where C.Duration == Duration {
        scheduler = AsynqScheduler(broker, configuration: configuration, clock: clock)
        self.syncInterval = syncInterval
        self.provider = provider
        self.clock = LoopClock(clock)
        logger = configuration.logger
    }

    /// Whether this is the one at work among those with the same entries.
    public var isAtWork: Bool { scheduler.isAtWork }

    /// Works until it is shut down.
    ///
    /// - Throws: what the provider throws at start; ``AsynqError`` with code `invalidArgument` or `duplicateEntry` if one
    ///   of its first entries is wrong; otherwise as ``AsynqScheduler/run()``. Later on such errors are logged, and
    ///   change nothing: the entries stay as they were.
    public func run() async throws {
        guard syncInterval > .zero else {
            throw AsynqError(.invalidArgument, "periodic task manager: syncInterval must be more than zero")
        }
        try await sync()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.syncRepeatedly() }
            defer { group.cancelAll() }
            try await scheduler.run()
        }
    }

    /// Begins the shutdown; ``run()`` returns when it is complete.
    public func shutdown() { scheduler.shutdown() }

    private func syncRepeatedly() async {
        while !Task.isCancelled {
            try? await clock.sleep(syncInterval)
            if Task.isCancelled { return }
            do {
                try await sync()
            } catch {
                if Task.isCancelled { return }
                logger.error(
                    "periodic tasks could not be brought up to date and stay as they are",
                    metadata: ["error": "\(error)"]
                )
            }
        }
    }

    private func sync() async throws {
        var wanted: [String: PeriodicEntry] = [:]
        // In their order, for that is how inspectors show them.
        var added: [PeriodicEntry] = []
        let current = entries.withLock { $0 }
        for config in try await provider() {
            let entry = try scheduler.makeEntry(config)
            guard wanted.updateValue(entry, forKey: entry.id) == nil else {
                throw AsynqError(
                    .duplicateEntry,
                    "two entries are the same (\(entry.spec) \(entry.task.type)): one that is to run twice needs an id of its own"
                )
            }
            if let old = current[entry.id], old.isSame(as: entry) {
                wanted[entry.id] = old
            } else {
                added.append(entry)
            }
        }
        let removed = current.values.filter { wanted[$0.id] !== $0 }.map(\.id)
        guard !added.isEmpty || !removed.isEmpty else { return }
        try scheduler.change(adding: added, removing: removed)
        entries.withLock { $0 = wanted }
        logger.info(
            "periodic tasks have changed",
            metadata: ["added": "\(added.count)", "removed": "\(removed.count)"]
        )
    }
}
