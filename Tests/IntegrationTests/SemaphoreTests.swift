import Asynq
import AsynqRedis
import Synchronization
import TestSupport
import Testing

/// Semaphores over several servers on a real Redis (the page Semaphores).
struct SemaphoreTests {
    /// How many handlers run at once, and how many did at most.
    private final class Load: Sendable {
        private let state = Mutex((now: 0, peak: 0))
        var peak: Int { state.withLock { $0.peak } }

        func enter() { state.withLock { $0 = ($0.now + 1, max($0.peak, $0.now + 1)) } }
        func leave() { state.withLock { $0.now -= 1 } }
    }

    @Test func `over all servers no more handlers run at once than there are places, and all tasks run`() async throws {
        try await RedisServer.withServer { redis in
            let load = Load()
            let done = Recorder<String>()
            let brokers = try (0..<2).map { _ in try RedisBroker(configuration: .patient(redis.uri), logger: .silent) }
            let (first, second) = (brokers[0], brokers[1])
            func router(_ broker: RedisBroker) throws -> TaskRouter {
                let semaphore = try AsynqSemaphore(broker, scope: "api", limit: 3)
                var router = TaskRouter()
                router.use(SemaphoreMiddleware(semaphore, retryAfter: .milliseconds(20)))
                try router.handle("t") { _, context in
                    load.enter()
                    defer { load.leave() }
                    // A few round trips, so that others meet it.
                    for index in 0..<5 { try await context.writeResult("\(index)") }
                    done.add(context.taskID)
                }
                return router
            }
            // A retry counts as none, so one allowed retry is as good as many.
            let tasks = (0..<60).map { AsynqTask("t", .taskID("\($0)"), .maxRetry(0)) }
            try await withServer(first, handler: try router(first)) { _ in
                try await withServer(second, handler: try router(second)) { _ in
                    for result in await AsynqClient(first).enqueue(batch: tasks) { _ = try result.get() }
                    await done.wait(for: 60)
                    try await eventually("all are stored") { try redis.isEmpty() }
                }
            }
            #expect(load.peak == 3)
            #expect(Set(done.elements).count == 60 && done.count == 60)
            #expect(try redis.cli("GET", "asynq:{default}:processed") == "60")
            #expect(try redis.cli("GET", "asynq:{default}:failed") == "" && redis.count("archived") == 0)
            #expect(try redis.cli("EXISTS", "asynq:sema:api") == "0")
            await first.shutdown()
            await second.shutdown()
        }
    }

    @Test func `a place lies where a semaphore of Go looks for it, in its terms`() async throws {
        let holding = Recorder<Void>()
        let release = Recorder<Void>()
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let semaphore = try AsynqSemaphore(broker, scope: "api", limit: 2)
                let handler = ClosureHandler { _, context in
                    try await semaphore.withPermit(context) {
                        holding.add(())
                        await release.wait(for: 1)
                    }
                }
                try await withServer(broker, handler: handler) { _ in
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("mine"), .timeout(.minutes(10))))
                    await holding.wait(for: 1)
                    let now = Int(try redis.cli("TIME").split(separator: "\n")[0]) ?? 0
                    let members = try redis.cli("ZRANGE", "asynq:sema:api", "0", "-1", "WITHSCORES").split(
                        separator: "\n"
                    )
                    #expect(members.count == 2 && members[0] == "mine")
                    // A whole number of Unix seconds: the end of the attempt.
                    let deadline = Int(members[1]) ?? 0
                    #expect(deadline > now + 500 && deadline <= now + 600)
                    release.add(())
                    try await eventually("it is given back") { try redis.cli("EXISTS", "asynq:sema:api") == "0" }
                }
            }
        }
    }

    @Test func `places that a Go server holds count, until their deadlines`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let now = Int(try redis.cli("TIME").split(separator: "\n")[0]) ?? 0
                func acquire(_ holder: String) async throws -> PermitLease? {
                    let request = PermitRequest(scope: "api", limit: 2, holder: holder, duration: .seconds(60))
                    return try await broker.acquirePermit(request)
                }
                try redis.cli("ZADD", "asynq:sema:api", "\(now + 600)", "go-1", "\(now + 600)", "go-2")
                #expect(try await acquire("mine") == nil)
                try redis.cli("ZADD", "asynq:sema:api", "\(now - 5)", "go-1")
                #expect(try await acquire("mine") != nil)
                #expect(try redis.cli("ZSCORE", "asynq:sema:api", "go-1") == "")
                // What Go releases is free, and it may release what we took.
                try redis.cli("ZREM", "asynq:sema:api", "go-2")
                #expect(try await acquire("other") != nil)
            }
        }
    }

    @Test func `a key of another type is an error that says so, and no place`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                try redis.cli("SET", "asynq:sema:api", "x")
                let request = PermitRequest(scope: "api", limit: 2, holder: "mine", duration: .seconds(60))
                let error = await #expect(throws: AsynqError.self) { _ = try await broker.acquirePermit(request) }
                #expect(error?.code == .brokerFailure && error?.message.contains("WRONGTYPE") == true)
            }
        }
    }
}
