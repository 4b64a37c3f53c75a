import Logging
import TestSupport
import Testing

@testable import Asynq

/// How a server stores outcomes.
struct FinishTests {
    @Test func `a second batch sets out while the first is on its way, if it is worth a call`() async throws {
        let batches = Recorder<Int>()
        let (answer, gate) = AsyncStream<Void>.makeStream()
        var broker = NoBroker()
        broker.end = { requests in
            batches.add(requests.count)
            for await _ in answer {}
            return requests.map { _ in .finished }
        }
        let clock = LoopClock()
        let pool = WorkerPool(concurrency: 200, clock: clock)
        var tickets: [WorkerTable.Ticket] = []
        let tasks = (0..<200).map { number in
            LeasedTask(
                message: TaskMessage(type: "t", payload: nil, id: "\(number)", queue: "q"),
                leaseEnd: 1_030_000_000
            )
        }
        pool.admit(tasks, dequeuedAt: clock.now()) { ticket in
            tickets.append(ticket)
            return Task {}
        }
        func end(_ count: Int) {
            for ticket in tickets.prefix(count) { _ = pool.finished(ticket, .done, isDecided: false) }
            tickets.removeFirst(count)
        }
        let loop = FinishLoop(
            broker: broker,
            pool: pool,
            clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            metrics: nil
        )
        let running = Task { await loop.run() }
        end(1)
        await batches.wait(for: 1)
        end(WorkerTable.outcomesOfABatch)
        await batches.wait(for: 2)
        // With two on their way these wait, however many they are.
        end(WorkerTable.outcomesOfABatch + 10)
        #expect(pool.read { $0.unstored } == 2 * WorkerTable.outcomesOfABatch + 11)
        gate.finish()
        try await eventually("all are stored") { pool.read { $0.unstored } == 0 }
        running.cancel()
        await running.value
        #expect(batches.elements == [1, WorkerTable.outcomesOfABatch, WorkerTable.outcomesOfABatch + 10])
    }

    @Test func `an outcome that was sent and not answered is sent again for its own attempt only`() async throws {
        let sent = Recorder<FinishRequest.Condition>()
        var broker = NoBroker()
        broker.end = { requests in
            let isFirst = sent.count == 0
            for request in requests { sent.add(request.condition) }
            return requests.map { _ in isFirst ? .failed(AsynqError(.brokerUnavailable, "no answer")) : .finished }
        }
        let clock = LoopClock()
        let pool = WorkerPool(concurrency: 1, clock: clock)
        let task = LeasedTask(
            message: TaskMessage(type: "t", payload: nil, id: "a", queue: "q"),
            leaseEnd: 1_030_000_000
        )
        pool.admit([task], dequeuedAt: clock.now()) { ticket in
            _ = pool.finished(ticket, .done, isDecided: false)
            return Task {}
        }
        let loop = FinishLoop(
            broker: broker,
            pool: pool,
            clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            metrics: nil
        )
        let running = Task { await loop.run() }
        try await eventually("it is stored") { pool.read { $0.unstored } == 0 }
        running.cancel()
        await running.value
        #expect(sent.elements == [.isActive, .isSameAttempt])
    }
}
