import AsynqTesting
import TestSupport
import Testing

/// The contract on a Cluster, all rules one after another on the same one: it has one database.
@Suite(.serialized, .onCluster)
struct ClusterConformanceTests {
    @Test(arguments: BrokerConformance.rules)
    func `the broker on a Cluster keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
        let cluster = try #require(ClusterServers.current)
        try await rule.check { try await RedisFixture.onEmptied(LeastUser.uri(of: cluster), stores: cluster.masters) }
    }

    @Test(arguments: RandomizedConformance.seeds(1))
    func `the broker on a Cluster behaves as the model does`(seed: UInt64) async throws {
        let cluster = try #require(ClusterServers.current)
        try await RandomizedConformance(seed: seed, steps: 1000).run {
            try await RedisFixture.onEmptied(LeastUser.uri(of: cluster), stores: cluster.masters)
        }
    }
}

/// Starts a Cluster before a suite, and kills it after it.
struct ClusterServers: SuiteTrait, TestScoping {
    @TaskLocal static var current: ClusterSet?

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            try LeastUser.create(on: set.servers)
            try await Self.$current.withValue(set) { try await function() }
        }
    }
}

extension Trait where Self == ClusterServers {
    static var onCluster: Self { Self() }
}
