import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// A worker that is cut off, or whose clock is wrong.
struct PartitionTests {
    @Test func `a worker that is cut off for longer than its lease stores nothing when it is back`() async throws {
        try await RedisServer.withServer { redis in
            try await FaultyProxy.withProxy(to: redis) { proxy in
                let events = Recorder<String>()
                let far = try RedisBroker(configuration: .patient(proxy.uri), logger: .silent)
                let beating = configuration { $0.heartbeatInterval = .milliseconds(50) }
                let stuck = ClosureHandler { _, _ in
                    events.add("far: start")
                    do {
                        try await Task.sleep(for: .seconds(86_400))
                    } catch {
                        events.add("far: cancelled")
                        throw error
                    }
                }
                let settings = configuration {
                    $0.recovererInterval = .milliseconds(50)
                    $0.retryDelay = { _, _, _ in .zero }
                }
                let quick = ClosureHandler { _, _ in events.add("near") }
                try await withServer(far, beating, handler: stuck) { _ in
                    try await withBroker(redis) { near in
                        try await AsynqClient(near).enqueue(AsynqTask("t"), .taskID("a"))
                        await events.wait(for: 1)
                        proxy.set(.holdsEverything)
                        // Once: later it could be that of the other.
                        try redis.endLeases()
                        try await withServer(near, settings, handler: quick) { _ in
                            await events.wait(for: 2)
                            try await eventually("it is stored as done") { try redis.isEmpty() }
                        }
                    }
                    // What was on its way arrives now, and changes nothing.
                    proxy.set(.none)
                    await events.wait(for: 3)
                }
                await far.shutdown()
                #expect(events.elements == ["far: start", "near", "far: cancelled"])
                #expect(try redis.isEmpty() && redis.count("archived") == 0)
                // The recovery, and the run.
                #expect(try redis.cli("GET", "asynq:{default}:processed") == "2")
                #expect(try redis.cli("GET", "asynq:{default}:failed") == "1")
            }
        }
    }

    /// A clock that goes, and tells another time of day.
    private struct WrongClock: WallClock {
        typealias Instant = ContinuousClock.Instant
        let offset: TimeInterval
        private let clock = ContinuousClock()

        init(offset: TimeInterval) { self.offset = offset }

        var now: Instant { clock.now }
        var minimumResolution: Duration { clock.minimumResolution }
        var date: Date { Date().addingTimeInterval(offset) }
        func sleep(until deadline: Instant, tolerance: Duration?) async throws {
            try await clock.sleep(until: deadline, tolerance: tolerance)
        }
    }

    @Test func `workers whose clocks are ten minutes off start no task early and lose no lease`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                let ran = Recorder<String>()
                let (gate, started) = (Recorder<Void>(), Recorder<String>())
                let handler = ClosureHandler { _, context in
                    // On the clock of Redis.
                    let now = try redis.cli("TIME").split(separator: "\n").compactMap { Double($0) }
                    if context.taskID.hasPrefix("due"), let due = Double(context.taskID.dropFirst(4)) {
                        #expect(now[0] * 1000 + now[1] / 1000 >= due, "\(context.taskID)")
                    } else {
                        started.add(context.taskID)
                        await gate.wait(for: 1)
                    }
                    ran.add(context.taskID)
                }
                let settings = configuration {
                    $0.heartbeatInterval = .milliseconds(50)
                    $0.recovererInterval = .milliseconds(50)
                }
                let servers = [-600.0, 600].map {
                    AsynqServer(broker, handler: handler, configuration: settings, clock: WrongClock(offset: $0))
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for server in servers { group.addTask { try await server.run() } }
                    let client = AsynqClient(broker)
                    // Held while recoveries go by. Their deadline is ahead on the clock of Redis, and behind on one of the others.
                    for number in 0..<4 {
                        let deadline = TaskOption.deadline(Date().addingTimeInterval(500))
                        try await client.enqueue(AsynqTask("t"), .taskID("held-\(number)"), deadline)
                    }
                    await started.wait(for: 4)
                    let now = Date().timeIntervalSince1970
                    for number in 1...20 {
                        let due = now + Double(number) / 10
                        let id = "due:\(Int(due * 1000))"
                        try await client.enqueue(
                            AsynqTask("t"),
                            .taskID(id),
                            .processAt(Date(timeIntervalSince1970: due))
                        )
                    }
                    await ran.wait(for: 20)
                    gate.add(())
                    await ran.wait(for: 24)
                    try await eventually("all are stored as done") { try redis.isEmpty() }
                    for server in servers { server.shutdown() }
                    try await group.waitForAll()
                }
                #expect(ran.count == 24 && Set(ran.elements).count == 24)
                #expect(try redis.cli("GET", "asynq:{default}:failed") == "")
            }
        }
    }
}
