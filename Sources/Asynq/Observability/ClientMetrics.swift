import CoreMetrics
import Synchronization

/// What a client measures (the page Metrics). Exists only where somebody listens.
final class ClientMetrics: Sendable {
    private struct Key: Hashable {
        let queue: String
        let outcome: String
    }

    /// So many series are told apart; queues that come then are `other`.
    private static let maxSeries = 1000

    private let factory: any MetricsFactory
    private let duration: CoreMetrics.Timer
    private let batchSize: CoreMetrics.Recorder
    private let counters = Mutex<[Key: Counter]>([:])

    /// - Parameter factory: default: that of the metrics system. `nil` if there is none.
    init?(_ factory: (any MetricsFactory)?) {
        let factory = factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        self.factory = factory
        duration = Timer(label: "asynq_client_enqueue_duration_seconds", dimensions: [], factory: factory)
        batchSize = Recorder(label: "asynq_client_enqueue_batch_size", factory: factory)
    }

    /// A call has ended.
    func enqueued(
        _ requests: [EnqueueRequest],
        _ results: [Result<EnqueueReceipt, AsynqError>],
        in time: Duration
    ) {
        duration.recordNanoseconds(time.nanosecondsClamped)
        batchSize.record(requests.count)
        if requests.count == 1, results.count == 1 {
            counter(Key(queue: requests[0].message.queue, outcome: Self.outcome(results[0]))).increment()
            return
        }
        var counts: [Key: Int] = [:]
        for (request, result) in zip(requests, results) {
            counts[Key(queue: request.message.queue, outcome: Self.outcome(result)), default: 0] += 1
        }
        for (key, count) in counts { counter(key).increment(by: count) }
    }

    private func counter(_ key: Key) -> Counter {
        counters.withLock { counters in
            if let counter = counters[key] { return counter }
            let key = counters.count < Self.maxSeries ? key : Key(queue: "other", outcome: key.outcome)
            if let counter = counters[key] { return counter }
            let counter = Counter(
                label: "asynq_client_tasks_enqueued_total",
                dimensions: [("queue", key.queue), ("outcome", key.outcome)],
                factory: factory
            )
            counters[key] = counter
            return counter
        }
    }

    private static func outcome(_ result: Result<EnqueueReceipt, AsynqError>) -> String {
        switch result {
        case .success(let receipt): receipt.state.rawValue
        case .failure(let error):
            switch error.code {
            case .duplicateTask: "duplicate_task"
            case .taskIDConflict: "task_id_conflict"
            case .invalidArgument: "invalid_argument"
            case .brokerUnavailable: error.cause is CancellationError ? "cancelled" : "broker_unavailable"
            default: error.cause is CancellationError ? "cancelled" : "broker_failure"
            }
        }
    }
}
