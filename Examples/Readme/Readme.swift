import Asynq
import AsynqSQLite

struct WelcomeEmail: TaskPayload {
    static let taskType = "email:welcome"
    var userID: Int
    var template: String
}

@main
struct Readme {
    static func main() async throws {
        let broker = try SQLiteBroker(path: "tasks.db")  // or: try RedisBroker("redis://127.0.0.1:6379")

        // Put tasks on a queue: from any process, now or for later.
        let client = AsynqClient(broker)
        try await client.enqueue(WelcomeEmail(userID: 42, template: "hello"))
        try await client.enqueue(WelcomeEmail(userID: 42, template: "day-two"), .processIn(.hours(24)), .maxRetry(10))

        // Say what to do for each type of task.
        var router = TaskRouter()
        try router.handle(WelcomeEmail.self) { email, context in
            print("sending \(email.template) to user \(email.userID), attempt \(context.retried + 1)")
        }
        try router.handle("image:") { task, context in
            print("\(task.type) with \(task.payload?.count ?? 0) bytes")
        }

        // Work until SIGTERM, Ctrl-C or cancellation.
        let server = AsynqServer(broker, handler: router, configuration: .init(concurrency: 10))
        try await server.run()
    }
}
