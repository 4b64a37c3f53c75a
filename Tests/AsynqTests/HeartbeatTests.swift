import Foundation
import Logging
import Testing

@testable import Asynq

/// How a server keeps the leases of its tasks.
struct HeartbeatTests {
    private func task(_ queue: String) -> LeasedTask {
        LeasedTask(message: TaskMessage(type: "t", payload: nil, id: queue, queue: queue), leaseEnd: 1030)
    }

    @Test func `leases that cannot be extended cost the tasks of other queues nothing`() async throws {
        var broker = NoBroker()
        broker.servesQueuesApart = true
        broker.extend = { tasks in
            if tasks.contains(where: { $0.queue == "away" }) { throw NoBroker.Unused() }
            return tasks.map { _ in true }
        }
        let clock = LoopClock()
        let pool = WorkerPool(concurrency: 3, clock: clock)
        pool.admit([task("one"), task("away"), task("other")], dequeuedAt: 0) { _ in Task {} }
        let heartbeat = HeartbeatLoop(
            broker: broker,
            pool: pool,
            clock: clock,
            interval: .seconds(10),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            metrics: nil
        ) {
            ServerState(
                identity: ServerIdentity(host: "h", pid: 1, id: "s"),
                concurrency: 3,
                queues: [:],
                strictPriority: false,
                status: "active",
                startedAt: Date(),
                workers: []
            )
        }
        let before = pool.read { $0.held() }.map(\.leaseEnd)
        await #expect(throws: NoBroker.Unused.self) { try await heartbeat.beat() }
        let after = pool.read { $0.held() }
        let isExtended = Dictionary(
            uniqueKeysWithValues: zip(before, after).map { ($1.task.message.queue, $1.leaseEnd > $0) }
        )
        #expect(isExtended == ["one": true, "away": false, "other": true])
    }
}
