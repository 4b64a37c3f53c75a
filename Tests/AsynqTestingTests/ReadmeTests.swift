import Asynq
import AsynqTesting
import Foundation
import Synchronization
import Testing

private struct WelcomeEmail: TaskPayload, Equatable {
    static let taskType = "email:welcome"
    var userID: Int
    var template: String
}

/// Stands for the code that a user tests.
private struct SignUp {
    let queue: AsynqClient

    func run(userID: Int) async throws {
        try await queue.enqueue(WelcomeEmail(userID: userID, template: "hello"))
        try await queue.enqueue(WelcomeEmail(userID: userID, template: "day-two"), .processIn(.hours(24)))
    }
}

private final class Mailer: Sendable {
    private let templates = Mutex<[String]>([])
    var sent: [String] { templates.withLock { $0 } }

    var router: TaskRouter {
        get throws {
            var router = TaskRouter()
            try router.handle(WelcomeEmail.self) { email, context in
                if email.template == "hello", context.retried == 0 { throw Busy() }
                self.templates.withLock { $0.append(email.template) }
            }
            return router
        }
    }

    struct Busy: Error {}
}

private struct DailyReport: TaskPayload, Equatable {
    static let taskType = "report:daily"
}

/// Stands for the part of a program that says what is periodic.
private func registerSchedules(_ scheduler: AsynqScheduler) throws {
    try scheduler.register("30 9 * * mon-fri", DailyReport())
}

/// What README and the documentation show.
struct ReadmeTests {
    @Test func `a new user gets two emails`() async throws {
        let mailer = Mailer()
        let tester = AsynqTester(handler: try mailer.router)

        try await SignUp(queue: tester.client).run(userID: 42)  // the code under test
        try tester.broker.expectEnqueued(WelcomeEmail(userID: 42, template: "day-two"))

        try await tester.advance(by: .minutes(5))  // takes milliseconds; retries, schedules and leases follow
        #expect(mailer.sent == ["hello"])
        try await tester.advance(by: .hours(24))
        #expect(mailer.sent == ["hello", "day-two"])
    }

    @Test func `a report is made on each day of work`() async throws {
        var router = TaskRouter()
        try router.handle(DailyReport.self) { _, _ in }
        let monday = Date(timeIntervalSince1970: 1_792_972_800)
        let tester = AsynqTester(handler: router, clock: ManualClock(at: monday))
        try registerSchedules(tester.scheduler)  // the program's own
        try await tester.advance(by: .hours(7 * 24))
        #expect(try tester.broker.enqueued(DailyReport.self).count == 5)
    }
}
