import Asynq
import AsynqTesting
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// Ending in every way, with handlers that do as they like. In memory, and by a clock that the test moves.
struct ShutdownTests {
    private let clock = ManualClock()
    private let log = LogRecorder()
    private let events = Recorder<String>()

    private var broker: MemoryBroker { MemoryBroker(clock: clock) }

    private func server(
        _ broker: MemoryBroker,
        _ change: (inout AsynqServer.Configuration) -> Void = { _ in },
        handler: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void
    ) -> AsynqServer {
        let settings = configuration(concurrency: 2) {
            $0.logger = log.logger
            change(&$0)
        }
        return AsynqServer(broker, handler: ClosureHandler(handler), configuration: settings, clock: clock)
    }

    /// Runs until it is cancelled, and tells.
    private func hang(_ context: TaskContext) async throws {
        events.add("start \(context.taskID)")
        do {
            try await Task.sleep(for: .seconds(86_400))
        } catch {
            events.add("cancelled \(context.taskID)")
            throw error
        }
    }

    @Test
    func `a shutdown that is asked for in two ways at once still waits for handlers, and one asked for twice does not`()
        async throws
    {
        let broker = broker
        let events = events
        let server = server(broker) { _, context in try await self.hang(context) }
        try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a")))
        let group = ServiceGroup(
            services: [server],
            gracefulShutdownSignals: [],
            cancellationSignals: [],
            logger: log.logger
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            await events.wait(for: 1)
            // A signal may reach both the group and the server.
            await group.triggerGracefulShutdown()
            server.shutdown()
            try await eventually("it shuts down") { log.lines.contains { $0.contains("server shuts down") } }
            #expect(events.elements == ["start a"])
            server.shutdown()
            try await tasks.waitForAll()
        }
        #expect(events.elements == ["start a", "cancelled a"])
        #expect(broker.tasks(in: .pending).map(\.id) == ["a"])
    }

    @Test func `a shutdown before the start ends it at once`() async throws {
        let broker = broker
        let server = server(broker) { _, _ in }
        try await AsynqClient(broker).enqueue(AsynqTask("t"))
        server.shutdown()
        try await server.run()
        #expect(broker.tasks(in: .active).isEmpty)
    }

    @Test func `a stop before the start takes no tasks`() async throws {
        let broker = broker
        let server = server(broker) { _, context in self.events.add("start \(context.taskID)") }
        try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a")))
        server.stop()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            try await eventually("it runs") { log.lines.contains { $0.contains("server started") } }
            server.shutdown()
            try await tasks.waitForAll()
        }
        #expect(events.elements.isEmpty)
        #expect(broker.tasks(in: .pending).map(\.id) == ["a"])
    }

    @Test func `limits that last for ever are no limits`() async throws {
        let broker = broker
        let server = server(
            broker,
            {
                $0.shutdownTimeout = .seconds(Int64.max)
                $0.cancellationGrace = .seconds(Int64.max)
                $0.delayedTaskCheckInterval = .seconds(Int64.max / 100)
            },
            handler: { _, context in try await self.hang(context) }
        )
        try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a"), .maxRetry(0)))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            await events.wait(for: 1)
            try await broker.cancel(taskID: "a")
            await events.wait(for: 2)
            server.shutdown()
            try await tasks.waitForAll()
        }
        #expect(broker.tasks(in: .archived).map(\.id) == ["a"])
    }

    @Test func `an error handler that never returns holds up neither time-outs nor the end`() async throws {
        let broker = broker
        let server = server(
            broker,
            {
                $0.errorHandler = { [events] _, _, context in
                    events.add("error \(context.taskID)")
                    await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
                }
            },
            handler: { _, context in
                if context.taskID == "hang" { try await self.hang(context) }
                self.events.add("start \(context.taskID)")
                // Ignores its cancellation.
                await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            }
        )
        let client = AsynqClient(broker)
        for id in ["stubborn", "hang"] {
            try await client.enqueue(AsynqTask("t", .taskID(id), .maxRetry(0), .timeout(.seconds(10))))
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            await events.wait(for: 2)
            clock.advance(by: .seconds(10))
            await events.wait(for: 4)  // both began; one is cancelled, and its error handler hangs
            try await eventually("both are given up") {
                clock.advance(by: .seconds(5))
                return broker.tasks(in: .archived).count == 2
            }
            server.shutdown()
            try await tasks.waitForAll()
        }
        // Each is told of once, though the one still hung in its error handler when it was given up.
        try await eventually("both were told of") { events.elements.count { $0.hasPrefix("error") } == 2 }
        #expect(Set(events.elements.filter { $0.hasPrefix("error") }) == ["error stubborn", "error hang"])
    }

    @Test func `a revoked task is dropped, with a retention too`() async throws {
        let broker = broker
        let server = server(broker) { _, _ in throw AsynqError.revokeTask("not needed any more") }
        try await AsynqClient(broker).enqueue(AsynqTask("t", .retention(.hours(1)), .unique(for: .hours(1))))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            await broker.waitUntilIdle()
            server.shutdown()
            try await tasks.waitForAll()
        }
        for state in TaskState.allCases { #expect(broker.tasks(in: state).isEmpty) }
        try await AsynqClient(broker).enqueue(AsynqTask("t", .unique(for: .hours(1))))
    }

    @Test func `a handler knows its task: id, queue, retries, deadline, headers, waiting time, logger`() async throws {
        let broker = broker
        let start = clock.date
        let seen = Mutex<TaskContext?>(nil)
        let server = server(broker) { _, context in
            context.logger.info("at work")
            seen.withLock { $0 = context }
        }
        let task = AsynqTask("t", payload: Array("secret".utf8), headers: ["tenant": "7"], .timeout(.seconds(90)))
        try await AsynqClient(broker).enqueue(task, .taskID("a"), .maxRetry(3))
        clock.advance(by: .seconds(4))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            await broker.waitUntilIdle()
            server.shutdown()
            try await tasks.waitForAll()
        }
        let context = try #require(seen.withLock { $0 })
        #expect(context.taskID == "a" && context.queue == "default" && context.retried == 0 && context.maxRetry == 3)
        #expect(context.headers == ["tenant": "7"])
        #expect(context.deadline == start.addingTimeInterval(94))
        #expect(context.pendingSince == start)
        let line = try #require(log.lines.first { $0.contains("at work") })
        for word in ["task_id=a", "task_type=t", "queue=default", "retried=0"] { #expect(line.contains(word)) }
        #expect(!log.lines.contains { $0.contains("secret") })
    }
}
