import AsynqTesting
import Testing

struct MemoryConformanceTests {
    @Test(arguments: BrokerConformance.rules)
    func `the broker in memory keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
        try await rule.check { MemoryFixture() }
    }

    @Test(arguments: RandomizedConformance.seeds(4))
    func `the broker in memory behaves as the model does`(seed: UInt64) async throws {
        try await RandomizedConformance(seed: seed, steps: 3000).run { MemoryFixture() }
    }
}
