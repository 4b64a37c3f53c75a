import Logging
import NIOCore
import Synchronization

/// The master that Sentinels name. Each connection asks for it anew before it is made, verifies its role, and is dropped when
/// the Sentinels tell of another one or the server refuses to be written to.
final class SentinelTopology: RedisTopology {
    /// A connection to the master of the moment.
    private final class Follower: Sendable {
        /// Where it was last sent.
        let place: Mutex<RedisConfiguration.Endpoint?>

        init() { place = Mutex(nil) }
    }

    private struct Listener {
        weak var lane: RedisLane?
        let follower: Follower
    }

    private let configuration: RedisConfiguration
    private let search: SentinelSearch
    private let logger: Logger
    private let lanes: [(lane: RedisLane, follower: Follower)]
    private let turn = Atomic<Int>(0)
    private let listeners = Mutex<[Listener]>([])
    private let watch: SentinelWatch

    init(_ configuration: RedisConfiguration, _ sentinel: RedisConfiguration.Sentinel, logger: Logger) {
        var configuration = configuration
        configuration.peer = .master
        let search = SentinelSearch(configuration, sentinel)
        let watch = SentinelWatch(search, logger: logger)
        self.configuration = configuration
        self.search = search
        self.watch = watch
        self.logger = logger
        lanes = (0..<configuration.poolSize).map { [configuration] _ in
            let follower = Follower()
            let lane = RedisLane(
                configuration: configuration,
                endpoint: Self.endpoint(follower, search, watch),
                logger: logger
            )
            return (lane, follower)
        }
        watch.onMaster { [weak self] master in self?.follow(master) }
    }

    private static func endpoint(
        _ follower: Follower,
        _ search: SentinelSearch,
        _ watch: SentinelWatch
    ) -> RedisLane.EndpointProvider {
        { eventLoop in
            search.findMaster(on: eventLoop).map { master in
                follower.place.withLock { $0 = master }
                // From now on a change is of interest.
                watch.open()
                return master
            }
        }
    }

    /// The Sentinels name this one.
    private func follow(_ master: RedisConfiguration.Endpoint) {
        let reason = RedisError(.connectionLost, "the Sentinels have made \(master) the master")
        let listeners = listeners.withLock { listeners in
            listeners.removeAll { $0.lane == nil }
            return listeners.compactMap { listener in listener.lane.map { ($0, listener.follower) } }
        }
        for (lane, follower) in lanes + listeners {
            if let place = follower.place.withLock({ $0 }), place != master { lane.reconnect(reason) }
        }
    }

    // MARK: Commands

    var taskExecutor: (any TaskExecutor)? { lanes[0].lane.taskExecutor }

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
        if !commands.isEmpty { send(delivery, Array(commands.indices), lane) }
        return delivery.request
    }

    private func send(_ delivery: Delivery, _ indices: [Int], _ lane: RedisLane) {
        let sentAt = NIODeadline.now()
        lane.submit(delivery.commands(indices), for: delivery.request) { [self] replies in
            let refused = delivery.sort(indices, replies) { $0.isOfReplica ? true : nil }
            guard let again = refused[true] else { return }
            lane.renew(sentAt: sentAt)
            send(delivery, again, lane)
        }
    }

    func nowOrInNextTurn(for route: RedisRoute, isOneRequest: Bool, _ body: @escaping @Sendable () -> Void) {
        // Of several connections another may be the next.
        if isOneRequest, lanes.count == 1 {
            lanes[0].lane.nowOrInNextTurn(body)
        } else {
            lanes[0].lane.inNextTurn(body)
        }
    }

    private var lane: RedisLane {
        guard lanes.count > 1 else { return lanes[0].lane }
        return lanes[turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max % lanes.count].lane
    }

    func makeListener(
        for route: RedisRoute,
        onPush: @escaping @Sendable (RedisPush) -> Void,
        onState: @escaping @Sendable (RedisLane.ConnectionState) -> Void
    ) -> RedisLane {
        let follower = Follower()
        let lane = RedisLane(
            configuration: configuration,
            endpoint: Self.endpoint(follower, search, watch),
            logger: logger,
            onPush: onPush,
            onState: onState
        )
        listeners.withLock { listeners in
            listeners.removeAll { $0.lane == nil }
            listeners.append(Listener(lane: lane, follower: follower))
        }
        return lane
    }

    func nodes(of route: RedisRoute) async throws(RedisError) -> [RedisConfiguration.Endpoint] {
        // Asked now, because where a connection leads may not be settled yet.
        _ = try await execute(RESPCommand("PING"), to: route)
        return lanes[0].follower.place.withLock { $0 }.map { [$0] } ?? []
    }

    func connect() async throws(RedisError) {
        for _ in lanes { _ = try await execute(RESPCommand("PING"), to: .any) }
    }

    func shutdown() async {
        await watch.close()
        for (lane, _) in lanes { await lane.shutdown() }
    }
}

extension RedisError {
    /// The server is a replica: it has not run the command.
    var isOfReplica: Bool { serverCode == "READONLY" || serverCode == "MASTERDOWN" }
}
