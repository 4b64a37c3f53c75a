public import Asynq

/// What the queues hold, as text for Prometheus: under the names of Go's asynq, so that dashboards and alerts go on working
/// (spec 2, "Also").
///
/// ```swift
/// let metrics = QueueMetrics(AsynqInspector(broker))
/// router.get("metrics") { _, _ in
///     Response(status: .ok, headers: [.contentType: QueueMetrics.contentType], body: .init(byteBuffer: .init(string: try await metrics.text())))
/// }
/// ```
///
/// Each call asks the broker anew, for all queues at once. One process a broker is enough: the figures are the same from each.
public struct QueueMetrics: Sendable {
    /// The media type of the text.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let inspector: AsynqInspector

    public init(_ inspector: AsynqInspector) {
        self.inspector = inspector
    }

    /// The figures of all queues at this moment.
    ///
    /// - Throws: ``AsynqError`` if the broker cannot be asked: to be answered with 503, so that Prometheus sees a target that
    ///   is down, and no queues that are empty.
    public func text() async throws -> String {
        Self.text(of: try await inspector.snapshots())
    }

    /// The text for these figures. Empty if there are no queues.
    public static func text(of snapshots: [QueueSnapshot]) -> String {
        families.map { $0.text(of: snapshots) }.joined()
    }

    private static let families: [MetricFamily] = [
        MetricFamily("asynq_tasks_enqueued_total", .gauge, "Number of tasks now in each state, by queue and state.") {
            snapshot in
            TaskState.allCases.map { MetricFamily.Sample("\(snapshot[$0])", [("state", $0.rawValue)]) }
        },
        MetricFamily("asynq_queue_size", .gauge, "Number of tasks in a queue, in all states.") {
            [.init("\($0.size)")]
        },
        MetricFamily(
            "asynq_queue_latency_seconds",
            .gauge,
            "How long the oldest pending task of a queue has been waiting; 0 if none waits."
        ) { [.init("\(max(0, $0.latency / .seconds(1)))")] },
        MetricFamily(
            "asynq_queue_memory_usage_approx_bytes",
            .gauge,
            "About how many bytes the tasks of a queue take, from a sample of them."
        ) { $0.memoryUsage.map { [.init("\($0)")] } ?? [] },
        MetricFamily(
            "asynq_tasks_processed_total",
            .counter,
            "Number of attempts that ever ended in a queue, successes and failures."
        ) { [.init("\($0.processed)")] },
        MetricFamily("asynq_tasks_failed_total", .counter, "Number of attempts that ever failed in a queue.") {
            [.init("\($0.failed)")]
        },
        MetricFamily("asynq_queue_paused_total", .gauge, "1 if a queue is paused, 0 if not.") {
            [.init($0.isPaused ? "1" : "0")]
        },
    ]
}
