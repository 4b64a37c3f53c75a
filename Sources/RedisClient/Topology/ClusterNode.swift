import Logging
import NIOCore
import Synchronization

/// A node of a Cluster, and the connections to it.
final class ClusterNode: Sendable {
    let endpoint: RedisConfiguration.Endpoint
    /// Whether it did not answer lately: as long as that is so it may be replaced any moment.
    let isTroubled = Atomic<Bool>(false)
    private let lanes: [RedisLane]
    private let turn = Atomic<Int>(0)

    init(_ endpoint: RedisConfiguration.Endpoint, _ configuration: RedisConfiguration, logger: Logger) {
        self.endpoint = endpoint
        let configuration = configuration.of(endpoint)
        lanes = (0..<configuration.poolSize).map { _ in
            RedisLane(
                configuration: configuration,
                endpoint: { $0.makeSucceededFuture(endpoint) },
                logger: logger,
                failsFast: true
            )
        }
    }

    var lane: RedisLane {
        guard lanes.count > 1 else { return lanes[0] }
        return lanes[turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max % lanes.count]
    }

    /// Where the next turn of an event loop is waited for.
    var firstLane: RedisLane { lanes[0] }

    /// It serves nothing any more.
    func retire() {
        let reason = RedisError(.connectionFailed, "\(endpoint) is no master of the Cluster any more")
        for lane in lanes { lane.retire(reason) }
    }

    func shutdown() async {
        for lane in lanes { await lane.shutdown() }
    }
}

extension RedisConfiguration {
    /// For a connection to one of the nodes.
    func of(_ node: Endpoint) -> RedisConfiguration {
        var configuration = self
        configuration.cluster = nil
        configuration.endpoint = node
        return configuration
    }
}
