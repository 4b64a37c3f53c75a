import Asynq
import AsynqTesting
import CoreMetrics
import MetricsTestKit
import Synchronization
import TestSupport
import Testing

/// What a server measures (the page Metrics).
struct ServerMetricsTests {
    private let metrics = TestMetrics()

    @Test func `each outcome is counted under its queue and type, as the broker counts it`() async throws {
        var router = TaskRouter()
        try router.handle("done") { _, _ in }
        try router.handle("retried") { _, _ in throw Boom() }
        try router.handle("busy") { _, context in throw AsynqError.rateLimited("busy", retryAfter: .hours(1)) }
        try router.handle("skipped") { _, _ in throw AsynqError.skipRetry("no use") }
        try router.handle("revoked") { _, _ in throw AsynqError.revokeTask("not needed") }
        let tester = makeTester(handler: router, metrics: metrics) {
            $0.queues = ["default": 1, "low": 1]
            $0.retryDelay = { _, _, _ in .hours(1) }
        }
        for type in ["done", "retried", "busy", "skipped", "revoked"] {
            try await tester.client.enqueue(AsynqTask(type))
        }
        try await tester.client.enqueue(AsynqTask("done", .queue("low")))
        try await tester.client.enqueue(AsynqTask("retried", .queue("low"), .maxRetry(0)))
        try await tester.runUntilIdle()

        #expect(
            metrics.counts("asynq_server_tasks_processed_total") == [
                "queue=default,type=done": 1, "queue=default,type=retried": 1, "queue=default,type=skipped": 1,
                "queue=default,type=revoked": 1, "queue=low,type=done": 1, "queue=low,type=retried": 1,
            ]
        )
        #expect(
            metrics.counts("asynq_server_tasks_failed_total") == [
                "queue=default,type=retried": 1, "queue=default,type=skipped": 1, "queue=low,type=retried": 1,
            ]
        )
        #expect(
            metrics.counts("asynq_server_tasks_retried_total") == [
                "queue=default,type=retried": 1, "queue=default,type=busy": 1,
            ]
        )
        #expect(
            metrics.counts("asynq_server_tasks_archived_total") == [
                "queue=default,type=skipped": 1, "queue=low,type=retried": 1,
            ]
        )
        #expect(metrics.counts("asynq_server_leases_lost_total") == [:])
    }

    @Test func `time in the queue and time in the handler are those of the clock`() async throws {
        let clock = ManualClock()
        let tester = makeTester(
            handler: ClosureHandler { _, _ in clock.advance(by: .seconds(2)) },
            clock: clock,
            metrics: metrics
        )
        try await tester.client.enqueue(AsynqTask("t"))
        clock.advance(by: .milliseconds(4500))
        try await tester.runUntilIdle()
        #expect(metrics.durations("asynq_server_time_in_queue_seconds") == ["queue=default,type=t": [4_500_000_000]])
        #expect(metrics.durations("asynq_server_task_duration_seconds") == ["queue=default,type=t": [2_000_000_000]])
    }

    @Test func `a retry waits in the queue only from the moment when it is due`() async throws {
        let clock = ManualClock()
        let tester = makeTester(
            handler: ClosureHandler { _, context in if context.retried == 0 { throw Boom() } },
            clock: clock,
            metrics: metrics
        ) {
            $0.retryDelay = { _, _, _ in .seconds(60) }
        }
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.advance(by: .seconds(60))
        #expect(metrics.durations("asynq_server_time_in_queue_seconds") == ["queue=default,type=t": [0, 0]])
    }

    @Test func `handlers in flight go up and come down again, however they end`() async throws {
        let metrics = metrics
        let during = Mutex<[Double?]>([])
        let tester = makeTester(
            handler: ClosureHandler { task, _ in
                let meter = metrics.meters(label: "asynq_server_tasks_in_flight").first
                during.withLock { $0.append(meter?.lastValue) }
                if task.payload == [1] { throw Boom() }
            },
            metrics: metrics
        )
        for payload in [[0], [1], [0]] as [[UInt8]] {
            try await tester.client.enqueue(AsynqTask("t", payload: payload))
        }
        try await tester.runUntilIdle()
        #expect(during.withLock { $0 } == [1, 1, 1])
        #expect(metrics.meters(label: "asynq_server_tasks_in_flight").map(\.lastValue) == [0])
    }

    @Test func `a router's patterns stand for types, so that types made up without end make no series`() async throws {
        var router = TaskRouter()
        try router.handle("image:") { _, _ in }
        try router.handle("image:crop") { _, _ in }
        let tester = makeTester(handler: router, metrics: metrics)
        for index in 0..<50 {
            try await tester.client.enqueue(AsynqTask("image:\(index)"))
            try await tester.client.enqueue(AsynqTask("nobody's:\(index)"))
        }
        try await tester.client.enqueue(AsynqTask("image:crop"))
        try await tester.runUntilIdle()
        let retried = ["queue=default,type=unknown": Int64(50)]
        #expect(metrics.counts("asynq_server_tasks_retried_total") == retried)
        #expect(
            metrics.counts("asynq_server_tasks_processed_total") == [
                "queue=default,type=image:": 50, "queue=default,type=image:crop": 1, "queue=default,type=unknown": 50,
            ]
        )
    }

    @Test func `without a router the first 100 types of a queue have series, and the rest is other`() async throws {
        let tester = makeTester(handler: ClosureHandler { _, _ in }, metrics: metrics) {
            $0.queues = ["default": 1, "low": 1]
        }
        for index in 0..<130 { try await tester.client.enqueue(AsynqTask("t\(index)")) }
        try await tester.client.enqueue(AsynqTask("t129", .queue("low")))
        try await tester.runUntilIdle()
        let counts = metrics.counts("asynq_server_tasks_processed_total")
        #expect(counts.count == 102)
        #expect(counts["queue=default,type=other"] == 30)
        #expect(counts["queue=default,type=t99"] == 1)
        #expect(counts["queue=low,type=t129"] == 1)
    }

    @Test func `batches are measured: what was taken at once, and what was stored at once`() async throws {
        let tester = makeTester(handler: ClosureHandler { _, _ in }, metrics: metrics)
        for _ in 0..<20 { try await tester.client.enqueue(AsynqTask("t")) }
        try await tester.runUntilIdle()
        for name in ["asynq_server_dequeue_batch_size", "asynq_server_finish_batch_size"] {
            let values = metrics.recorders(label: name).flatMap(\.values)
            #expect(values.reduce(0, +) == 20, "\(name)")
            #expect(values.allSatisfy { $0 > 0 }, "\(name)")
        }
    }

    @Test func `a task of a server that died is counted as recovered, and as the failure that it is`() async throws {
        let tester = makeTester(handler: ClosureHandler { _, _ in }, metrics: metrics)
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.client.enqueue(AsynqTask("t", .maxRetry(0)))
        _ = try await tester.broker.dequeue([DequeueRequest(queue: "default", limit: 2)])
        tester.clock.advance(by: .seconds(61))
        try await tester.withServer {
            while tester.broker.tasks(in: .active).count > 0 { await Task.yield() }
        }
        #expect(metrics.counts("asynq_server_tasks_recovered_total") == ["queue=default": 2])
        #expect(metrics.counts("asynq_server_tasks_failed_total") == ["queue=default,type=t": 2])
        #expect(metrics.counts("asynq_server_tasks_archived_total") == ["queue=default,type=t": 1])
    }

    @Test func `an outcome that comes to nothing, because another has the task, is a lost lease`() async throws {
        let holder = Mutex<MemoryBroker?>(nil)
        let tester = makeTester(
            handler: ClosureHandler { task, context in
                // Another server ends the task meanwhile.
                let message = TaskMessage(type: task.type, payload: nil, id: context.taskID, queue: context.queue)
                let leased = LeasedTask(message: message, leaseEnd: 0)
                _ = await holder.withLock { $0 }?.finish([FinishRequest(task: leased, outcome: .done)])
            },
            metrics: metrics
        )
        holder.withLock { $0 = tester.broker }
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.runUntilIdle()
        #expect(metrics.counts("asynq_server_leases_lost_total") == ["queue=default": 1])
        #expect(metrics.counts("asynq_server_tasks_processed_total") == [:])
    }

    @Test func `a lease that the heartbeat finds lost is counted once`() async throws {
        let holder = Mutex<MemoryBroker?>(nil)
        let clock = ManualClock()
        let cancelled = TestSupport.Recorder<Void>()
        let tester = makeTester(
            handler: ClosureHandler { task, context in
                let message = TaskMessage(type: task.type, payload: nil, id: context.taskID, queue: context.queue)
                let leased = LeasedTask(message: message, leaseEnd: 0)
                _ = await holder.withLock { $0 }?.finish([FinishRequest(task: leased, outcome: .done)])
                while !Task.isCancelled {
                    clock.advance(by: .seconds(1))
                    await Task.yield()
                }
                cancelled.add(())
            },
            clock: clock,
            metrics: metrics
        )
        holder.withLock { $0 = tester.broker }
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.withServer { await cancelled.wait(for: 1) }
        #expect(metrics.counts("asynq_server_leases_lost_total") == ["queue=default": 1])
        #expect(metrics.counts("asynq_server_tasks_processed_total") == [:])
    }

    /// Counts how often a handler is asked for.
    private final class CountingFactory: MetricsFactory {
        let made = Mutex<[String: Int]>([:])

        private func count(_ label: String) -> NOOPMetricsHandler {
            made.withLock { $0[label, default: 0] += 1 }
            return NOOPMetricsHandler.instance
        }

        func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { count(label) }
        func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { count(label) }
        func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { count(label) }
        func makeRecorder(
            label: String,
            dimensions: [(String, String)],
            aggregate: Bool
        ) -> any RecorderHandler { count(label) }
        func destroyCounter(_ handler: any CounterHandler) {}
        func destroyMeter(_ handler: any MeterHandler) {}
        func destroyTimer(_ handler: any TimerHandler) {}
        func destroyRecorder(_ handler: any RecorderHandler) {}
    }

    @Test func `the backend's handlers are made once, not for each task`() async throws {
        let factory = CountingFactory()
        let tester = makeTester(handler: ClosureHandler { _, _ in }, metrics: factory)
        var configuration = AsynqClient.Configuration()
        configuration.metrics = factory
        let client = AsynqClient(tester.broker, configuration: configuration)
        for _ in 0..<100 { try await client.enqueue(AsynqTask("t")) }
        try await tester.runUntilIdle()
        let made = factory.made.withLock { $0 }
        #expect(made["asynq_server_task_duration_seconds"] == 1)
        #expect(made["asynq_client_tasks_enqueued_total"] == 1)
        #expect(made.values.allSatisfy { $0 == 1 }, "\(made)")
    }

    @Test func `a factory of the surrounding scope is used, where none is given`() async throws {
        let metrics = metrics
        try await withMetricsFactory(metrics) {
            let tester = makeTester(handler: ClosureHandler { _, _ in })
            try await tester.client.enqueue(AsynqTask("t"))
            try await tester.runUntilIdle()
        }
        #expect(metrics.counts("asynq_server_tasks_processed_total") == ["queue=default,type=t": 1])
        #expect(metrics.counts("asynq_client_tasks_enqueued_total") == ["queue=default,outcome=pending": 1])
    }
}
