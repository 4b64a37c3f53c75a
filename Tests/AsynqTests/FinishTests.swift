import AsynqTesting
import Logging
import TestSupport
import Testing

@testable import Asynq

/// How a server stores outcomes.
struct FinishTests {
    /// A server's part that stores outcomes, with tasks to end.
    private final class Stage {
        let clock = ManualClock()
        let pool: WorkerPool
        /// Those that run.
        private(set) var tickets: [WorkerTable.Ticket] = []
        private let loop: FinishLoop

        init(_ broker: NoBroker, tasks count: Int, concurrency: Int) {
            let clock = LoopClock(clock)
            pool = WorkerPool(concurrency: concurrency, clock: clock)
            loop = FinishLoop(
                broker: broker,
                pool: pool,
                clock: clock,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                metrics: nil
            )
            let tasks = (0..<count).map { number in
                LeasedTask(
                    message: TaskMessage(type: "t", payload: nil, id: "\(number)", queue: "q"),
                    leaseEnd: 1_030_000_000
                )
            }
            pool.admit(tasks, dequeuedAt: clock.now()) { ticket in
                tickets.append(ticket)
                return Task {}
            }
        }

        /// Runs the loop meanwhile.
        func run(_ body: () async throws -> Void) async throws {
            let running = Task { [loop] in await loop.run() }
            try await body()
            running.cancel()
            await running.value
        }

        /// So many handlers end, and go on with the stock.
        func end(_ count: Int) {
            for _ in 0..<count {
                let next = pool.finished(tickets.removeFirst(), .done, isDecided: false)
                if case .run(let ticket) = next { tickets.append(ticket) }
            }
        }
    }

    /// A broker that stores nothing until the gate is open.
    private func brokerThatWaits(_ batches: Recorder<Int>) -> (NoBroker, gate: AsyncStream<Void>.Continuation) {
        let (answer, gate) = AsyncStream<Void>.makeStream()
        var broker = NoBroker()
        broker.end = { requests in
            batches.add(requests.count)
            for await _ in answer {}
            return requests.map { _ in .finished }
        }
        return (broker, gate)
    }

    @Test func `a second batch sets out while the first is on its way, if it is worth a call`() async throws {
        let batches = Recorder<Int>()
        let (broker, gate) = brokerThatWaits(batches)
        let stage = Stage(broker, tasks: 200, concurrency: 200)
        let worth = WorkerTable.outcomesOfABatch
        try await stage.run {
            stage.end(1)
            await batches.wait(for: 1)
            stage.end(worth)
            await batches.wait(for: 2)
            // With two on their way these wait, however many they are.
            stage.end(worth + 10)
            #expect(stage.pool.read { $0.unstored } == 2 * worth + 11)
            gate.finish()
            try await eventually("all are stored") { stage.pool.read { $0.unstored } == 0 }
        }
        #expect(batches.elements == [1, worth, worth + 10])
    }

    @Test func `an outcome that was sent and not answered is sent again for its own attempt only`() async throws {
        let sent = Recorder<FinishRequest.Condition>()
        var broker = NoBroker()
        broker.end = { requests in
            let isFirst = sent.count == 0
            for request in requests { sent.add(request.condition) }
            return requests.map { _ in isFirst ? .failed(AsynqError(.brokerUnavailable, "no answer")) : .finished }
        }
        let stage = Stage(broker, tasks: 1, concurrency: 1)
        try await stage.run {
            stage.end(1)
            try await eventually("it is stored") {
                stage.clock.advance(by: .milliseconds(10))
                return stage.pool.read { $0.unstored } == 0
            }
        }
        #expect(sent.elements == [.isActive, .isSameAttempt])
    }

    @Test func `where queues lie apart, an outcome that waits behind others is stored for its own attempt only`() throws
    {
        let stage = Stage(NoBroker(), tasks: 3, concurrency: 3)
        stage.end(3)
        let items = stage.pool.takeFinished().toStore
        let lanes = OutcomeLanes()
        #expect(lanes.add([items[0]], "q"))
        #expect(lanes.next("q")?.map(\.delivery) == [.prompt])
        // Its call is on its way.
        #expect(!lanes.add([items[1]], "q"))
        #expect(lanes.next("q")?.map(\.delivery) == [.late])
        #expect(lanes.next("q") == nil)
        #expect(lanes.add([items[2]], "q"))
        #expect(lanes.next("q")?.map(\.delivery) == [.prompt])
    }

    @Test func `tasks that are handed back late together with an outcome are stored at once`() async throws {
        let sent = Recorder<String>()
        var broker = NoBroker()
        broker.end = { requests in
            for request in requests { sent.add("\(request.task.message.id) \(request.outcome) \(request.condition)") }
            return requests.map { _ in .finished }
        }
        let stage = Stage(broker, tasks: 3, concurrency: 1)
        try await stage.run {
            stage.clock.advance(by: .seconds(29))
            stage.end(1)
            await sent.wait(for: 2)
        }
        // The outcome itself came too late.
        #expect(sent.elements == ["2 requeue isSameAttempt", "1 requeue isSameAttempt"])
    }

    @Test func `a second batch sets out when several outcomes at once make it worth a call`() async throws {
        let batches = Recorder<Int>()
        let (broker, gate) = brokerThatWaits(batches)
        let worth = WorkerTable.outcomesOfABatch
        let stage = Stage(broker, tasks: 1 + 2 * worth, concurrency: 1)
        try await stage.run {
            stage.end(1)
            await batches.wait(for: 1)
            stage.end(worth - 10)
            // The outcome of this one, and all that is left in stock.
            stage.clock.advance(by: .seconds(29))
            stage.end(1)
            await batches.wait(for: 2)
            gate.finish()
        }
        #expect(batches.elements == [1, worth + 9])
    }
}
