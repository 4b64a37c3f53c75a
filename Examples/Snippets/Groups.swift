import Asynq
import AsynqTesting

enum Groups {
    struct Notification: TaskPayload {
        static let taskType = "notification"
        var text: String
    }

    static func use(_ client: AsynqClient) async throws -> AsynqServer.Configuration {
        try await client.enqueue(Notification(text: "a comment"), .group("ann"))

        var configuration = AsynqServer.Configuration()
        configuration.groupAggregator = TypedAggregator(Notification.self) { notifications, context in
            Digest(user: context.group, lines: notifications.map(\.text))  // a TaskPayload too, handled by the router
        }
        configuration.groupGracePeriod = .minutes(2)  // ready when there has been no news for so long,
        configuration.groupMaxDelay = .minutes(10)  // or the oldest has waited for so long,
        configuration.groupMaxSize = 20  // or there are so many
        return configuration
    }

    static func test(_ router: TaskRouter, _ aggregator: any TaskAggregator) async throws {
        let tester = AsynqTester(handler: router) { $0.groupAggregator = aggregator }
        try await tester.client.enqueue(Notification(text: "a"), .group("ann"))
        try await tester.advance(by: .minutes(1))
        let digests = try tester.broker.enqueued(Digest.self)  // one, of one line
        _ = digests
    }
}
