#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What the page of metrics asks for.
struct MetricsQuery: Sendable, Hashable {
    /// Unix seconds.
    var start: Double
    var end: Double
    /// Seconds between two points.
    var step: Double
    /// `nil`: all.
    var queues: [String]?

    /// As many points as a chart is wide, about.
    private static let points = 240.0

    /// - Throws: ``APIError`` (400).
    init(_ query: APIQuery, now: Double) throws(APIError) {
        let duration = Double(try query.number("duration", 1...(366 * 86_400)) ?? 3600)
        end = try query.number("endtime", 0...(1 << 40)).map(Double.init) ?? now.rounded(.down)
        start = end - duration
        step = max(10, (duration / Self.points).rounded(.up))
        queues = query.text("queues")?.split(separator: ",").map(String.init)
    }
}

/// The nine charts of the page of metrics, from the dashboard's own history, in the form of Prometheus.
enum MetricsAnswer {
    static func json(_ history: [(queue: String, samples: [HistorySample])]) -> JSONValue {
        func chart(_ points: ([HistorySample]) -> [(Double, Double)]) -> JSONValue {
            let series = history.map { queue, samples in
                JSONValue.object([
                    "metric": .object(["queue": .string(queue)]),
                    "values": .array(points(samples).map { .array([.double(rounded($0.0)), .string(text($0.1))]) }),
                ])
            }
            return .object([
                "status": "success", "data": .object(["resultType": "matrix", "result": .array(series)]),
            ])
        }
        func values(_ value: @escaping (HistorySample) -> Double) -> JSONValue {
            chart { $0.map { ($0.time, value($0)) } }
        }
        func differences(_ value: @escaping (_ before: HistorySample, _ now: HistorySample) -> Double) -> JSONValue {
            chart { samples in zip(samples, samples.dropFirst()).map { ($1.time, value($0, $1)) } }
        }
        return .object([
            "queue_size": values { Double($0.size) },
            "queue_latency_seconds": values { $0.latency },
            "queue_memory_usage_approx_bytes": values { Double($0.memory) },
            "tasks_processed_per_second": differences { rate($0.processed, $1.processed, $1.time - $0.time) },
            "tasks_failed_per_second": differences { rate($0.failed, $1.failed, $1.time - $0.time) },
            "error_rate": differences { before, now in
                let processed = rate(before.processed, now.processed, 1)
                return processed > 0 ? rate(before.failed, now.failed, 1) / processed : 0
            },
            "pending_tasks_by_queue": values { Double($0.pending) },
            "retry_tasks_by_queue": values { Double($0.retry) },
            "archived_tasks_by_queue": values { Double($0.archived) },
        ])
    }

    /// A counter that went back belongs to a queue that was deleted and made again.
    private static func rate(_ before: Int, _ now: Int, _ seconds: Double) -> Double {
        let count = now >= before ? now - before : now
        return seconds > 0 ? Double(count) / seconds : 0
    }

    /// To the millisecond, as Prometheus has it.
    private static func rounded(_ time: Double) -> Double { (time * 1000).rounded() / 1000 }

    private static func text(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    }
}
