import Asynq
import Synchronization

/// Looks at the queues after each change; always live.
final class MemoryWatch: BrokerWatch {
    private struct State {
        var pending: Set<String> = []
        /// The earliest due time when it was listened to.
        var due: [String: Int64?] = [:]
        var isClosed = false
    }

    private let broker: MemoryBroker
    private let onSignal: @Sendable (BrokerSignal) -> Void
    private let state = Mutex(State())

    init(broker: MemoryBroker, onSignal: @escaping @Sendable (BrokerSignal) -> Void) {
        self.broker = broker
        self.onSignal = onSignal
    }

    var isLive: Bool { true }

    /// At once: the delay spreads the load of many servers, and here a look costs nothing.
    func listenForPending(in queue: String, after delay: Duration) {
        _ = state.withLock { $0.pending.insert(queue) }
        look()
    }

    func listenForDue(in queues: [String]) async {
        let firsts = firsts(of: queues)
        state.withLock { state in
            for (queue, first) in firsts { state.due[queue] = .some(first) }
        }
        look()
    }

    func close() async {
        state.withLock { $0.isClosed = true }
        broker.remove(self)
    }

    func signal(_ signal: BrokerSignal) {
        if !state.withLock({ $0.isClosed }) { onSignal(signal) }
    }

    /// Something may have changed.
    func look() {
        let (pending, due) = state.withLock { (Array($0.pending), $0.due) }
        guard !pending.isEmpty || !due.isEmpty else { return }
        let filled = broker.read { all, _ in
            pending.filter { queue in all.queues[queue].map { !$0.isPaused && !$0.pending.isEmpty } ?? false }
        }
        for queue in filled where state.withLock({ $0.pending.remove(queue) }) != nil {
            signal(.pending(queue: queue))
        }
        for (queue, first) in firsts(of: Array(due.keys)) where due[queue] != .some(first) {
            if state.withLock({ $0.due.removeValue(forKey: queue) }) != nil { signal(.due(queue: queue)) }
        }
    }

    private func firsts(of queues: [String]) -> [(String, Int64?)] {
        broker.read { all, _ in queues.map { ($0, all.queues[$0]?.waiting.first?.time) } }
    }
}
