internal import Asynq
internal import Dispatch
internal import GRDB
internal import Logging
import Synchronization

/// Tells the watches of one broker what has happened: at once what this broker did, and within ``interval`` what another
/// process or connection did, by a number that SQLite keeps in shared memory.
final class WatchHub: Sendable {
    /// Sources of Dispatch may be used from any thread; they only do not say so.
    private struct Timer: @unchecked Sendable {
        let source: any DispatchSourceTimer
    }

    private struct State {
        var watches: [ObjectIdentifier: SQLiteWatch] = [:]
        var timer: Timer?
        var isClosed = false
        var isLive = true
        /// Only used on the reader's queue.
        var version: Int64 = -1
        var lastCancellation: Int64 = 0
    }

    /// A look takes some microseconds, so a hundred a second are a fraction of a per cent of a core.
    private static let interval = DispatchTimeInterval.milliseconds(10)

    private let file: SQLiteFile
    private let logger: Logger
    private let state = Mutex(State())

    init(_ file: SQLiteFile, logger: Logger) {
        self.file = file
        self.logger = logger
    }

    var isLive: Bool { state.withLock { $0.isLive } }

    func add(_ watch: SQLiteWatch) {
        file.readerQueue.async { [self] in
            let isFirst = state.withLock { state in
                guard !state.isClosed else { return false }
                state.watches[ObjectIdentifier(watch)] = watch
                return state.timer == nil
            }
            if isFirst { start() }
            watch.signal(isLive ? .live : .lost)
        }
    }

    func remove(_ watch: SQLiteWatch) {
        let timer = state.withLock { state -> Timer? in
            state.watches[ObjectIdentifier(watch)] = nil
            return state.watches.isEmpty ? state.timer.take() : nil
        }
        timer?.source.cancel()
    }

    func close() async {
        let timer = state.withLock { state in
            state.isClosed = true
            state.watches = [:]
            return state.timer.take()
        }
        timer?.source.cancel()
        // A look that has begun is over when this is.
        await withCheckedContinuation { continuation in
            file.readerQueue.async { continuation.resume() }
        }
    }

    /// This broker has committed this.
    func changed(pending: Set<String>, due: Set<String>) {
        for watch in state.withLock({ Array($0.watches.values) }) { watch.changed(pending: pending, due: due) }
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
        let timer = Timer(source: DispatchSource.makeTimerSource(queue: file.readerQueue))
        timer.source.schedule(deadline: .now() + Self.interval, repeating: Self.interval, leeway: .milliseconds(2))
        timer.source.setEventHandler { [weak self] in self?.tick() }
        state.withLock { $0.timer = timer }
        timer.source.resume()
    }

    private func tick() {
        guard !state.withLock({ $0.isClosed }) else { return }
        attempt {
            try file.readNow { store in
                let version = try Int64.fetchOne(try store.statement("PRAGMA data_version")) ?? 0
                let isNew = state.withLock { state in
                    defer { state.version = version }
                    return state.version != version
                }
                guard isNew else { return }
                let (watches, last) = state.withLock { (Array($0.watches.values), $0.lastCancellation) }
                let cancellations = try store.cancellations(after: last)
                if let number = cancellations.last?.number { state.withLock { $0.lastCancellation = number } }
                for watch in watches {
                    for cancellation in cancellations { watch.signal(.cancel(taskID: cancellation.task)) }
                    try watch.look(store)
                }
            }
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
