internal import Asynq
internal import GRDB
import Synchronization

/// What one server listens to.
final class SQLiteWatch: BrokerWatch {
    private struct State {
        var pending: Set<String> = []
        /// The earliest due time when it was listened to.
        var due: [String: Int64?] = [:]
        var isClosed = false
    }

    private let hub: WatchHub
    private let onSignal: @Sendable (BrokerSignal) -> Void
    private let state = Mutex(State())

    init(hub: WatchHub, onSignal: @escaping @Sendable (BrokerSignal) -> Void) {
        self.hub = hub
        self.onSignal = onSignal
        hub.add(self)
    }

    var isLive: Bool { hub.isLive && !state.withLock { $0.isClosed } }

    func listenForPending(in queue: String, after delay: Duration) {
        // Listens from now on, and looks at what was there before.
        hub.look(after: delay) { [weak self] store in
            guard let self else { return }
            _ = state.withLock { $0.pending.insert(queue) }
            try lookForPending([queue], store)
        }
    }

    func listenForDue(in queues: [String]) async {
        await withCheckedContinuation { continuation in
            let reply = Reply(continuation)
            hub.look { [weak self] store in
                defer { reply.send() }
                for queue in queues {
                    let first = try store.queue(queue).flatMap(store.firstDue)
                    self?.state.withLock { $0.due[queue] = .some(first) }
                }
            }
        }
    }

    func close() async {
        state.withLock { $0.isClosed = true }
        hub.remove(self)
    }

    func signal(_ signal: BrokerSignal) {
        if !state.withLock({ $0.isClosed }) { onSignal(signal) }
    }

    /// Its own broker has changed this.
    func changed(pending: Set<String>, due: Set<String>) {
        for queue in pending { signalPending(queue) }
        for queue in due where state.withLock({ $0.due.removeValue(forKey: queue) }) != nil {
            signal(.due(queue: queue))
        }
    }

    /// Somebody has changed something.
    func look(_ store: TaskStore) throws {
        let (pending, due) = state.withLock { ($0.pending, $0.due) }
        try lookForPending(pending, store)
        for (queue, first) in due where try store.queue(queue).flatMap(store.firstDue) != first {
            if state.withLock({ $0.due.removeValue(forKey: queue) }) != nil { signal(.due(queue: queue)) }
        }
    }

    private func lookForPending(_ queues: Set<String>, _ store: TaskStore) throws {
        for queue in queues where try store.hasPending(queue) { signalPending(queue) }
    }

    private func signalPending(_ queue: String) {
        if state.withLock({ $0.pending.remove(queue) }) != nil { signal(.pending(queue: queue)) }
    }

    /// Answers when it was sent, or when nobody holds it any more.
    private final class Reply: Sendable {
        private let continuation: Mutex<CheckedContinuation<Void, Never>?>
        init(_ continuation: CheckedContinuation<Void, Never>) { self.continuation = Mutex(continuation) }
        func send() { continuation.withLock { $0.take() }?.resume() }
        deinit { send() }
    }
}

extension TaskStore {
    /// Whether a queue has a task to give.
    func hasPending(_ name: String) throws -> Bool {
        guard let queue = try queue(name), !queue.isPaused else { return false }
        return try Bool.fetchOne(
            try statement("SELECT EXISTS (SELECT 1 FROM asynq_task WHERE queue = ? AND state = 2)"),
            arguments: [queue.id]
        ) ?? false
    }
}
