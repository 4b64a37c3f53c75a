import AsynqTesting
import TestSupport
import Testing

/// The contract on servers behind Sentinels, all rules one after another on the same ones: what is told of a key in one
/// database is told to those who listen in another.
@Suite(.serialized, .onSentinels)
struct SentinelConformanceTests {
    @Test(arguments: BrokerConformance.rules)
    func `the broker behind Sentinels keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
        let set = try #require(SentinelServers.current)
        try await rule.check { try await RedisFixture.onEmptied(LeastUser.uri(of: set), stores: [set.uri]) }
    }

    @Test(arguments: RandomizedConformance.seeds(1))
    func `the broker behind Sentinels behaves as the model does`(seed: UInt64) async throws {
        let set = try #require(SentinelServers.current)
        try await RandomizedConformance(seed: seed, steps: 1000).run {
            try await RedisFixture.onEmptied(LeastUser.uri(of: set), stores: [set.uri])
        }
    }
}

/// Starts servers and Sentinels before a suite, and kills them after it.
struct SentinelServers: SuiteTrait, TestScoping {
    @TaskLocal static var current: SentinelSet?

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        try await SentinelSet.withSet(patience: .seconds(30)) { set in
            try LeastUser.create(on: set.servers)
            try LeastUser.create(on: set.sentinels, of: .sentinel)
            try await Self.$current.withValue(set) { try await function() }
        }
    }
}

extension Trait where Self == SentinelServers {
    static var onSentinels: Self { Self() }
}
