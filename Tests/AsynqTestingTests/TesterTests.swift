import Asynq
import AsynqTesting
import Foundation
import Synchronization
import Testing

private struct Reminder: TaskPayload, Equatable {
    static let taskType = "reminder"
    var userID: Int
}

private struct Busy: Error {}

struct TesterTests {
    private let journal = Journal()

    private func router() throws -> TaskRouter {
        let journal = journal
        var router = TaskRouter()
        try router.handle(Reminder.self) { reminder, context in
            journal.add("reminder \(reminder.userID), attempt \(context.retried + 1)")
        }
        return router
    }

    @Test func `what was enqueued can be asked for, typed and raw`() async throws {
        let tester = AsynqTester()
        try tester.broker.expectNothingEnqueued()
        try await tester.client.enqueue(Reminder(userID: 7), .queue("low"), .processIn(.hours(1)))
        try await tester.client.enqueue(AsynqTask("raw", payload: [1, 2]))

        #expect(try tester.broker.enqueued(Reminder.self) == [Reminder(userID: 7)])
        let info = try tester.broker.expectEnqueued(Reminder(userID: 7))
        #expect(info.map(\.queue) == ["low"])
        #expect(info.map(\.state) == [.scheduled])
        #expect(info.map(\.nextProcessAt) == [tester.clock.date.addingTimeInterval(3600)])
        try tester.broker.expectEnqueued("raw", payload: [1, 2])
        try tester.broker.expectNothingEnqueued("other")

        let wrong = #expect(throws: UnmetExpectation.self) {
            try tester.broker.expectEnqueued(Reminder(userID: 8))
        }
        #expect(
            wrong?.description
                == "1 of type \"reminder\" were enqueued, none with this payload; other types that were: raw"
        )
        #expect(throws: UnmetExpectation.self) { try tester.broker.expectNothingEnqueued("raw") }
    }

    @Test func `runs what is pending, and what handlers enqueue`() async throws {
        let journal = journal
        let holder = Mutex<AsynqClient?>(nil)
        let tester = AsynqTester(
            handler: ClosureHandler { task, _ in
                journal.add(task.type)
                guard let client = holder.withLock({ $0 }), task.type == "first" else { return }
                try await client.enqueue(AsynqTask("second"))
            },
            patience: .seconds(300)
        )
        holder.withLock { $0 = tester.client }
        try await tester.client.enqueue(AsynqTask("first"))
        try await tester.runUntilIdle()
        #expect(journal.all == ["first", "second"])
        try await tester.runUntilIdle()
        #expect(journal.all == ["first", "second"])
    }

    @Test func `scheduled tasks run at their time and not before`() async throws {
        let tester = AsynqTester(handler: try router(), patience: .seconds(300))
        try await tester.client.enqueue(Reminder(userID: 1), .processIn(.hours(24)))
        try await tester.advance(by: .hours(24) - .nanoseconds(1))
        #expect(journal.all == [])
        try await tester.advance(by: .nanoseconds(1))
        #expect(journal.all == ["reminder 1, attempt 1"])
    }

    @Test func `a failing task is retried when its delay is over, until it is archived`() async throws {
        let journal = journal
        let clock = ManualClock()
        let start = clock.date
        let tester = AsynqTester(
            handler: ClosureHandler { _, context in
                journal.add("attempt \(context.retried + 1) at \(Int(clock.date.timeIntervalSince(start)))")
                throw Busy()
            },
            clock: clock,
            patience: .seconds(300)
        ) {
            $0.retryDelay = { retried, _, _ in .minutes(retried + 1) }
        }
        let info = try await tester.client.enqueue(AsynqTask("t"), .maxRetry(2))
        try await tester.runUntilIdle()
        #expect(tester.broker.task(info.id)?.state == .retry)
        try await tester.advance(by: .hours(1))
        #expect(journal.all == ["attempt 1 at 0", "attempt 2 at 60", "attempt 3 at 180"])
        #expect(tester.broker.tasks(in: .archived).map(\.id) == [info.id])
        #expect(tester.broker.task(info.id)?.lastError == "Busy()")
    }

    @Test func `a task of a worker that died is recovered when its lease has ended`() async throws {
        let tester = AsynqTester(handler: try router(), patience: .seconds(300))
        let info = try await tester.client.enqueue(Reminder(userID: 3))
        // A worker that takes the task and is never heard of again.
        _ = try await tester.broker.dequeue([DequeueRequest(queue: "default", limit: 1)])
        tester.clock.advance(by: .seconds(59))
        #expect(tester.broker.task(info.id)?.isOrphaned == true)
        tester.clock.advance(by: .seconds(1))
        try await tester.runUntilIdle()
        #expect(tester.broker.task(info.id)?.state == .retry)
        try await tester.advance(by: .minutes(2))
        #expect(journal.all == ["reminder 3, attempt 2"])
    }

    @Test func `a handler that takes too long is cancelled when the clock says so`() async throws {
        let journal = journal
        let clock = ManualClock()
        let tester = AsynqTester(
            handler: ClosureHandler { _, _ in
                journal.add("started")
                clock.advance(by: .seconds(20))
                do {
                    try await clock.sleep(for: .hours(1))
                } catch {
                    journal.add("cancelled")
                    throw error
                }
            },
            clock: clock,
            patience: .seconds(300)
        )
        let info = try await tester.client.enqueue(AsynqTask("t"), .timeout(.seconds(20)))
        try await tester.runUntilIdle()
        #expect(journal.all == ["started", "cancelled"])
        #expect(tester.broker.task(info.id)?.lastError == "asynq: task timed out: its timeout or deadline has passed")
    }

    @Test func `a completed task is deleted when its retention is over`() async throws {
        let tester = AsynqTester(handler: try router(), patience: .seconds(300))
        let info = try await tester.client.enqueue(Reminder(userID: 4), .retention(.hours(2)))
        try await tester.runUntilIdle()
        #expect(tester.broker.task(info.id)?.completedAt == tester.clock.date)
        tester.clock.advance(by: .hours(2))
        #expect(try await tester.broker.deleteExpiredCompleted(queue: "default", limit: 10) == 1)
        #expect(tester.broker.task(info.id) == nil)
    }

    @Test func `a handler that never ends is named instead of waited for`() async throws {
        let tester = AsynqTester(
            handler: ClosureHandler { _, _ in try await Task.sleep(for: .seconds(3600)) },
            patience: .seconds(5)
        )
        try await tester.client.enqueue(AsynqTask("stuck"))
        let error = await #expect(throws: UnmetExpectation.self) { try await tester.runUntilIdle() }
        #expect(error?.description.contains("1 tasks are running (stuck)") == true)
    }
}
