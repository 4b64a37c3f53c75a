import AsynqTesting
import Testing

struct SQLiteConformanceTests {
    @Test(arguments: BrokerConformance.rules)
    func `the broker on SQLite keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
        try await rule.check { try SQLiteFixture() }
    }

    @Test(arguments: RandomizedConformance.seeds(3))
    func `the broker on SQLite behaves as the model does`(seed: UInt64) async throws {
        try await RandomizedConformance(seed: seed, steps: 2000).run { try SQLiteFixture() }
    }
}
