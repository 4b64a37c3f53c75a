import Logging
import NIOCore
import NIOPosix
import Synchronization

/// What is known of a Cluster: which node serves which slot, asked of one of the nodes at first, when a node refuses
/// something, as long as one does not answer, and from time to time while somebody listens.
final class ClusterMap: Sendable {
    enum Target {
        case node(ClusterNode)
        /// Nobody serves the slot.
        case unserved
        /// No node has been asked yet.
        case unknown
        case closed
    }

    private enum Phase {
        case idle
        case scheduled
        /// - wanted: something has happened since.
        case running(wanted: Bool)
    }

    private struct State {
        var map: SlotMap?
        var nodes: [RedisConfiguration.Endpoint: ClusterNode] = [:]
        var phase = Phase.idle
        var lastEnd: NIODeadline?
        /// How often in a row it was asked in vain, while a node did not answer.
        var fruitless = 0
        var waiters: [@Sendable (Result<SlotMap, RedisError>) -> Void] = []
        var listeners: [(lane: WeakLane, follower: ClusterFollower)] = []
        var isChecking = false
        var isClosed = false
    }

    private struct WeakLane {
        weak var lane: RedisLane?
    }

    /// Two questions are at least so far apart, with jitter, and up to eight times as far while nothing changes.
    private static let pause = Duration.milliseconds(100)
    /// How often it is asked while somebody listens: of a slot that has left a node a silent queue hears nothing.
    private static let checkInterval = Duration.seconds(5)

    private let configuration: RedisConfiguration
    /// For connections that ask one thing.
    private let asking: RedisConfiguration
    private let seeds: [RedisConfiguration.Endpoint]
    private let logger: Logger
    private let state = Mutex(State())

    init(_ configuration: RedisConfiguration, _ cluster: RedisConfiguration.Cluster, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        seeds = cluster.endpoints
        var asking = configuration
        asking.cluster = nil
        // One that is away must leave time for the others.
        let share = min(.seconds(1), configuration.dialTimeout / (seeds.count + 1))
        asking.dialTimeout = share
        asking.readTimeout = min(share, configuration.readTimeout)
        self.asking = asking
    }

    // MARK: Nodes

    /// - Parameters:
    ///   - slot: `nil` for any node.
    ///   - named: the node that another one has named.
    func node(_ slot: Int?, _ named: RedisConfiguration.Endpoint?) -> Target {
        state.withLock { state in
            if state.isClosed { return .closed }
            guard let map = state.map else { return .unknown }
            let endpoint = named ?? slot.map { map.shard(of: $0)?.master } ?? Self.anyMaster(state)
            guard let endpoint else { return .unserved }
            if let node = state.nodes[endpoint] { return .node(node) }
            let node = ClusterNode(endpoint, configuration, logger: logger)
            state.nodes[endpoint] = node
            return .node(node)
        }
    }

    /// One that answers, if there is one.
    private static func anyMaster(_ state: State) -> RedisConfiguration.Endpoint? {
        let masters = state.map?.masters ?? []
        let good = masters.filter { state.nodes[$0]?.isTroubled.load(ordering: .relaxed) != true }
        return good.randomElement() ?? masters.randomElement()
    }

    /// A node has said so.
    func moved(_ slot: Int, to endpoint: RedisConfiguration.Endpoint) {
        state.withLock { $0.map?.assign(slot, to: endpoint) }
        refresh()
    }

    /// A node has answered, or has not.
    func heard(from node: ClusterNode, _ error: RedisError?) {
        let isLost = [.connectionFailed, .connectionLost, .commandTimedOut].contains(error?.code)
        if isLost != node.isTroubled.load(ordering: .relaxed) { node.isTroubled.store(isLost, ordering: .relaxed) }
        if isLost { refresh() }
    }

    func add(_ lane: RedisLane, _ follower: ClusterFollower) {
        let isFirst = state.withLock { state in
            state.listeners.removeAll { $0.lane.lane == nil }
            state.listeners.append((WeakLane(lane: lane), follower))
            defer { state.isChecking = true }
            return !state.isChecking
        }
        if isFirst { check() }
    }

    /// Asks from time to time, until nobody listens any more.
    private func check() {
        let delay = Self.checkInterval * Double.random(in: 0.5...1)
        MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            guard let self else { return }
            let goesOn = state.withLock { state in
                state.listeners.removeAll { $0.lane.lane == nil }
                state.isChecking = !state.listeners.isEmpty && !state.isClosed
                return state.isChecking
            }
            guard goesOn else { return }
            refresh()
            check()
        }
    }

    // MARK: Asking

    /// Asks the nodes soon.
    func refresh() {
        let delay = state.withLock { state -> Duration? in
            if state.isClosed { return nil }
            switch state.phase {
            case .scheduled: return nil
            case .running:
                state.phase = .running(wanted: true)
                return nil
            case .idle:
                state.phase = .scheduled
                let pause = Self.pause * (1 << min(state.fruitless, 3))
                let isLate = state.lastEnd.map { .now() - $0 > TimeAmount(pause) } ?? true
                return isLate ? .zero : pause
            }
        }
        guard let delay else { return }
        // Lives until it has asked: somebody may wait for the answer.
        MultiThreadedEventLoopGroup.singleton.any().scheduleTask(
            in: TimeAmount(delay * Double.random(in: 0.5...1))
        ) { [self] in run() }
    }

    /// Asks the nodes, and calls `body` with what they say.
    func afterRefresh(_ body: @escaping @Sendable (Result<SlotMap, RedisError>) -> Void) {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.waiters.append(body) }
            return state.isClosed
        }
        if isClosed { return body(.failure(RedisError(.closed, "the Redis client has been shut down"))) }
        refresh()
    }

    private func run() {
        // Another one begins each time, because one that is cut off does not know what has changed.
        let order = state.withLock { state in
            state.phase = .running(wanted: false)
            let known = (state.map?.endpoints ?? []).shuffled()
            return known + seeds.shuffled().filter { !known.contains($0) }
        }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        ask(order[...], on: eventLoop, failures: []).whenComplete { result in
            self.ended(
                result.mapError { $0 as? RedisError ?? RedisError(.connectionFailed, RedisDialer.text($0)) }
            )
        }
    }

    private func ask(
        _ order: ArraySlice<RedisConfiguration.Endpoint>,
        on eventLoop: any EventLoop,
        failures: [RedisError]
    ) -> EventLoopFuture<SlotMap> {
        guard let node = order.first else { return eventLoop.makeFailedFuture(Self.failure(failures)) }
        let question = RESPCommand("CLUSTER", "SLOTS")
        return RedisDialer.ask(node, question, configuration: asking, eventLoop: eventLoop)
            .flatMapThrowing { try SlotMap($0, from: node) }
            .flatMapError { error in
                let error = error as? RedisError ?? RedisError(.connectionFailed, RedisDialer.text(error))
                return self.ask(order.dropFirst(), on: eventLoop, failures: failures + [error])
            }
    }

    private static func failure(_ failures: [RedisError]) -> RedisError {
        let code =
            failures.allSatisfy { $0.code == failures[0].code } ? failures.first?.code ?? .closed : .connectionFailed
        let texts = failures.map(\.description).joined(separator: "; ")
        return RedisError(code, "no node tells of the Cluster: \(texts)")
    }

    private func ended(_ result: Result<SlotMap, RedisError>) {
        let (waiters, retired, moved, goesOn) = state.withLock { state in
            var wanted = false
            if case .running(let again) = state.phase { wanted = again }
            state.phase = .idle
            state.lastEnd = .now()
            var retired: [ClusterNode] = []
            var moved: [RedisLane] = []
            state.fruitless += 1
            if case .success(let map) = result, !state.isClosed {
                let masters = Set(map.masters)
                if masters != Set(state.map?.masters ?? []) { state.fruitless = 0 }
                state.map = map
                for endpoint in state.nodes.keys where !masters.contains(endpoint) {
                    if let node = state.nodes.removeValue(forKey: endpoint) { retired.append(node) }
                }
                moved = state.listeners.compactMap { $0.follower.hasMoved(in: map) ? $0.lane.lane : nil }
            }
            let isTroubled = state.nodes.values.contains { $0.isTroubled.load(ordering: .relaxed) }
            if !isTroubled, case .success = result { state.fruitless = 0 }
            defer { state.waiters = [] }
            return (state.waiters, retired, moved, (wanted || isTroubled) && !state.isClosed)
        }
        for node in retired { node.retire() }
        for lane in moved { lane.reconnect(RedisError(.connectionLost, "another node serves the slot now")) }
        for waiter in waiters { waiter(result) }
        if goesOn { refresh() }
    }

    func shutdown() async {
        let (nodes, waiters) = state.withLock { state in
            state.isClosed = true
            defer {
                state.nodes = [:]
                state.waiters = []
            }
            return (Array(state.nodes.values), state.waiters)
        }
        for waiter in waiters { waiter(.failure(RedisError(.closed, "the Redis client has been shut down"))) }
        for node in nodes { await node.shutdown() }
    }
}

/// A listener for a slot, and the node to which it was last sent.
final class ClusterFollower: Sendable {
    private let slot: Int?
    private let place = Mutex<RedisConfiguration.Endpoint?>(nil)

    init(slot: Int?) {
        self.slot = slot
    }

    /// Where it belongs.
    func place(in map: SlotMap) -> Result<RedisConfiguration.Endpoint, RedisError> {
        guard let endpoint = slot.map({ map.shard(of: $0)?.master }) ?? map.masters.randomElement() else {
            return .failure(RedisError(.connectionFailed, "no node serves slot \(slot ?? 0)"))
        }
        place.withLock { $0 = endpoint }
        return .success(endpoint)
    }

    /// Whether another node serves its slot than the one that it was sent to.
    func hasMoved(in map: SlotMap) -> Bool {
        guard let place = place.withLock({ $0 }) else { return false }
        guard let slot else { return !map.masters.contains(place) }
        return map.shard(of: slot).map { $0.master != place } ?? false
    }
}
