import Asynq
import AsynqRedis
import Synchronization
import TestSupport
import Testing

/// The inspector on a large queue, beside a server that works.
struct InspectorLoadTests {
    private let keys = QueueKeys("large")

    @Test func `no script is long, whatever is done to 100 000 tasks, and a server goes on meanwhile`() async throws {
        try await withBroker { broker, redis in
            let count = 100_000
            for start in stride(from: 0, to: count, by: 10_000) {
                let requests = (start..<start + 10_000).map {
                    EnqueueRequest(message: message("t\($0)", queue: "large"), start: .after(milliseconds: 3_600_000))
                }
                for result in await broker.enqueue(requests) { _ = try result.get() }
            }
            // Whatever takes half the time of a look at each task.
            let limit = try await timeOfLook(at: count, redis) / .microseconds(2)
            try await redis("CONFIG", "SET", "slowlog-log-slower-than", Int(limit))
            try await redis("SLOWLOG", "RESET")
            try await redis("CONFIG", "RESETSTAT")

            let done = Mutex(0)
            var configuration = AsynqServer.Configuration(concurrency: 10, queues: ["work": 1])
            configuration.handlesSignals = false
            configuration.logger = .silent
            let server = AsynqServer(
                broker,
                handler: ClosureHandler { _, _ in done.withLock { $0 += 1 } },
                configuration: configuration
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await putInOrder(count, broker, redis) {
                    let before = done.withLock { $0 }
                    _ = try await AsynqClient(broker).enqueue(AsynqTask("t", .queue("work")))
                    try await eventually("the server works on") { done.withLock { $0 } > before }
                }
                server.shutdown()
                try await group.waitForAll()
            }

            // A script that the machine did not let run looks slow, too. One that looks at each task is, and each kind of step
            // below is taken more than a hundred times.
            let calls = try await redis("INFO", "commandstats").string ?? ""
            let scripts = calls.firstMatch(of: #/cmdstat_evalsha:calls=(\d+)/#).flatMap { Int($0.1) } ?? 0
            let slow = try await redis.int("SLOWLOG", "LEN") ?? .max
            #expect(scripts > 500 && slow <= Int64(scripts) / 20, "\(slow) of \(scripts) scripts")
            #expect(try await redis.strings("KEYS", "asynq:{large}*") == [])
        }
    }

    /// How long a script takes that reads a field of each task: the best of three times, as others may be at work, too.
    private func timeOfLook(at count: Int, _ redis: RawRedis) async throws -> Duration {
        let script = "for i = 0, ARGV[1] - 1 do redis.call('HGET', KEYS[1] .. i, 'state') end"
        var best = Duration.seconds(3600)
        for _ in 0..<3 {
            let start = ContinuousClock.now
            try await redis("EVAL", script, 1, "\(keys.taskPrefix)t", count)
            best = min(best, ContinuousClock.now - start)
        }
        return best
    }

    /// Everything that an inspector can do to a queue, with a check in between.
    private func putInOrder(
        _ count: Int,
        _ broker: RedisBroker,
        _ redis: RawRedis,
        _ worksOn: () async throws -> Void
    ) async throws {
        let inspector = AsynqInspector(broker)
        try await inspector.pause("large")
        #expect(try await inspector.runAll(.scheduled, queue: "large") == count)
        try await worksOn()
        for page in [1, 1500, 3334] {
            let list = try await inspector.tasks(in: .pending, queue: "large", page: page)
            #expect(list.total == count && list.tasks.count == (page == 3334 ? 10 : 30))
        }
        // Deep in the list.
        let ids = (0..<200).map { "t\(50_000 + $0 * 7)" }
        let deleted = try await inspector.delete(ids, queue: "large")
        #expect(deleted.allSatisfy { if case .success = $0 { true } else { false } })
        #expect(try await inspector.snapshot(of: "large").pending == count - 200)
        try await worksOn()
        #expect(try await inspector.archiveAll(.pending, queue: "large") == count - 200)
        #expect(try await inspector.snapshot(of: "large").size == ArchiveLimit.count)
        try await worksOn()
        #expect(try await inspector.runAll(.archived, queue: "large") == ArchiveLimit.count)
        try await worksOn()
        #expect(try await inspector.deleteQueue("large", force: true) == ArchiveLimit.count)
    }
}
