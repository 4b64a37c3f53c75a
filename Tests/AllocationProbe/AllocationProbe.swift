import Asynq
import AsynqRedis
import CountedAllocations
import Foundation
import Logging
import Synchronization

/// Counts how often memory is allocated for a task.
///
///     AllocationProbe URI COUNT
///
/// enqueues so many tasks one after the other, as many in batches of 100, and processes them all. Prints a line for each:
/// `single N`, `enqueue N` and `process N`, the allocations in all. The difference between two counts, divided by that of the tasks, is free of what a start takes.
@main
struct AllocationProbe {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let count = Int(arguments[2]) else {
            print("usage: see AllocationProbe.swift")
            exit(64)
        }
        let broker = try RedisBroker(arguments[1], logger: Logger(label: "broker") { _ in SwiftLogNoOpLogHandler() })
        try await broker.connect()
        try await measure("single") { try await enqueueSingly(count, broker) }
        try await measure("enqueue") { try await enqueue(count, broker) }
        try await measure("process") { try await process(2 * count, broker) }
        await broker.shutdown()
    }

    private static func measure(_ name: String, _ body: @Sendable () async throws -> Void) async throws {
        let before = counted_allocations()
        try await body()
        print("\(name) \(counted_allocations() - before)")
    }

    private static func enqueueSingly(_ count: Int, _ broker: RedisBroker) async throws {
        let client = AsynqClient(broker)
        let payload = [UInt8](repeating: 1, count: 100)
        for _ in 0..<count { try await client.enqueue(AsynqTask("t", payload: payload)) }
    }

    private static func enqueue(_ count: Int, _ broker: RedisBroker) async throws {
        let client = AsynqClient(broker)
        let payload = [UInt8](repeating: 1, count: 100)
        for start in stride(from: 0, to: count, by: 100) {
            let tasks = (start..<min(count, start + 100)).map { _ in AsynqTask("t", payload: payload) }
            for result in await client.enqueue(batch: tasks) { _ = try result.get() }
        }
    }

    private static func process(_ count: Int, _ broker: RedisBroker) async throws {
        let handled = Atomic<Int>(0)
        let (last, done) = AsyncStream<Void>.makeStream()
        var configuration = AsynqServer.Configuration(concurrency: 100)
        configuration.handlesSignals = false
        configuration.logger = Logger(label: "server") { _ in SwiftLogNoOpLogHandler() }
        let handler = ClosureHandler { _, _ in
            if handled.wrappingAdd(1, ordering: .relaxed).newValue == count { done.finish() }
        }
        let server = AsynqServer(broker, handler: handler, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            for await _ in last {}
            server.shutdown()
            try await group.waitForAll()
        }
    }
}
