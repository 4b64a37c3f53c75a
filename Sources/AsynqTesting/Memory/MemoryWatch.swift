import Asynq
import Synchronization

/// Looks at the queues after each change; always live.
final class MemoryWatch: BrokerWatch {
    private struct State {
        var pending: Set<String> = []
        /// The earliest due time when it was listened to.
        var due: [String: Int64?] = [:]
        /// The groups that there were when they were listened to.
        var groups: [String: Set<String>] = [:]
        /// The newest task of a group when it was listened to, and how many it had.
        var growth: [GroupReference: GroupMark] = [:]
        var isClosed = false
    }

    /// How far a group has grown.
    private struct GroupMark: Equatable {
        var count = 0
        var newest: Int64?
    }

    private let broker: MemoryBroker
    private let onSignal: @Sendable (BrokerSignal) -> Void
    private let state = Mutex(State())

    init(broker: MemoryBroker, onSignal: @escaping @Sendable (BrokerSignal) -> Void) {
        self.broker = broker
        self.onSignal = onSignal
    }

    func isLive(for queue: String) -> Bool { true }

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

    func listenForGroups(in queues: [String]) async {
        let names = broker.read { all, _ in queues.map { ($0, all.groupNames(of: $0)) } }
        state.withLock { state in
            for (queue, names) in names { state.groups[queue] = names }
        }
        look()
    }

    func listenForGrowth(of groups: [GroupReference]) async {
        let marks = marks(of: groups)
        state.withLock { $0.growth.merge(marks) { $1 } }
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
        let (pending, due, groups, growth) = state.withLock { (Array($0.pending), $0.due, $0.groups, $0.growth) }
        lookForGroups(groups)
        for (group, mark) in marks(of: Array(growth.keys)) where growth[group] != mark {
            if state.withLock({ $0.growth.removeValue(forKey: group) }) != nil { signal(.grown(group)) }
        }
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

    private func lookForGroups(_ known: [String: Set<String>]) {
        guard !known.isEmpty else { return }
        let new = broker.read { all, _ in
            known.keys.filter { queue in !all.groupNames(of: queue).isSubset(of: known[queue] ?? []) }
        }
        for queue in new where state.withLock({ $0.groups.removeValue(forKey: queue) }) != nil {
            signal(.groups(queue: queue))
        }
    }

    private func marks(of groups: [GroupReference]) -> [GroupReference: GroupMark] {
        guard !groups.isEmpty else { return [:] }
        return broker.read { all, _ in
            Dictionary(
                groups.map { group in
                    let tasks = all.queues[group.queue]?.groups[group.name]
                    return (group, GroupMark(count: tasks?.count ?? 0, newest: tasks?.last?.time))
                }
            ) { $1 }
        }
    }

    private func firsts(of queues: [String]) -> [(String, Int64?)] {
        broker.read { all, _ in queues.map { ($0, all.queues[$0]?.waiting.first?.time) } }
    }
}

extension MemoryBroker.State {
    func groupNames(of queue: String) -> Set<String> { Set(queues[queue]?.groups.keys.map(\.self) ?? []) }
}
