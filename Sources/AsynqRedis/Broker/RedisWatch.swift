internal import Asynq
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RedisClient
import Synchronization

/// Tells a server of changes by client tracking: on a connection of its own the watch reads a key, and Redis sends it
/// one invalidation at the next write to that key, whoever wrote. A busy queue costs nothing, since nobody listens to
/// it; an idle one costs no polling.
final class RedisWatch: BrokerWatch {
    /// What a tracked key tells of.
    private enum Subject {
        case pending(QueueKeys)
        case due(QueueKeys)
        case groups(QueueKeys)
    }

    private struct State {
        var connection: RedisLane?
        var isLive = false
        var isClosed = false
        /// Queues whose next task is to be signalled.
        var pending: Set<String> = []
        /// Queues whose next change of due times is to be signalled.
        var due: Set<String> = []
        /// Queues whose next new group is to be signalled.
        var groups: Set<String> = []
        /// Groups whose next task is to be signalled, by their keys.
        var growth: [String: GroupReference] = [:]
    }

    private let state = Mutex(State())
    private let subjects: [String: Subject]
    private let queues: [String: QueueKeys]
    private let logger: Logger
    private let onSignal: @Sendable (BrokerSignal) -> Void

    init(
        redis: any RedisTopology,
        queues: [QueueKeys],
        logger: Logger,
        onSignal: @escaping @Sendable (BrokerSignal) -> Void
    ) {
        self.queues = Dictionary(queues.map { ($0.queue, $0) }) { first, _ in first }
        var subjects: [String: Subject] = [:]
        for keys in queues {
            for key in [keys.pending, keys.paused] { subjects[key] = .pending(keys) }
            for key in [keys.scheduled, keys.retry] { subjects[key] = .due(keys) }
            subjects[keys.groups] = .groups(keys)
        }
        self.subjects = subjects
        self.logger = logger
        self.onSignal = onSignal
        let connection = redis.makeListener(for: queues.first.map { .key($0.base) } ?? .any) { [weak self] push in
            self?.received(push)
        } onState: { [weak self] state in
            self?.changed(state)
        }
        state.withLock { $0.connection = connection }
        connection.open()
    }

    var isLive: Bool { state.withLock { $0.isLive } }

    func close() async {
        let connection = state.withLock { state in
            state.isClosed = true
            state.isLive = false
            return state.connection.take()
        }
        await connection?.shutdown()
    }

    // MARK: Listening

    func listenForPending(in queue: String, after delay: Duration) {
        guard let keys = queues[queue] else { return }
        guard delay > .zero else { return look(keys) }
        later(delay) { $0.look(keys) }
    }

    /// A look that Redis refused, because it is loading its data, say, is repeated after this.
    private static let refusalDelay = Duration.seconds(1)

    private func later(_ delay: Duration, _ body: @escaping @Sendable (RedisWatch) -> Void) {
        MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            if let self { body(self) }
        }
    }

    /// Reads the length of the queue: from now on Redis tells of changes, and what was there before is seen here.
    private func look(_ keys: QueueKeys) {
        let connection = state.withLock { state -> RedisLane? in
            guard state.isLive else { return nil }
            state.pending.insert(keys.queue)
            return state.connection
        }
        _ = connection?.submit([RESPCommand("LLEN", keys.pending), RESPCommand("EXISTS", keys.paused)]) {
            [weak self] replies in
            guard let self else { return }
            guard case .success(let length) = replies[0], case .success(let paused) = replies[1] else {
                // A lost connection is signalled by itself.
                if isLive { later(Self.refusalDelay) { $0.look(keys) } }
                return
            }
            if paused.int == 0, let length = length.int, length > 0 { signalPending(keys) }
        }
    }

    func listenForDue(in queues: [String]) async {
        let keys = queues.compactMap { self.queues[$0] }
        let commands = keys.flatMap { keys in
            [RESPCommand("ZCARD", keys.scheduled), RESPCommand("ZCARD", keys.retry)]
        }
        await read(commands) { $0.due.formUnion(keys.map(\.queue)) }
    }

    func listenForGroups(in queues: [String]) async {
        let keys = queues.compactMap { self.queues[$0] }
        await read(keys.map { RESPCommand("SCARD", $0.groups) }) { state in
            state.groups.formUnion(keys.map(\.queue))
        }
    }

    func listenForGrowth(of groups: [GroupReference]) async {
        let keys = groups.compactMap { group in queues[group.queue].map { ($0.group(group.name), group) } }
        await read(keys.map { RESPCommand("ZCARD", $0.0) }) { state in
            state.growth.merge(keys) { $1 }
        }
    }

    /// Reads keys, so that Redis tells of their next change. Returns when it will, or when there is no connection.
    private func read(_ commands: [RESPCommand], _ remember: (inout State) -> Void) async {
        let connection = state.withLock { state -> RedisLane? in
            guard state.isLive, !commands.isEmpty else { return nil }
            remember(&state)
            return state.connection
        }
        guard let connection else { return }
        let replies = await withCheckedContinuation { continuation in
            _ = connection.submit(commands) { continuation.resume(returning: $0) }
        }
        let isRefused = replies.contains { if case .failure = $0 { true } else { false } }
        if isRefused {
            // Of some changes nothing will tell, so everything is looked at once more.
            later(Self.refusalDelay) { if $0.isLive { $0.onSignal(.live) } }
        }
    }

    // MARK: Hearing

    private func received(_ push: RedisPush) {
        switch push {
        case .invalidate(let keys?):
            for key in keys {
                let key = String(buffer: key)
                switch subjects[key] {
                case .pending(let queue): signalPending(queue)
                case .due(let queue): signalDue(queue)
                case .groups(let queue): signalGroups(queue)
                case nil: signalGrowth(key)
                }
            }
        case .invalidate(nil):
            // All keys were flushed.
            for keys in queues.values {
                signalPending(keys)
                signalDue(keys)
                signalGroups(keys)
            }
            for key in state.withLock({ Array($0.growth.keys) }) { signalGrowth(key) }
        case .message(_, let payload):
            onSignal(.cancel(taskID: String(buffer: payload)))
        case .other: break
        }
    }

    private func signalPending(_ keys: QueueKeys) {
        if state.withLock({ $0.pending.remove(keys.queue) }) != nil { onSignal(.pending(queue: keys.queue)) }
    }

    private func signalDue(_ keys: QueueKeys) {
        if state.withLock({ $0.due.remove(keys.queue) }) != nil { onSignal(.due(queue: keys.queue)) }
    }

    private func signalGroups(_ keys: QueueKeys) {
        if state.withLock({ $0.groups.remove(keys.queue) }) != nil { onSignal(.groups(queue: keys.queue)) }
    }

    private func signalGrowth(_ key: String) {
        if let group = state.withLock({ $0.growth.removeValue(forKey: key) }) { onSignal(.grown(group)) }
    }

    private func changed(_ connectionState: RedisLane.ConnectionState) {
        switch connectionState {
        case .connected:
            guard let connection = state.withLock({ $0.connection }) else { return }
            let commands = [RESPCommand("CLIENT", "TRACKING", "ON"), RESPCommand("SUBSCRIBE", RedisKeys.cancelChannel)]
            _ = connection.submit(commands) { [weak self] replies in self?.setUp(replies) }
        case .disconnected:
            let wasLive = state.withLock { state in
                defer {
                    state.isLive = false
                    state.pending = []
                    state.due = []
                    state.groups = []
                    state.growth = [:]
                }
                return state.isLive && !state.isClosed
            }
            if wasLive { onSignal(.lost) }
        }
    }

    private func setUp(_ replies: [Result<RESPValue, RedisError>]) {
        for (what, reply) in zip(["new tasks", "cancellations"], replies) {
            guard case .failure(let error) = reply, error.code == .serverError else { continue }
            logger.warning("cannot be notified of \(what)", metadata: ["error": "\(error)"])
        }
        guard case .success = replies[0] else { return }
        let isLive = state.withLock { state in
            state.isLive = !state.isClosed
            return state.isLive
        }
        if isLive { onSignal(.live) }
    }
}
