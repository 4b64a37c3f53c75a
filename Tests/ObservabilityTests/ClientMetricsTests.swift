import Asynq
import AsynqTesting
import MetricsTestKit
import Testing

/// What a client measures (the page Metrics).
struct ClientMetricsTests {
    private let metrics = TestMetrics()
    private let broker = MemoryBroker()

    private var client: AsynqClient {
        var configuration = AsynqClient.Configuration()
        configuration.metrics = metrics
        return AsynqClient(broker, configuration: configuration)
    }

    private func expectRefusal(_ code: AsynqError.Code, _ body: () async throws -> Void) async {
        let error = await #expect(throws: AsynqError.self) { try await body() }
        #expect(error?.code == code)
    }

    @Test func `tasks are counted by queue and by what became of them`() async throws {
        let client = client
        try await client.enqueue(AsynqTask("t", .taskID("a")))
        try await client.enqueue(AsynqTask("t", .queue("low"), .processIn(.hours(1))))
        try await client.enqueue(AsynqTask("t", .group("g")))
        await expectRefusal(.taskIDConflict) { _ = try await client.enqueue(AsynqTask("t", .taskID("a"))) }
        let unique = AsynqTask("u", .unique(for: .hours(1)))
        try await client.enqueue(unique)
        await expectRefusal(.duplicateTask) { _ = try await client.enqueue(unique) }
        // Refused before it is sent.
        await expectRefusal(.invalidArgument) { _ = try await client.enqueue(AsynqTask(" ")) }
        await broker.shutdown()
        await expectRefusal(.brokerUnavailable) { _ = try await client.enqueue(AsynqTask("t")) }
        #expect(
            metrics.counts("asynq_client_tasks_enqueued_total") == [
                "queue=default,outcome=pending": 2, "queue=low,outcome=scheduled": 1,
                "queue=default,outcome=aggregating": 1, "queue=default,outcome=task_id_conflict": 1,
                "queue=default,outcome=duplicate_task": 1, "queue=default,outcome=broker_unavailable": 1,
            ]
        )
    }

    @Test func `a call is measured once, with the number of its tasks`() async throws {
        let client = client
        try await client.enqueue(AsynqTask("t"))
        _ = await client.enqueue(batch: (0..<25).map { AsynqTask("t", .queue("q\($0 % 2)")) })
        // Nothing of it is sent.
        _ = await client.enqueue(batch: [AsynqTask("")])
        #expect(metrics.recorders(label: "asynq_client_enqueue_batch_size").map(\.values) == [[1, 25]])
        let durations = metrics.durations("asynq_client_enqueue_duration_seconds")[""] ?? []
        #expect(durations.count == 2 && durations.allSatisfy { $0 > 0 })
        #expect(
            metrics.counts("asynq_client_tasks_enqueued_total") == [
                "queue=default,outcome=pending": 1, "queue=q0,outcome=pending": 13, "queue=q1,outcome=pending": 12,
            ]
        )
    }

    @Test func `queues that are made up without end make no more than 1000 series`() async throws {
        _ = await client.enqueue(batch: (0..<1500).map { AsynqTask("t", .queue("q\($0)")) })
        let counts = metrics.counts("asynq_client_tasks_enqueued_total")
        #expect(counts.count <= 1001)
        #expect(counts["queue=other,outcome=pending"] == 1500 - Int64(counts.count - 1))
        #expect(counts.values.reduce(0, +) == 1500)
    }
}
