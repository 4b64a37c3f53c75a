import Asynq
import Foundation
import GRDB
import TestSupport
import Testing

@testable import AsynqSQLite

/// The wake-up, in the process and across processes, and what it costs while nothing happens.
struct WatchTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func settings() -> AsynqServer.Configuration {
        var configuration = AsynqServer.Configuration(concurrency: 10)
        configuration.handlesSignals = false
        configuration.logger = .silent
        // So that nothing but signals wakes it.
        configuration.taskCheckInterval = .seconds(3600)
        configuration.delayedTaskCheckInterval = .seconds(3600)
        return configuration
    }

    private func withServer(
        _ broker: SQLiteBroker,
        _ handler: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void,
        _ body: () async throws -> Void
    ) async throws {
        let server = AsynqServer(broker, handler: ClosureHandler(handler), configuration: settings())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await body()
            server.shutdown()
            try await group.waitForAll()
        }
    }

    /// Two brokers on a file know as little of each other as two processes do.
    @Test(arguments: [true, false])
    func `10 and 11: an idle server starts what is enqueued or comes due, in its process and out of it`(isOwn: Bool)
        async throws
    {
        try await folder.withBroker { broker in
            try await folder.withBroker { other in
                let client = AsynqClient(isOwn ? broker : other)
                let runs = Recorder<String>()
                try await withServer(broker, { _, context in runs.add(context.taskID) }) {
                    for number in 0..<50 {
                        try await client.enqueue(AsynqTask("t"), .taskID("now-\(number)"))
                        await runs.wait(for: number + 1)
                    }
                    // Later than another that waits, and then sooner.
                    try await client.enqueue(AsynqTask("t"), .taskID("far"), .processIn(.hours(1)))
                    try await client.enqueue(AsynqTask("t"), .taskID("near"), .processIn(.milliseconds(20)))
                    await runs.wait(for: 51)
                }
                #expect(runs.elements == (0..<50).map { "now-\($0)" } + ["near"])
                #expect(try folder.ids() == ["far"])
            }
        }
    }

    @Test func `a handler is cancelled from another process`() async throws {
        try await folder.withBroker { broker in
            try await folder.withBroker { other in
                let events = Recorder<String>()
                let handler: @Sendable (AsynqTask, TaskContext) async throws -> Void = { _, context in
                    events.add("start \(context.taskID)")
                    do {
                        try await Task.sleep(for: .seconds(3600))
                    } catch {
                        events.add("cancelled \(context.taskID)")
                        throw error
                    }
                }
                try await withServer(broker, handler) {
                    await other.put(["a"])
                    await events.wait(for: 1)
                    try await other.cancel(taskID: "a")
                    await events.wait(for: 2)
                }
                #expect(events.elements == ["start a", "cancelled a"])
            }
        }
    }

    @Test func `a cancellation that comes as soon as there is a watch is told`() async throws {
        try await folder.withBroker { broker in
            try await folder.withBroker { other in
                // The first watch, and one beside it.
                var watches: [any BrokerWatch] = []
                for number in 1...2 {
                    let (signals, gate) = (Recorder<BrokerSignal>(), DispatchSemaphore(value: 0))
                    // Somebody reads meanwhile.
                    broker.file.readerQueue.async { gate.wait() }
                    watches.append(broker.makeWatch(queues: ["default"]) { signals.add($0) })
                    try await other.cancel(taskID: "a\(number)")
                    gate.signal()
                    await signals.wait(for: 2)
                    #expect(signals.elements == [.live, .cancel(taskID: "a\(number)")])
                }
                for watch in watches { await watch.close() }
            }
        }
    }

    @Test func `11: an idle server looks at one number and at nothing else`() async throws {
        try await folder.withBroker { broker in
            let runs = Recorder<Void>()
            try await withServer(broker, { _, _ in runs.add(()) }) {
                await broker.put(["a"])
                await runs.wait(for: 1)
                try await eventually("it is stored") { try folder.ids().isEmpty }
                let (looks, others) = (Recorder<Void>(), Recorder<String>())
                for connection in [broker.file.reader, broker.file.writer] {
                    try await connection.writeWithoutTransaction { db in
                        db.trace { event in
                            if "\(event)" == "PRAGMA data_version" { looks.add(()) } else { others.add("\(event)") }
                        }
                    }
                }
                // What follows the end of the task is over by then.
                await looks.wait(for: 50)
                let (start, before) = (ContinuousClock.now, others.count)
                await looks.wait(for: 250)
                // What the heartbeat, the recoverer and the janitor do, each at times that are seconds apart.
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                #expect(others.count - before < 15 + 3 * Int(seconds), "\(others.elements)")
            }
        }
    }

    @Test func `a broker looks only while a server waits`() async throws {
        try await folder.withBroker { broker in
            #expect(!broker.watches.isPolling)
            for _ in 0..<3 {
                let signals = Recorder<BrokerSignal>()
                let (first, second) = (
                    broker.makeWatch(queues: ["default"]) { _ in },
                    broker.makeWatch(queues: ["default"]) { signals.add($0) },
                )
                await signals.wait(for: 1)
                #expect(broker.watches.isPolling)
                await first.close()
                second.listenForPending(in: "default", after: .zero)
                try await folder.withBroker { other in _ = await other.put([UUID().uuidString]) }
                await signals.wait(for: 2)
                await second.close()
                try await eventually("it stops looking") { !broker.watches.isPolling }
                _ = try await broker.take(10)
            }
        }
    }

    @Test func `trouble with the file is told, and its end too`() async throws {
        try await folder.withBroker { broker in
            let signals = Recorder<BrokerSignal>()
            let watch = broker.makeWatch(queues: ["default"]) { signals.add($0) }
            await signals.wait(for: 1)
            watch.listenForPending(in: "default", after: .zero)
            let outside = try folder.connection()
            try await outside.write { try $0.execute(sql: "ALTER TABLE asynq_queue RENAME TO asynq_lost") }
            await signals.wait(for: 2)
            #expect(!watch.isLive(for: "q"))
            try await outside.write { try $0.execute(sql: "ALTER TABLE asynq_lost RENAME TO asynq_queue") }
            try await eventually("it is live again") { watch.isLive(for: "q") }
            await signals.wait(for: 3)
            #expect(signals.elements.prefix(3) == [.live, .lost, .live])
            await broker.put(["a"])
            try await eventually("the task is signalled") { signals.elements.contains(.pending(queue: "default")) }
            await watch.close()
        }
    }
}
