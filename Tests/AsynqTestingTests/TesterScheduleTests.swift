import AsynqTesting
import Foundation
import Synchronization
import Testing

@testable import Asynq

/// Periodic tasks by a tester's clock.
struct TesterScheduleTests {
    private struct Report: TaskPayload, Equatable {
        static let taskType = "report"
        var name: String
    }

    private let journal = Journal()
    private let clock: ManualClock
    /// A Friday, 2026-10-23T00:00:00Z; two days later the clocks go back in Berlin.
    private static let friday = Date(timeIntervalSince1970: 1_792_713_600)

    init() {
        clock = ManualClock(at: Self.friday)
    }

    private func tester(
        _ handle: @escaping @Sendable (AsynqTask) async throws -> Void = { _ in }
    ) -> AsynqTester {
        let (journal, clock) = (journal, clock)
        let handler = ClosureHandler { task, _ in
            journal.add("\(task.type) at \(clock.date.formatted(.iso8601))")
            try await handle(task)
        }
        return AsynqTester(handler: handler, clock: clock, patience: .seconds(300))
    }

    @Test func `a report is made each morning, by the time of day of its time zone`() async throws {
        let tester = tester()
        try tester.scheduler.register(
            "0 9 * * *",
            Report(name: "sales"),
            timeZone: TimeZone(identifier: "Europe/Berlin")
        )
        try await tester.advance(by: .hours(7))
        #expect(journal.all == ["report at 2026-10-23T07:00:00Z"])
        try await tester.advance(by: .hours(3 * 24))
        #expect(
            journal.all == [
                "report at 2026-10-23T07:00:00Z", "report at 2026-10-24T07:00:00Z", "report at 2026-10-25T08:00:00Z",
            ]
        )
        try tester.broker.expectEnqueued(Report(name: "sales"))
    }

    @Test func `what is periodic, scheduled or tried again happens in the order of its times`() async throws {
        let tester = tester { task in
            if task.type == "once" { throw CancellationError() }
        }
        try tester.scheduler.register("@every 90s", AsynqTask("often"))
        try await tester.client.enqueue(AsynqTask("once"), .processIn(.seconds(100)), .maxRetry(0))
        try await tester.advance(by: .minutes(5))
        #expect(
            journal.all == [
                "often at 2026-10-23T00:01:30Z", "once at 2026-10-23T00:01:40Z", "often at 2026-10-23T00:03:00Z",
                "often at 2026-10-23T00:04:30Z",
            ]
        )
        #expect(clock.date == Self.friday.addingTimeInterval(300))
    }

    @Test func `an entry counts from the moment at which it is there, whoever registers it`() async throws {
        let holder = Mutex<AsynqScheduler?>(nil)
        let tester = tester { task in
            guard task.type == "first", let scheduler = holder.withLock({ $0 }) else { return }
            try scheduler.register("@every 1m", AsynqTask("second"), id: "second")
        }
        holder.withLock { $0 = tester.scheduler }
        try await tester.client.enqueue(AsynqTask("first"), .processIn(.seconds(30)))
        try await tester.advance(by: .seconds(160))
        #expect(
            journal.all == [
                "first at 2026-10-23T00:00:30Z", "second at 2026-10-23T00:01:30Z", "second at 2026-10-23T00:02:30Z",
            ]
        )
        try tester.scheduler.unregister("second")
        try await tester.advance(by: .hours(1))
        #expect(journal.all.count == 3)
    }

    @Test func `runs that the test misses are made up for as the entry says`() async throws {
        let tester = tester()
        try tester.scheduler.register("@hourly", AsynqTask("none"))
        try tester.scheduler.register("@hourly", AsynqTask("latest"), missed: .one)
        try tester.scheduler.register("@hourly", AsynqTask("all"), missed: .all)
        try await tester.runUntilIdle()
        // Time passes without a scheduler.
        clock.advance(by: .minutes(200))
        try await tester.runUntilIdle()
        #expect(journal.all == ["latest", "all", "all", "all"].map { "\($0) at 2026-10-23T03:20:00Z" })
    }

    @Test func `at one moment scheduled tasks go first, and periodic ones in the order in which they were registered`()
        async throws
    {
        let tester = tester()
        let names = (1...20).map { "p\($0)" }
        for name in names { try tester.scheduler.register("@hourly", AsynqTask(name)) }
        try await tester.client.enqueue(AsynqTask("once"), .processIn(.hours(2)))
        try await tester.advance(by: .hours(2))
        #expect(
            journal.all == names.map { "\($0) at 2026-10-23T01:00:00Z" }
                + (["once"] + names).map { "\($0) at 2026-10-23T02:00:00Z" }
        )
    }

    @Test func `a periodic task that moves the clock to its own next time ends the test`() async throws {
        let clock = clock
        let tester = AsynqTester(
            handler: ClosureHandler { _, _ in clock.advance(by: .minutes(1)) },
            clock: clock,
            patience: .seconds(2)
        )
        try tester.scheduler.register("@every 1m", AsynqTask("t"))
        let error = await #expect(throws: UnmetExpectation.self) { try await tester.advance(by: .minutes(1)) }
        #expect(error?.description.contains("its periodic task is due again") == true)
    }

    @Test func `another scheduler's lease is waited for, and no run is missed`() async throws {
        let tester = tester()
        try tester.scheduler.register("@every 1m", AsynqTask("t"), id: "e")
        try await tester.runUntilIdle()
        let other = MemoryBroker(sharing: tester.broker)
        clock.advance(by: .seconds(30))
        // The tester's has ended.
        #expect(try await other.holdSchedulerLease(EntryID.group(["e"]), holder: "other", ttl: .seconds(50)).isHeld)
        try await tester.advance(by: .minutes(3))
        #expect(
            journal.all == ["00:01:20", "00:02:00", "00:03:00"].map { "t at 2026-10-23T\($0)Z" }
        )
    }

    @Test func `a tester's scheduler that is shut down or run is told of`() async throws {
        let tester = tester()
        try tester.scheduler.register("@every 1m", AsynqTask("t"))
        tester.scheduler.shutdown()
        let error = await #expect(throws: AsynqError.self) { try await tester.runUntilIdle() }
        #expect(error?.code == .serverClosed && error?.message.contains("shut down") == true)
        try await tester.scheduler.run()
        let second = await #expect(throws: AsynqError.self) { try await tester.runUntilIdle() }
        #expect(second?.code == .serverClosed && second?.message.contains("not to be run") == true)
    }

    @Test func `inspectors see the entries, and what each has enqueued`() async throws {
        let tester = tester()
        let inspector = AsynqInspector(tester.broker)
        let id = try tester.scheduler.register("@every 10m", Report(name: "stock"))
        try await tester.advance(by: .minutes(25))
        let entries = try await inspector.schedulerEntries()
        #expect(entries.map(\.id) == [id] && entries.map(\.taskType) == ["report"])
        #expect(entries.map(\.nextEnqueueAt) == [Self.friday.addingTimeInterval(1800)])
        #expect(
            try await inspector.enqueueEvents(ofEntry: id).map(\.taskID) == tester.broker.enqueued.map(\.id).reversed()
        )
        try tester.scheduler.unregister(id)
        try await tester.runUntilIdle()
        #expect(try await inspector.schedulerEntries().isEmpty)
    }

    @Test func `the scheduler's settings are the test's, and are checked`() async throws {
        let reports = Journal()
        let tester = AsynqTester(clock: clock, patience: .seconds(300)) {
            $0.concurrency = 2
        } configureScheduler: {
            $0.timeZone = TimeZone(secondsFromGMT: 3600) ?? .gmt
            $0.postEnqueue = { run, result in
                guard case .failure(let error) = result else { return }
                reports.add("\(run.task.type) \(error.code)")
            }
        }
        try tester.scheduler.register("30 1 * * *", AsynqTask("t"), .unique(for: .hours(48)), .processIn(.hours(48)))
        try await tester.advance(by: .minutes(30))
        #expect(tester.broker.tasks(in: .scheduled).count == 1)
        #expect(reports.all == [])
        try await tester.advance(by: .hours(24))
        #expect(reports.all == ["t duplicateTask"])

        let wrong = AsynqTester { _ in
        } configureScheduler: {
            $0.missedAfter = .zero
        }
        let error = await #expect(throws: AsynqError.self) { try await wrong.runUntilIdle() }
        #expect(error?.code == .invalidArgument)
    }
}
