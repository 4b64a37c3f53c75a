import Foundation
import Logging
import TestSupport
import Testing

@testable import Asynq

/// How a server keeps the leases of its tasks.
struct HeartbeatTests {
    private func task(_ queue: String) -> LeasedTask {
        LeasedTask(message: TaskMessage(type: "t", payload: nil, id: queue, queue: queue), leaseEnd: 1_030_000_000)
    }

    @Test func `leases of a queue that does not answer cost the tasks of others nothing`() async throws {
        let extended = Recorder<String>()
        let (answer, gate) = AsyncStream<Void>.makeStream()
        var broker = NoBroker()
        broker.servesQueuesApart = true
        broker.extend = { tasks in
            if tasks.contains(where: { $0.message.queue == "away" }) { for await _ in answer {} }
            if tasks.contains(where: { $0.message.queue == "refused" }) { throw NoBroker.Unused() }
            extended.add(tasks.map(\.message.queue).joined(separator: " "))
            return tasks.map { _ in true }
        }
        let clock = LoopClock()
        let names = ["one", "away", "refused", "other"]
        let pool = WorkerPool(concurrency: names.count, clock: clock)
        pool.admit(names.map(task), dequeuedAt: 0) { _ in Task {} }
        let before = leaseEnds(pool)
        let heartbeat = HeartbeatLoop(
            broker: broker,
            queues: names,
            pool: pool,
            clock: clock,
            interval: .milliseconds(1),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            metrics: nil
        ) {
            ServerState(
                identity: ServerIdentity(host: "h", pid: 1, id: "s"),
                concurrency: names.count,
                queues: [:],
                strictPriority: false,
                status: "active",
                startedAt: Date(),
                workers: []
            )
        }
        let running = Task { await heartbeat.run() }
        for queue in ["one", "other"] {
            try await eventually("the lease of \(queue) is extended again and again") {
                extended.elements.count { $0 == queue } > 2
            }
        }
        let after = leaseEnds(pool)
        running.cancel()
        gate.finish()
        await running.value
        #expect(names.map { after[$0, default: 0] > before[$0, default: 0] } == [true, false, false, true])
    }

    private func leaseEnds(_ pool: WorkerPool) -> [String: Int64] {
        Dictionary(uniqueKeysWithValues: pool.read { $0.held() }.map { ($0.task.message.queue, $0.leaseEnd) })
    }
}
