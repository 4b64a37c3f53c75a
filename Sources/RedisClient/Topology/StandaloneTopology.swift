import Logging
import NIOCore
import Synchronization

/// One server, which serves every route.
final class StandaloneTopology: RedisTopology {
    private let configuration: RedisConfiguration
    private let logger: Logger
    private let lanes: [RedisLane]
    private let turn = Atomic<Int>(0)

    init(_ configuration: RedisConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        lanes = (0..<configuration.poolSize).map { _ in
            RedisLane(configuration: configuration, endpoint: Self.endpoint(configuration), logger: logger)
        }
    }

    private static func endpoint(_ configuration: RedisConfiguration) -> RedisLane.EndpointProvider {
        { $0.makeSucceededFuture(configuration.endpoint) }
    }

    func submit(
        _ commands: [RESPCommand],
        to route: RedisRoute,
        isChain: Bool,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest {
        lane.submit(commands, completion: completion)
    }

    func nowOrInNextTurn(for route: RedisRoute, isOneRequest: Bool, _ body: @escaping @Sendable () -> Void) {
        // Of several connections another may be the next.
        if isOneRequest, lanes.count == 1 { lanes[0].nowOrInNextTurn(body) } else { lanes[0].inNextTurn(body) }
    }

    var taskExecutor: (any TaskExecutor)? { lanes[0].taskExecutor }

    private var lane: RedisLane {
        guard lanes.count > 1 else { return lanes[0] }
        return lanes[turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max % lanes.count]
    }

    func makeListener(
        for route: RedisRoute,
        onPush: @escaping @Sendable (RedisPush) -> Void,
        onState: @escaping @Sendable (RedisLane.ConnectionState) -> Void
    ) -> RedisLane {
        RedisLane(
            configuration: configuration,
            endpoint: Self.endpoint(configuration),
            logger: logger,
            onPush: onPush,
            onState: onState
        )
    }

    func nodes(of route: RedisRoute) async throws(RedisError) -> [RedisConfiguration.Endpoint] {
        [configuration.endpoint]
    }

    func connect() async throws(RedisError) {
        for _ in lanes { _ = try await execute(RESPCommand("PING"), to: .any) }
    }

    func shutdown() async {
        for lane in lanes { await lane.shutdown() }
    }
}
