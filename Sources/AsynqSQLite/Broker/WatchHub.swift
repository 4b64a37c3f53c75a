internal import Asynq
internal import Dispatch
internal import GRDB
internal import Logging
import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Tells the watches of one broker what has happened: at once what this broker did, and within ``interval`` what another
/// process or connection did, by a number that SQLite keeps in shared memory.
final class WatchHub: Sendable {
    private struct State {
        var watches: [ObjectIdentifier: SQLiteWatch] = [:]
        var isPolling = false
        var isClosed = false
        var isLive = true
        /// Only used on the reader's queue.
        var version: Int64 = -1
        var lastCancellation: Int64 = 0
    }

    /// Microseconds. A look takes about a hundred of them with the change of threads, so seventy a second are less than a
    /// hundredth of a core.
    private static let interval: UInt32 = 14_000

    private let file: SQLiteFile
    private let logger: Logger
    private let state = Mutex(State())
    /// A thread that sleeps and looks: half the cost of a timer, which needs one thread to be woken and another to look.
    private let poller = DispatchQueue(label: "asynq.sqlite.watch")

    init(_ file: SQLiteFile, logger: Logger) {
        self.file = file
        self.logger = logger
    }

    var isLive: Bool { state.withLock { $0.isLive } }
    var isPolling: Bool { state.withLock { $0.isPolling } }

    func add(_ watch: SQLiteWatch) {
        // Its server may have taken a task, and somebody cancelled it, before it is added.
        let beginning = file.time()
        file.readerQueue.async { [self] in
            let (isOpen, isFirst) = state.withLock { state in
                guard !state.isClosed else { return (false, false) }
                state.watches[ObjectIdentifier(watch)] = watch
                defer { state.isPolling = true }
                return (true, !state.isPolling)
            }
            if isFirst { start() }
            watch.signal(isLive ? .live : .lost)
            if isOpen { tellCancellations(since: beginning, to: watch) }
        }
    }

    /// Those that all others have been told of.
    private func tellCancellations(since beginning: Int64, to watch: SQLiteWatch) {
        attempt {
            let last = state.withLock { $0.lastCancellation }
            for cancellation in try file.readNow({ try $0.cancellations(since: beginning) })
            where cancellation.number <= last {
                watch.signal(.cancel(taskID: cancellation.task))
            }
        }
    }

    func remove(_ watch: SQLiteWatch) {
        // After it has been added.
        file.readerQueue.async { [self] in
            _ = state.withLock { $0.watches.removeValue(forKey: ObjectIdentifier(watch)) }
        }
    }

    func close() async {
        state.withLock { state in
            state.isClosed = true
            state.watches = [:]
        }
        // A look that has begun is over when this is.
        await withCheckedContinuation { continuation in
            file.readerQueue.async { continuation.resume() }
        }
    }

    /// This broker has committed this.
    func changed(pending: Set<String>, due: Set<String>, groups: Set<GroupReference>) {
        for watch in state.withLock({ Array($0.watches.values) }) {
            watch.changed(pending: pending, due: due, groups: groups)
        }
    }

    /// Does something on the reader's queue, with the store; not at all if the hub is closed.
    func look(after delay: Duration = .zero, _ body: @escaping @Sendable (TaskStore) throws -> Void) {
        let work: @Sendable () -> Void = { [self] in
            guard !state.withLock({ $0.isClosed }) else { return }
            attempt { try file.readNow(body) }
        }
        if delay > .zero {
            let nanoseconds = Int(clamping: delay.nanosecondsClamped)
            file.readerQueue.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds), execute: work)
        } else {
            file.readerQueue.async(execute: work)
        }
    }

    // MARK: Polling

    private func start() {
        attempt {
            let last = try file.readNow { try $0.lastCancellation() }
            state.withLock { $0.lastCancellation = last }
        }
        // SQLite tells nobody of what another process commits, so a thread of its own asks, and naps in between.
        poller.async { [weak self] in
            repeat { usleep(Self.interval) } while self?.poll() ?? false
        }
    }

    /// - Returns: whether anybody waits still.
    private func poll() -> Bool {
        // Nothing is handed to another thread by this.
        file.readerQueue.sync {
            let isWanted = state.withLock { state in
                state.isPolling = !state.watches.isEmpty
                return state.isPolling
            }
            if isWanted { lookForChanges() }
            return isWanted
        }
    }

    private func lookForChanges() {
        attempt {
            let version = try file.dataVersion()
            guard state.withLock({ $0.version != version }) else { return }
            try file.readNow { store in
                let (watches, last) = state.withLock { (Array($0.watches.values), $0.lastCancellation) }
                let cancellations = try store.cancellations(after: last)
                if let number = cancellations.last?.number { state.withLock { $0.lastCancellation = number } }
                for watch in watches {
                    for cancellation in cancellations { watch.signal(.cancel(taskID: cancellation.task)) }
                    try watch.look(store)
                }
            }
            // Not before all of it has been seen: what fails is done again.
            state.withLock { $0.version = version }
        }
    }

    /// Does what may fail, and tells when that begins and ends.
    private func attempt(_ body: () throws -> Void) {
        var failure: (any Error)?
        do { try body() } catch { failure = error }
        let isLive = failure == nil
        let (hasChanged, watches) = state.withLock { state in
            defer { state.isLive = isLive }
            return (state.isLive != isLive, Array(state.watches.values))
        }
        guard hasChanged else { return }
        if let failure {
            let error = AsynqError(sqlite: failure, path: file.path, busyTimeout: .zero)
            logger.error("cannot read the SQLite file; polling until that works again", metadata: ["error": "\(error)"])
        } else {
            logger.info("the SQLite file can be read again", metadata: ["path": "\(file.path)"])
        }
        for watch in watches { watch.signal(isLive ? .live : .lost) }
    }
}
