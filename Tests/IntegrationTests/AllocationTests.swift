import Foundation
import TestSupport
import Testing

/// How often memory is allocated for a task, counted in a process of its own, by an allocator that counts.
struct AllocationTests {
    private func allocations(_ uri: String, tasks: Int) async throws -> [String: Int] {
        let probe = try WorkerProcess("AllocationProbe", [uri, "\(tasks)"])
        #expect(try await probe.wait() == 0)
        await probe.lines.wait(for: 3)
        let words = probe.lines.elements.map { $0.split(separator: " ") }
        return Dictionary(uniqueKeysWithValues: try words.map { (String($0[0]), try #require(Int($0[1]))) })
    }

    #if canImport(Glibc)
    @Test func `a task costs few allocations, to enqueue and to process`() async throws {
        try await RedisServer.withServer { redis in
            let few = try await allocations(redis.uri, tasks: 1_000)
            let many = try await allocations(redis.uri, tasks: 6_000)
            let perTask = { (name: String, tasks: Double) in Double((many[name] ?? 0) - (few[name] ?? 0)) / tasks }
            let single = perTask("single", 5_000)
            let batched = perTask("enqueue", 5_000)
            let processed = perTask("process", 10_000)
            // 95, 14 and 33 in a debug build, which allocates more than a release build.
            #expect(single > 1 && single <= 110, "\(single)")
            #expect(batched > 1 && batched <= 17, "\(batched)")
            #expect(processed > 1 && processed <= 40, "\(processed)")
        }
    }
    #endif
}
