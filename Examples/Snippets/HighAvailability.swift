import Asynq
import AsynqRedis

enum HighAvailability {
    static func connect() throws -> [RedisBroker] {
        let behindSentinels = try RedisBroker("redis-sentinel://:s3cret@s1,s2,s3?master=mymaster")
        let onCluster = try RedisBroker("redis-cluster://:s3cret@node1,node2,node3:6380")
        return [behindSentinels, onCluster]
    }

    static func configure(_ masterPassword: String, _ sentinelPassword: String) throws -> RedisBroker {
        var configuration = RedisConfiguration()
        configuration.sentinel = .init(endpoints: [.host("s1", port: 26379), .host("s2", port: 26379)])
        configuration.sentinel?.masterName = "orders"
        configuration.sentinel?.password = sentinelPassword
        configuration.password = masterPassword
        configuration.tls = .init()
        return try RedisBroker(configuration: configuration)
    }

    static func enqueue(_ configuration: RedisConfiguration, _ task: AsynqTask) async throws {
        let broker = try RedisBroker(configuration: configuration, durability: .replicas(1, within: .milliseconds(500)))
        let client = AsynqClient(broker)
        do {
            try await client.enqueue(task)
        } catch let error as AsynqError where error.code == .notReplicated {
            // It is stored, and runs unless a fail-over comes first.
        }
    }

    static func look(_ inspector: AsynqInspector) async throws -> (Int?, [String]) {
        let slot = inspector.keySlot(of: "default")
        let nodes = try await inspector.nodes(of: "default")  // the master first
        return (slot, nodes)
    }
}
