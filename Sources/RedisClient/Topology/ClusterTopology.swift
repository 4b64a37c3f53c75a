import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The nodes of a Cluster. Each command goes to the node that serves its slot, in one pipeline a node; where a node refuses
/// it because another one is responsible, it follows.
final class ClusterTopology: RedisTopology {
    /// Commands on their way to one node.
    private struct Parcel: Sendable {
        let delivery: Delivery
        var indices: [Int]
        /// `nil`: any node will do, or it is for the one of `target`.
        let slot: Int?
        /// The node, if a redirection or the route has named it.
        var target: RedisConfiguration.Endpoint?
        /// Whether it is for that node and no other.
        var isBound = false
        /// It is asked to serve a slot that is being moved to it.
        var isAsking = false
        /// How often it has been sent in vain.
        var attempts = 0

        /// Forgets what a redirection has said.
        mutating func goesAnywhere() {
            if !isBound { target = nil }
            isAsking = false
        }
    }

    private let configuration: RedisConfiguration
    private let logger: Logger
    private let map: ClusterMap

    init(_ configuration: RedisConfiguration, _ cluster: RedisConfiguration.Cluster, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        map = ClusterMap(configuration, cluster, logger: logger)
    }

    var spreadsKeys: Bool { true }

    private static func slot(_ route: RedisRoute) -> Int? {
        switch route {
        case .any, .node: nil
        case .key(let key): KeySlot.slot(of: key)
        }
    }

    // MARK: Commands

    func submit(
        _ commands: [RESPCommand],
        to route: RedisRoute,
        isChain: Bool,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest {
        let delivery = Delivery(
            commands,
            isChain: isChain,
            within: configuration.dialTimeout,
            completion: completion
        )
        if !commands.isEmpty {
            var parcel = Parcel(delivery: delivery, indices: Array(commands.indices), slot: Self.slot(route))
            if case .node(let endpoint) = route { (parcel.target, parcel.isBound) = (endpoint, true) }
            send(parcel)
        }
        return delivery.request
    }

    private func send(_ parcel: Parcel) {
        switch map.node(parcel.slot, parcel.target) {
        case .node(let node): send(parcel, to: node)
        case .unserved:
            let slot = parcel.slot.map { "slot \($0)" } ?? "anything"
            let text = "no node of \(configuration) serves \(slot)"
            retry([.later: parcel.indices], parcel, RedisError(.connectionFailed, text))
            map.refresh()
        case .unknown:
            map.afterRefresh { [self] result in
                switch result {
                case .success: send(parcel)
                case .failure(let error): settle(parcel, error)
                }
            }
        case .closed: settle(parcel, RedisError(.closed, "the Redis client has been shut down"))
        }
    }

    private func settle(_ parcel: Parcel, _ error: RedisError) {
        for index in parcel.indices {
            let name = parcel.delivery.request.commands[index].name
            parcel.delivery.settle(index, .failure(error.with(command: name)))
        }
    }

    private func send(_ parcel: Parcel, to node: ClusterNode) {
        var commands = parcel.delivery.commands(parcel.indices)
        if parcel.isAsking { commands = commands.flatMap { [RESPCommand("ASKING"), $0] } }
        node.lane.submit(commands, for: parcel.delivery.request) { [self] replies in
            let own = parcel.isAsking ? stride(from: 1, to: replies.count, by: 2).map { replies[$0] } : replies
            received(own, parcel, from: node)
        }
    }

    private func received(_ replies: [Result<RESPValue, RedisError>], _ parcel: Parcel, from node: ClusterNode) {
        var last: RedisError?
        for case .failure(let error) in replies { last = error }
        let refused = parcel.delivery.sort(parcel.indices, replies) { ClusterRedirect($0, from: node.endpoint) }
        map.heard(from: node, last)
        if let last, !refused.isEmpty { retry(refused, parcel, last) }
    }

    /// Sends again what was refused, as long as there is time.
    private func retry(_ refused: [ClusterRedirect: [Int]], _ parcel: Parcel, _ error: RedisError) {
        for (redirect, indices) in refused {
            var next = parcel
            next.indices = indices
            next.attempts += 1
            switch redirect {
            case .moved(let slot, let target):
                map.moved(slot, to: target)
                next.goesAnywhere()
            case .ask(let target): (next.target, next.isAsking) = (target, true)
            case .tryAgain: break
            case .later:
                map.refresh()
                next.goesAnywhere()
            }
            guard next.delivery.isWorthwhile else {
                settle(next, error)
                continue
            }
            // Two nodes that send it back and forth must not keep each other busy.
            let isRedirected = redirect != .later && redirect != .tryAgain
            if isRedirected, next.attempts < 3 {
                send(next)
            } else {
                let delay = Duration.milliseconds(5) * (1 << min(next.attempts, 5)) * Double.random(in: 0.5...1)
                MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(delay)) { [self, next] in
                    send(next)
                }
            }
        }
    }

    func nowOrInNextTurn(for route: RedisRoute, isOneRequest: Bool, _ body: @escaping @Sendable () -> Void) {
        if case .node(let node) = map.node(Self.slot(route), nil) {
            node.firstLane.inNextTurn(body)
        } else {
            MultiThreadedEventLoopGroup.singleton.any().execute(body)
        }
    }

    // MARK: Listeners

    func makeListener(
        for route: RedisRoute,
        onPush: @escaping @Sendable (RedisPush) -> Void,
        onState: @escaping @Sendable (RedisLane.ConnectionState) -> Void
    ) -> RedisLane {
        let follower = ClusterFollower(slot: Self.slot(route))
        let lane = RedisLane(
            configuration: configuration,
            endpoint: { [weak map] eventLoop in
                let promise = eventLoop.makePromise(of: RedisConfiguration.Endpoint.self)
                guard let map else {
                    promise.fail(RedisError(.closed, "the Redis client has been shut down"))
                    return promise.futureResult
                }
                map.afterRefresh { result in
                    switch result.flatMap({ follower.place(in: $0) }) {
                    case .success(let endpoint): promise.succeed(endpoint)
                    case .failure(let error): promise.fail(error)
                    }
                }
                return promise.futureResult
            },
            logger: logger,
            onPush: onPush,
            onState: onState
        )
        map.add(lane, follower)
        return lane
    }

    func noticeRefusal(_ error: RedisError) {
        guard case .moved(let slot, let target) = ClusterRedirect(error, from: configuration.endpoint) else { return }
        map.moved(slot, to: target)
    }

    // MARK: As a whole

    func nodes(of route: RedisRoute) async throws(RedisError) -> [RedisConfiguration.Endpoint] {
        let slots = try await slots()
        guard let slot = Self.slot(route) else { return slots.endpoints }
        return slots.shard(of: slot).map { [$0.master] + $0.replicas } ?? []
    }

    func masters() async throws(RedisError) -> [RedisConfiguration.Endpoint] {
        try await slots().masters
    }

    /// As the nodes have them now.
    private func slots() async throws(RedisError) -> SlotMap {
        let result = await withCheckedContinuation { continuation in
            map.afterRefresh { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    func connect() async throws(RedisError) {
        _ = try await execute(RESPCommand("PING"), to: .any)
    }

    func shutdown() async {
        await map.shutdown()
    }
}
