import Logging
import TestSupport
import Testing

@testable import Asynq

/// How a server takes tasks.
struct FetchTests {
    @Test func `a queue that owes an answer is not asked again while others have tasks`() async throws {
        let (asked, run) = (Recorder<String>(), Recorder<String>())
        let (answer, gate) = AsyncStream<Void>.makeStream()
        var broker = NoBroker()
        broker.servesQueuesApart = true
        broker.extend = { $0.map { _ in true } }
        broker.end = { $0.map { _ in .finished } }
        broker.take = { request in
            asked.add(request.queue)
            if request.queue == "away" {
                for await _ in answer {}
                return []
            }
            return (0..<request.limit).map { _ in
                let message = TaskMessage(type: "t", payload: nil, id: TaskID.random(), queue: request.queue)
                return LeasedTask(message: message, leaseEnd: .max)
            }
        }
        var configuration = AsynqServer.Configuration(concurrency: 4, queues: ["away": 1, "here": 1])
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let handler = ClosureHandler { task, _ in run.add(task.type) }
        let server = AsynqServer(broker, handler: handler, configuration: configuration)
        let running = Task { try await server.run() }
        await run.wait(for: 500)
        #expect(asked.elements.count { $0 == "away" } == 1)
        gate.finish()
        server.shutdown()
        try await running.value
    }
}
