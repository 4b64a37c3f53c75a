import Asynq
import AsynqSQLite

enum MovingFromSwift {
    struct Email: TaskPayload {
        static let taskType = "email"
        static let options: [TaskOption] = [.maxRetry(3)]
        var to: String
        var message: String
    }

    static func use(send: @escaping @Sendable (Email) async throws -> Void) async throws {
        let broker = try SQLiteBroker(path: "tasks.db")

        var router = TaskRouter()
        try router.handle(Email.self) { email, context in
            try await send(email)
        }

        let client = AsynqClient(broker)
        try await client.enqueue(Email(to: "ann@example.org", message: "hello"), .processIn(.minutes(5)))

        try await AsynqServer(broker, handler: router).run()
    }
}
