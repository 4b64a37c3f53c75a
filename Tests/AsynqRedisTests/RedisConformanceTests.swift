import AsynqTesting
import TestSupport
import Testing

struct RedisConformanceTests {
    @Test(arguments: BrokerConformance.rules)
    func `the broker on Redis keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
        try await RedisServer.withServer { server in
            try await rule.check { try await RedisFixture.onEmptied(server) }
        }
    }

    @Test(arguments: RandomizedConformance.seeds(2))
    func `the broker on Redis behaves as the model does`(seed: UInt64) async throws {
        try await RedisServer.withServer { server in
            try await RandomizedConformance(seed: seed, steps: 1000).run {
                try await RedisFixture.onEmptied(server)
            }
        }
    }
}
