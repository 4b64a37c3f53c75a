import Asynq
import AsynqMetrics
import AsynqTesting
import Foundation
import Testing

/// Queue metrics for Prometheus (the page Metrics).
struct QueueMetricsTests {
    private func snapshot(_ queue: String, _ change: (inout QueueSnapshot) -> Void = { _ in }) -> QueueSnapshot {
        var snapshot = QueueSnapshot(queue: queue, time: Date(timeIntervalSince1970: 1_700_000_000))
        change(&snapshot)
        return snapshot
    }

    @Test func `the text is exactly this`() {
        let text = QueueMetrics.text(
            of: [
                snapshot("default") {
                    $0.active = 1
                    $0.pending = 2
                    $0.scheduled = 3
                    $0.retry = 4
                    $0.archived = 5
                    $0.completed = 6
                    $0.aggregating = 7
                    $0.processed = 1_000_000_000_000
                    $0.failed = 9
                    $0.latency = .milliseconds(1500)
                    $0.memoryUsage = 4096
                },
                snapshot("low") { $0.pausedAt = Date() },
            ]
        )
        #expect(
            text == """
                # HELP asynq_tasks_enqueued_total Number of tasks now in each state, by queue and state.
                # TYPE asynq_tasks_enqueued_total gauge
                asynq_tasks_enqueued_total{queue="default",state="active"} 1
                asynq_tasks_enqueued_total{queue="default",state="pending"} 2
                asynq_tasks_enqueued_total{queue="default",state="scheduled"} 3
                asynq_tasks_enqueued_total{queue="default",state="retry"} 4
                asynq_tasks_enqueued_total{queue="default",state="archived"} 5
                asynq_tasks_enqueued_total{queue="default",state="completed"} 6
                asynq_tasks_enqueued_total{queue="default",state="aggregating"} 7
                asynq_tasks_enqueued_total{queue="low",state="active"} 0
                asynq_tasks_enqueued_total{queue="low",state="pending"} 0
                asynq_tasks_enqueued_total{queue="low",state="scheduled"} 0
                asynq_tasks_enqueued_total{queue="low",state="retry"} 0
                asynq_tasks_enqueued_total{queue="low",state="archived"} 0
                asynq_tasks_enqueued_total{queue="low",state="completed"} 0
                asynq_tasks_enqueued_total{queue="low",state="aggregating"} 0
                # HELP asynq_queue_size Number of tasks in a queue, in all states.
                # TYPE asynq_queue_size gauge
                asynq_queue_size{queue="default"} 28
                asynq_queue_size{queue="low"} 0
                # HELP asynq_queue_latency_seconds How long the oldest pending task of a queue has been waiting; 0 if none waits.
                # TYPE asynq_queue_latency_seconds gauge
                asynq_queue_latency_seconds{queue="default"} 1.5
                asynq_queue_latency_seconds{queue="low"} 0.0
                # HELP asynq_queue_memory_usage_approx_bytes About how many bytes the tasks of a queue take, from a sample of them.
                # TYPE asynq_queue_memory_usage_approx_bytes gauge
                asynq_queue_memory_usage_approx_bytes{queue="default"} 4096
                # HELP asynq_tasks_processed_total Number of attempts that ever ended in a queue, successes and failures.
                # TYPE asynq_tasks_processed_total counter
                asynq_tasks_processed_total{queue="default"} 1000000000000
                asynq_tasks_processed_total{queue="low"} 0
                # HELP asynq_tasks_failed_total Number of attempts that ever failed in a queue.
                # TYPE asynq_tasks_failed_total counter
                asynq_tasks_failed_total{queue="default"} 9
                asynq_tasks_failed_total{queue="low"} 0
                # HELP asynq_queue_paused_total 1 if a queue is paused, 0 if not.
                # TYPE asynq_queue_paused_total gauge
                asynq_queue_paused_total{queue="default"} 0
                asynq_queue_paused_total{queue="low"} 1

                """
        )
    }

    @Test(arguments: [
        "plain", "a\"b", "a\\b", "a\nb", "\\n", "\\\"", "\"} 1\nasynq_queue_size{queue=\"x", "{}", "a,b=c",
        "# TYPE x gauge",
        "tab\tcr\rnel\u{85}ls\u{2028}", "crlf\r\nx", "\u{1F600}e\u{301}", " lead", "trail ", "\u{1}\u{7F}", "q\\\r\n\"",
    ])
    func `any name of a queue comes through as it is, and breaks nothing`(name: String) throws {
        let text = try PrometheusText(QueueMetrics.text(of: [snapshot(name), snapshot("other")]))
        #expect(text.types.count == 6 && text.help.keys == text.types.keys)
        for sample in text.samples {
            let queue = sample.labels["queue"]
            #expect(queue.map { Array($0.utf8) } == Array(name.utf8) || queue == "other")
        }
        #expect(text.samples.count == 2 * (5 + TaskState.allCases.count))
    }

    @Test func `a NUL, at which Prometheus ends a text, is replaced`() throws {
        let text = try PrometheusText(QueueMetrics.text(of: [snapshot("a\0b")]))
        #expect(text.samples.allSatisfy { $0.labels["queue"] == "a\u{FFFD}b" })
    }

    @Test func `numbers are numbers, however large or small`() throws {
        let text = try PrometheusText(
            QueueMetrics.text(
                of: [
                    snapshot("a") {
                        $0.latency = .nanoseconds(1)
                        $0.processed = .max
                    },
                    snapshot("b") { $0.latency = .days(100_000) },
                    snapshot("c") { $0.latency = .seconds(-1) },
                ]
            )
        )
        let latencies = text.samples.filter { $0.name == "asynq_queue_latency_seconds" }.map(\.value)
        #expect(latencies == [1e-9, 8_640_000_000, 0])
        #expect(text.samples.first { $0.name == "asynq_tasks_processed_total" }?.value == Double(Int.max))
    }

    @Test func `without queues the text is empty`() throws {
        #expect(QueueMetrics.text(of: []).isEmpty)
    }

    @Test func `the figures are those of the broker at this moment`() async throws {
        let tester = AsynqTester(
            handler: ClosureHandler { _, _ in throw AsynqError.skipRetry("no") },
            patience: .seconds(300)
        )
        let metrics = QueueMetrics(AsynqInspector(tester.broker))
        #expect(try await metrics.text() == "")
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.runUntilIdle()
        try await tester.client.enqueue(AsynqTask("t"))
        try await tester.client.enqueue(AsynqTask("t", .queue("low"), .processIn(.hours(1))))
        tester.clock.advance(by: .seconds(7))
        let text = try PrometheusText(try await metrics.text())
        func value(_ name: String, _ labels: [String: String]) -> Double? {
            text.samples.first { $0.name == name && $0.labels == labels }?.value
        }
        #expect(value("asynq_tasks_enqueued_total", ["queue": "default", "state": "pending"]) == 1)
        #expect(value("asynq_tasks_enqueued_total", ["queue": "default", "state": "archived"]) == 1)
        #expect(value("asynq_tasks_enqueued_total", ["queue": "low", "state": "scheduled"]) == 1)
        #expect(value("asynq_queue_size", ["queue": "default"]) == 2)
        #expect(value("asynq_queue_latency_seconds", ["queue": "default"]) == 7)
        #expect(value("asynq_tasks_processed_total", ["queue": "default"]) == 1)
        #expect(value("asynq_tasks_failed_total", ["queue": "default"]) == 1)
    }

    @Test func `a broker that cannot be asked is an error, not an empty text`() async throws {
        let broker = MemoryBroker()
        try await AsynqClient(broker).enqueue(AsynqTask("t"))
        await broker.shutdown()
        await #expect(throws: AsynqError.self) { _ = try await QueueMetrics(AsynqInspector(broker)).text() }
    }

    @Test(arguments: [
        "x 1", "# TYPE x gauge\nx 1\n", "# HELP x h\n# TYPE x gauge\nx{a=\"b} 1\n",
        "# HELP x h\n# TYPE x gauge\nx{a=\"\\t\"} 1\n",
        "# HELP x h\n# TYPE x gauge\nx one\n", "# HELP x h\n# TYPE x gauge\nx 1\nx 1\n",
        "# HELP x h\n# TYPE x gauge\ny 1\n",
        "# HELP x h\n# TYPE x gauge\n", "# HELP x h\n# TYPE x gauge\nx{a=\"1\",a=\"1\"} 1\n",
        "# HELP x h\n# TYPE x counter\nx -1\n",
        "\n", "# HELP x h\n# TYPE x gauge\nx{} 1\n", "# HELP x h\n# TYPE x gauge\n\nx 1\n",
        "# HELP x h\n# TYPE x gauge\nx  1\n",
    ])
    func `the reader of these tests refuses what is not well-formed`(text: String) {
        #expect(throws: PrometheusText.Malformed.self) { try PrometheusText(text) }
    }
}
