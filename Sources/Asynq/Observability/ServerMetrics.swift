import CoreMetrics
import Synchronization

/// What a server measures (the page Metrics). Exists only where somebody listens, so that a server without metrics does
/// nothing for them. The backend's handlers are made once for each queue and type, not for each task.
final class ServerMetrics: Sendable {
    /// The measures of one queue and type.
    final class Series: Sendable {
        private let timeInQueue: CoreMetrics.Timer
        private let duration: CoreMetrics.Timer
        private let inFlight: Meter
        private let processed: Counter
        private let failed: Counter
        private let retried: Counter
        private let archived: Counter

        init(queue: String, type: String, _ factory: any MetricsFactory) {
            let labels = [("queue", queue), ("type", type)]
            timeInQueue = Timer(label: "asynq_server_time_in_queue_seconds", dimensions: labels, factory: factory)
            duration = Timer(label: "asynq_server_task_duration_seconds", dimensions: labels, factory: factory)
            inFlight = Meter(label: "asynq_server_tasks_in_flight", dimensions: labels, factory: factory)
            processed = Counter(label: "asynq_server_tasks_processed_total", dimensions: labels, factory: factory)
            failed = Counter(label: "asynq_server_tasks_failed_total", dimensions: labels, factory: factory)
            retried = Counter(label: "asynq_server_tasks_retried_total", dimensions: labels, factory: factory)
            archived = Counter(label: "asynq_server_tasks_archived_total", dimensions: labels, factory: factory)
        }

        /// A handler begins.
        ///
        /// - Parameter waited: nanoseconds since the task has been pending; `nil` if not known.
        func begin(waited: Int64?) {
            if let waited { timeInQueue.recordNanoseconds(max(0, waited)) }
            inFlight.increment()
        }

        /// A handler has returned.
        func end(after nanoseconds: Int64) {
            duration.recordNanoseconds(max(0, nanoseconds))
            inFlight.decrement()
        }

        /// An outcome is stored. Counts as the broker does.
        func stored(_ outcome: FinishRequest.Outcome) {
            switch outcome {
            case .done, .drop: processed.increment()
            case .retry(_, _, let countsAsFailure):
                retried.increment()
                guard countsAsFailure else { return }
                processed.increment()
                failed.increment()
            case .archive:
                processed.increment()
                failed.increment()
                archived.increment()
            case .requeue: break
            }
        }
    }

    private struct Key: Hashable {
        let queue: String
        let type: String
    }

    private struct State {
        var byTask: [Key: Series] = [:]
        var byLabels: [Key: Series] = [:]
        var leasesLost: [String: Counter] = [:]
        var recovered: [String: Counter] = [:]
    }

    /// So many types are told apart in each queue where no router says which there are; what comes then is `other`.
    static let maxTypes = 100
    private static let maxTasks = 10_000

    private let factory: any MetricsFactory
    private let router: TaskRouter?
    private let dequeueBatch: CoreMetrics.Recorder
    private let finishBatch: CoreMetrics.Recorder
    private let state = Mutex(State())

    /// - Parameters:
    ///   - factory: default: that of the metrics system. `nil` if there is none.
    ///   - handler: tells the patterns that stand for types, if it is a router.
    init?(_ factory: (any MetricsFactory)?, handler: any TaskHandler) {
        let factory = factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        self.factory = factory
        router = handler as? TaskRouter
        dequeueBatch = Recorder(label: "asynq_server_dequeue_batch_size", factory: factory)
        finishBatch = Recorder(label: "asynq_server_finish_batch_size", factory: factory)
    }

    func series(of message: TaskMessage) -> Series {
        let key = Key(queue: message.queue, type: message.type)
        return state.withLock { state in
            if let series = state.byTask[key] { return series }
            // Types that are made up without end must not fill the memory.
            if state.byTask.count >= Self.maxTasks { state.byTask.removeAll() }
            let labels = labels(of: key, state)
            let series = state.byLabels[labels] ?? Series(queue: labels.queue, type: labels.type, factory)
            state.byLabels[labels] = series
            state.byTask[key] = series
            return series
        }
    }

    private func labels(of key: Key, _ state: borrowing State) -> Key {
        if let router { return Key(queue: key.queue, type: router.pattern(for: key.type) ?? "unknown") }
        if state.byLabels[key] != nil { return key }
        let types = state.byLabels.keys.count { $0.queue == key.queue }
        return types < Self.maxTypes ? key : Key(queue: key.queue, type: "other")
    }

    func dequeued(_ count: Int) {
        if count > 0 { dequeueBatch.record(count) }
    }

    func finished(_ count: Int) { finishBatch.record(count) }

    func stored(_ outcome: FinishRequest.Outcome, of message: TaskMessage) {
        series(of: message).stored(outcome)
    }

    /// The outcome of an attempt came to nothing, because the task was no longer this server's.
    func leaseLost(queue: String) {
        count("asynq_server_leases_lost_total", queue, \.leasesLost)
    }

    func recovered(queue: String) {
        count("asynq_server_tasks_recovered_total", queue, \.recovered)
    }

    private func count(_ label: String, _ queue: String, _ cache: WritableKeyPath<State, [String: Counter]>) {
        let counter = state.withLock { state in
            if let counter = state[keyPath: cache][queue] { return counter }
            let counter = Counter(label: label, dimensions: [("queue", queue)], factory: factory)
            state[keyPath: cache][queue] = counter
            return counter
        }
        counter.increment()
    }
}
