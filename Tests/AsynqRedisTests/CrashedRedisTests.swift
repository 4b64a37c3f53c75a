import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// A Redis that dies while it writes: of each script it has all or nothing when it is back.
struct CrashedRedisTests {
    @Test func `a Redis that is killed in the middle of writing a script has all of it or nothing afterwards`()
        async throws
    {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { server in
            let broker = try RedisBroker(configuration: .patient(server.uri), logger: .silent)
            // Some of all that writes several keys in one script.
            try await broker.put((0..<30).map { "plain-\($0)" })
            for number in 0..<10 {
                let request = EnqueueRequest(
                    message: message("unique-\(number)", payload: [UInt8(number)]),
                    start: .after(milliseconds: 1 + 60_000 * Int64(number % 2)),
                    uniqueFor: .minutes(5)
                )
                _ = try await broker.enqueue([request])[0].get()
                var grouped = message("grouped-\(number)")
                grouped.group = "g"
                _ = try await broker.enqueue([EnqueueRequest(message: grouped)])[0].get()
            }
            let tasks = try await broker.take(20)
            let outcomes: [FinishRequest.Outcome] = [
                .done, .retry(delay: .seconds(60), error: "e", countsAsFailure: true), .archive(error: "e"), .requeue,
            ]
            for (number, task) in tasks.prefix(16).enumerated() {
                #expect(await broker.end([task], outcomes[number % 4]) == ["finished"])
            }
            _ = try await broker.forward(queues: ["default"], limit: 100)
            let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: nil, maxSize: 5)
            let group = GroupReference(queue: "default", name: "g")
            let set = try #require(try await broker.stageGroups([group], policy: policy, limit: 1)[0].get().set)
            _ = try await broker.completeAggregation(set, with: EnqueueRequest(message: message("sum"))).get()
            await broker.shutdown()
            server.kill()

            let folder = server.folder.appendingPathComponent("appendonlydir")
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasSuffix(".incr.aof") }
            )
            let file = folder.appendingPathComponent(name)
            let whole = try Data(contentsOf: file)
            var counts: Set<Int> = []
            for turn in 1...20 {
                // As far as the disk had it when the machine died: a part of the whole, a few bytes further each time.
                try whole.prefix(whole.count * turn / 20 - 7 * turn).write(to: file)
                try await server.start()
                let redis = try RawRedis(server)
                let dump = try await RedisDump(redis)
                #expect(dump.contradictions(queue: "default") == [])
                counts.insert(dump.entries.count)
                await redis.topology.shutdown()
                server.kill()
            }
            #expect(counts.count > 5)
        }
    }
}
