internal import Asynq
internal import GRDB
import Synchronization

/// What one server listens to.
final class SQLiteWatch: BrokerWatch {
    private struct State {
        var pending: Set<String> = []
        /// The earliest due time when it was listened to.
        var due: [String: Int64?] = [:]
        /// The groups that there were when they were listened to.
        var groups: [String: Set<String>] = [:]
        /// Groups whose next task is to be signalled.
        var growth: Set<GroupReference> = []
        /// What has been seen of the groups of each queue.
        var marks: [String: TaskStore.GroupMark] = [:]
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

    func isLive(for queue: String) -> Bool { hub.isLive && !state.withLock { $0.isClosed } }

    func listenForPending(in queue: String, after delay: Duration) {
        // Listens from now on, and looks at what was there before.
        hub.look(after: delay) { [weak self] store in
            guard let self else { return }
            _ = state.withLock { $0.pending.insert(queue) }
            try lookForPending([queue], store)
        }
    }

    func listenForDue(in queues: [String]) async {
        await look { watch, store in
            for queue in queues {
                let first = try store.queue(queue).flatMap(store.firstDue)
                watch.state.withLock { $0.due[queue] = .some(first) }
            }
        }
    }

    func listenForGroups(in queues: [String]) async {
        await look { watch, store in
            for queue in queues {
                let names = Set(try store.queue(queue).map(store.groups) ?? [])
                let mark = try store.groupMark(queue)
                watch.state.withLock { state in
                    state.groups[queue] = names
                    if state.marks[queue] == nil { state.marks[queue] = mark }
                }
            }
        }
    }

    func listenForGrowth(of groups: [GroupReference]) async {
        await look { watch, store in
            var marks: [String: TaskStore.GroupMark] = [:]
            for queue in Set(groups.map(\.queue)) { marks[queue] = try store.groupMark(queue) }
            watch.state.withLock { state in
                state.growth.formUnion(groups)
                // One that is known stays: what has come since is not yet seen.
                state.marks.merge(marks) { old, _ in old }
            }
        }
    }

    /// Returns when `body` has looked, or cannot.
    private func look(_ body: @escaping @Sendable (SQLiteWatch, TaskStore) throws -> Void) async {
        await withCheckedContinuation { continuation in
            let reply = Reply(continuation)
            hub.look { [weak self] store in
                defer { reply.send() }
                if let self { try body(self, store) }
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
    func changed(pending: Set<String>, due: Set<String>, groups: Set<GroupReference>) {
        grown(groups)
        for queue in pending { signalPending(queue) }
        for queue in due where state.withLock({ $0.due.removeValue(forKey: queue) }) != nil {
            signal(.due(queue: queue))
        }
    }

    /// Somebody has changed something.
    func look(_ store: TaskStore) throws {
        let (pending, due, marks) = state.withLock { ($0.pending, $0.due, $0.marks) }
        for (queue, mark) in marks {
            let new = try store.groupMark(queue)
            guard new != mark else { continue }
            state.withLock { $0.marks[queue] = new }
            grown(try store.groupsGrown(queue, since: mark))
        }
        try lookForPending(pending, store)
        for (queue, first) in due where try store.queue(queue).flatMap(store.firstDue) != first {
            if state.withLock({ $0.due.removeValue(forKey: queue) }) != nil { signal(.due(queue: queue)) }
        }
    }

    /// Tasks have come into these groups.
    private func grown(_ groups: Set<GroupReference>) {
        for group in groups {
            let (hasGrown, isNew) = state.withLock { state in
                let isNew = state.groups[group.queue].map { !$0.contains(group.name) } ?? false
                if isNew { state.groups[group.queue] = nil }
                return (state.growth.remove(group) != nil, isNew)
            }
            if hasGrown { signal(.grown(group)) }
            if isNew { signal(.groups(queue: group.queue)) }
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
