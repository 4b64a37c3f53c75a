internal import Asynq
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RedisClient
import Synchronization

/// Tells a server of changes by client tracking: on a connection of its own the watch reads a key, and Redis sends it
/// one invalidation at the next write to that key, whoever wrote. A busy queue costs nothing, since nobody listens to
/// it; an idle one costs no polling. On a Cluster each queue has a connection, to the node that holds it.
final class RedisWatch: BrokerWatch {
    /// What a tracked key tells of.
    private enum Subject {
        case pending(QueueKeys)
        case due(QueueKeys)
        case groups(QueueKeys)
    }

    private struct State {
        var connections: [RedisLane] = []
        /// Which of them are there and set up.
        var live: Set<Int> = []
        var isClosed = false
        /// Queues whose next task is to be signalled.
        var pending: Set<String> = []
        /// Queues whose next change of due times is to be signalled.
        var due: Set<String> = []
        /// Queues whose next new group is to be signalled.
        var groups: Set<String> = []
        /// Groups whose next task is to be signalled, by their keys.
        var growth: [String: GroupReference] = [:]

        func isLive(_ place: Int) -> Bool { !isClosed && live.contains(place) }
        var isWhollyLive: Bool { !isClosed && live.count == connections.count }

        mutating func forgetAwaited() { (pending, due, groups, growth) = ([], [], [], [:]) }
    }

    private let redis: any RedisTopology
    private let state = Mutex(State())
    private let subjects: [String: Subject]
    private let queues: [String: QueueKeys]
    /// Which connection is for a queue.
    private let places: [String: Int]
    private let logger: Logger
    private let onSignal: @Sendable (BrokerSignal) -> Void

    init(
        redis: any RedisTopology,
        queues: [QueueKeys],
        logger: Logger,
        onSignal: @escaping @Sendable (BrokerSignal) -> Void
    ) {
        self.redis = redis
        self.queues = Dictionary(queues.map { ($0.queue, $0) }) { first, _ in first }
        let isSpread = redis.spreadsKeys && !queues.isEmpty
        places = Dictionary(queues.enumerated().map { ($1.queue, isSpread ? $0 : 0) }) { first, _ in first }
        var subjects: [String: Subject] = [:]
        for keys in queues {
            for key in [keys.pending, keys.paused] { subjects[key] = .pending(keys) }
            for key in [keys.scheduled, keys.retry] { subjects[key] = .due(keys) }
            subjects[keys.groups] = .groups(keys)
        }
        self.subjects = subjects
        self.logger = logger
        self.onSignal = onSignal
        let routes: [RedisRoute] = queues.map { .key($0.base) }
        let connections = (isSpread ? routes : [routes.first ?? .any]).enumerated().map { place, route in
            redis.makeListener(for: route) { [weak self] push in
                self?.received(push)
            } onState: { [weak self] state in
                self?.changed(state, place)
            }
        }
        state.withLock { $0.connections = connections }
        for connection in connections { connection.open() }
    }

    func isLive(for queue: String) -> Bool { state.withLock { $0.isLive(place(queue)) } }

    private func place(_ queue: String) -> Int { places[queue] ?? 0 }

    func close() async {
        let connections = state.withLock { state in
            state.isClosed = true
            defer { state.connections = [] }
            return state.connections
        }
        for connection in connections { await connection.shutdown() }
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
            let place = place(keys.queue)
            // Also where there is no connection: when there is one, that is worth a look.
            state.pending.insert(keys.queue)
            return state.isLive(place) ? state.connections[place] : nil
        }
        _ = connection?.submit([RESPCommand("LLEN", keys.pending), RESPCommand("EXISTS", keys.paused)]) {
            [weak self] replies in
            guard let self else { return }
            guard case .success(let length) = replies[0], case .success(let paused) = replies[1] else {
                notice(replies)
                // A lost connection is signalled by itself.
                if isLive(for: keys.queue) { later(Self.refusalDelay) { $0.look(keys) } }
                return
            }
            if paused.int == 0, let length = length.int, length > 0 { signalPending(keys) }
        }
    }

    func listenForDue(in queues: [String]) async {
        let keys = queues.compactMap { self.queues[$0] }
        let commands = keys.flatMap { keys in
            [RESPCommand("ZCARD", keys.scheduled), RESPCommand("ZCARD", keys.retry)].map { (keys.queue, $0) }
        }
        await read(commands) { $0.due.formUnion(keys.map(\.queue)) }
    }

    func listenForGroups(in queues: [String]) async {
        let keys = queues.compactMap { self.queues[$0] }
        await read(keys.map { ($0.queue, RESPCommand("SCARD", $0.groups)) }) { state in
            state.groups.formUnion(keys.map(\.queue))
        }
    }

    func listenForGrowth(of groups: [GroupReference]) async {
        let keys = groups.compactMap { group in queues[group.queue].map { ($0.group(group.name), group) } }
        await read(keys.map { ($0.1.queue, RESPCommand("ZCARD", $0.0)) }) { state in
            // Of these there may be ever others: where nothing will be heard of them they would only pile up.
            state.growth.merge(keys.filter { state.isLive(place($0.1.queue)) }) { $1 }
        }
    }

    /// Reads keys, so that Redis tells of their next change. Returns when it will; where there is no connection, at once.
    ///
    /// - Parameter commands: each with its queue.
    private func read(_ commands: [(queue: String, command: RESPCommand)], _ remember: (inout State) -> Void) async {
        let parts = state.withLock { state -> [(connection: RedisLane, commands: [RESPCommand])] in
            remember(&state)
            return Dictionary(grouping: commands) { place($0.queue) }
                .filter { state.isLive($0.key) }
                .map { (state.connections[$0], $1.map(\.command)) }
        }
        guard !parts.isEmpty else { return }
        let isRefused = await withTaskGroup(of: Bool.self) { group in
            for part in parts {
                group.addTask { await self.isRefused(part.commands, on: part.connection) }
            }
            return await group.reduce(false) { $0 || $1 }
        }
        if isRefused {
            // Of some changes nothing will tell, so everything is looked at once more.
            later(Self.refusalDelay) { watch in
                if watch.state.withLock({ !$0.isClosed && !$0.live.isEmpty }) { watch.onSignal(.live) }
            }
        }
    }

    private func isRefused(_ commands: [RESPCommand], on connection: RedisLane) async -> Bool {
        let replies = await withCheckedContinuation { continuation in
            _ = connection.submit(commands) { continuation.resume(returning: $0) }
        }
        notice(replies)
        return replies.contains { if case .failure = $0 { true } else { false } }
    }

    /// The queue may have gone to another node.
    private func notice(_ replies: [Result<RESPValue, RedisError>]) {
        for case .failure(let error) in replies { redis.noticeRefusal(error) }
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

    private func changed(_ connectionState: RedisLane.ConnectionState, _ place: Int) {
        switch connectionState {
        case .connected:
            guard let connection = state.withLock({ $0.isClosed ? nil : $0.connections[place] }) else { return }
            var commands = [RESPCommand("CLIENT", "TRACKING", "ON")]
            // A Cluster passes messages on to all of its nodes.
            if place == 0 { commands.append(RESPCommand("SUBSCRIBE", RedisKeys.cancelChannel)) }
            _ = connection.submit(commands) { [weak self] replies in self?.setUp(replies, place) }
        case .disconnected:
            let (wasLive, wasWhollyLive) = state.withLock { state in
                defer { state.live.remove(place) }
                // As when it is live again.
                if state.isWhollyLive { state.forgetAwaited() }
                return (state.isLive(place), state.isWhollyLive)
            }
            if wasWhollyLive { onSignal(.lost) } else if wasLive { signalAwaited(place) }
        }
    }

    private func setUp(_ replies: [Result<RESPValue, RedisError>], _ place: Int) {
        for (what, reply) in zip(["new tasks", "cancellations"], replies) {
            guard case .failure(let error) = reply, error.code == .serverError else { continue }
            logger.warning("cannot be notified of \(what)", metadata: ["error": "\(error)"])
        }
        guard case .success = replies[0] else { return }
        let isWhollyLive = state.withLock { state in
            state.live.insert(place)
            // Whoever hears that it is live looks at everything, and listens again.
            if state.isWhollyLive { state.forgetAwaited() }
            return state.isWhollyLive
        }
        if isWhollyLive { onSignal(.live) } else { signalAwaited(place) }
    }

    /// Whatever is waited for on one connection may have come to pass unseen, or will.
    private func signalAwaited(_ place: Int) {
        for keys in queues.values where self.place(keys.queue) == place {
            signalPending(keys)
            signalDue(keys)
            signalGroups(keys)
        }
        let growth = state.withLock { $0.growth.filter { self.place($1.queue) == place }.keys }
        for key in growth { signalGrowth(key) }
    }
}
