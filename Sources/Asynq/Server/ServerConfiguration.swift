public import CoreMetrics
public import Logging
public import Tracing

extension AsynqServer {
    /// How a server works (spec 2, "Server"). Every setting has a default; contradictions are refused at start.
    public struct Configuration: Sendable {
        /// How many handlers run at once. Below 1: the number of usable processor cores. Default: 0.
        public var concurrency: Int
        /// The queues to serve, and their priorities. With 6, 3 and 1 they get 60, 30 and 10 % of the workers while all
        /// have tasks; the share of an empty queue goes to the others. A priority of 0 or less leaves the queue out.
        /// Default: `default` alone.
        public var queues: [String: Int]
        /// Serve a queue only while all of higher priority are empty. Default: off.
        public var strictPriority = false

        /// How long to wait before an attempt is repeated: from the retries used, the error and the task. Default:
        /// ``defaultRetryDelay(retried:)``.
        public var retryDelay: @Sendable (_ retried: Int, _ error: any Error, _ task: AsynqTask) -> Duration = {
            retried,
            _,
            _ in
            defaultRetryDelay(retried: retried)
        }
        /// Whether an error counts as a failure. One that does not is tried again without using up a retry and without
        /// being counted. Default: every error counts.
        public var isFailure: @Sendable (_ error: any Error) -> Bool = { _ in true }
        /// Called for each attempt that failed, before the outcome is stored. Default: none.
        public var errorHandler:
            (@Sendable (_ error: any Error, _ task: AsynqTask, _ context: TaskContext) async -> Void)?
        /// Wraps each attempt, outside all middleware: the place to bind task-local values (logger, trace,
        /// dependencies) for handlers. Must call the body once and let its error through. Default: none.
        public var baseContext:
            (@Sendable (_ context: TaskContext, _ body: () async throws -> Void) async throws -> Void)?

        /// How long running handlers may go on after a shutdown has begun; then they are cancelled and their tasks
        /// handed back to the queue. Default: 8 s.
        public var shutdownTimeout: Duration = .seconds(8)
        /// How long a cancelled handler may take to return. After that its outcome is stored and its place given to
        /// another task, while it goes on in vain. Default: 5 s.
        public var cancellationGrace: Duration = .seconds(5)
        /// The most tasks that are held ready in addition to those running, so that short handlers need not wait for
        /// a round trip. How many are held follows from how short the handlers are; none while they are long.
        /// 0 turns it off, and with a ``concurrency`` of 1 tasks then start in the order of their queue; else those of one round
        /// trip may overtake those of another. Default: 512.
        public var prefetchLimit = 512

        /// How often empty queues are looked at while the broker cannot signal new tasks. Default: 1 s, with jitter.
        public var taskCheckInterval: Duration = .seconds(1)
        /// How often due times are looked at while the broker cannot signal new ones. Default: 5 s.
        public var delayedTaskCheckInterval: Duration = .seconds(5)
        /// Makes one task of the tasks of a group (``TaskOption/group(_:)``), when the group is ready: by its grace period,
        /// maximal delay or maximal size, whichever comes first. Default: none, and groups of this server's queues are
        /// left to others.
        public var groupAggregator: (any TaskAggregator)?
        /// A group is ready when no task has been added to it for so long. At least 1 s. Default: 1 min.
        public var groupGracePeriod: Duration = .minutes(1)
        /// A group is ready when its oldest task has waited for so long, however fast it grows. At least 1 s. Default: no
        /// limit.
        public var groupMaxDelay: Duration?
        /// A group is ready at once when it has so many tasks, and never are more aggregated into one. From 1 to 10 000.
        /// Default: no limit; of a group of more than 1000 tasks that is ready each thousand is aggregated by itself.
        public var groupMaxSize: Int?
        /// How long the aggregator may take before it is cancelled and its group tried again. Default: 5 min.
        public var groupAggregatorTimeout: Duration = .minutes(5)

        /// How often the server and its workers are made visible, and their leases extended. Less than half of the
        /// lease of 30 s. Default: 5 s.
        public var heartbeatInterval: Duration = .seconds(5)
        /// How often tasks of crashed servers are looked for. Default: 1 min, and at start.
        public var recovererInterval: Duration = .seconds(60)
        /// How often completed tasks are deleted whose retention is over. Default: 8 s.
        public var janitorInterval: Duration = .seconds(8)
        /// How many of them in one step. Default: 100.
        public var janitorBatchSize = 100
        /// Called with `nil` after each successful ping of the broker, with the error after a failed one. Default: none.
        public var healthCheck: (@Sendable (_ error: (any Error)?) -> Void)?
        /// How often. Default: 15 s.
        public var healthCheckInterval: Duration = .seconds(15)

        /// Whether ``AsynqServer/run()`` reacts to signals: SIGTERM and SIGINT shut down (a second one without waiting for
        /// handlers; two of a kind that arrive at once count as one), SIGTSTP stops taking tasks. Turn it off where something
        /// else does, such as a `ServiceGroup` with `gracefulShutdownSignals`. Default: on.
        public var handlesSignals = true
        /// Where the server logs; payloads never appear. Default: the logging system's, labelled `asynq`.
        public var logger = Logger(label: "asynq")
        /// Where the server counts and measures; see the page Metrics for what. Default: the metrics system, as it is when
        /// the server starts; nothing is measured if it has no backend.
        public var metrics: (any MetricsFactory)?
        /// What makes the spans of attempts; see the page Tracing. Default: the instrumentation system's, as it is when the
        /// server starts; no spans are made if it has none.
        public var tracer: (any Tracer)?

        public init(concurrency: Int = 0, queues: [String: Int] = ["default": 1]) {
            self.concurrency = concurrency
            self.queues = queues
        }

        /// n⁴ + 15 + a random 0…29 times (n + 1) seconds, n being the retries used: about 30 s after the first
        /// failure, 3 hours after the tenth, 4.5 days after the 25th.
        public static func defaultRetryDelay(retried: Int) -> Duration {
            let count = min(max(0, retried), 10_000)
            // Any part of a second, so that what failed together does not come back together.
            return .seconds(count * count * count * count + 15) + .seconds(29) * (count + 1) * Double.random(in: 0...1)
        }

        /// When groups are ready; `nil` if this server aggregates none.
        package var groupPolicy: GroupPolicy? {
            groupAggregator.map { _ in
                GroupPolicy(gracePeriod: groupGracePeriod, maxDelay: groupMaxDelay, maxSize: groupMaxSize)
            }
        }

        /// Checked when a server starts.
        func validate() throws(AsynqError) {
            func require(_ condition: Bool, _ text: String) throws(AsynqError) {
                if !condition { throw AsynqError(.invalidArgument, "server configuration: \(text)") }
            }
            try require(
                queues.values.contains { $0 > 0 },
                "no queue has a priority above 0, so there is nothing to serve"
            )
            try require(!queues.keys.contains(where: \.isBlank), "a queue's name is blank")
            try require(shutdownTimeout >= .zero, "shutdownTimeout is negative")
            try require(cancellationGrace >= .zero, "cancellationGrace is negative")
            try require(prefetchLimit >= 0, "prefetchLimit is negative; use 0 to hold nothing ready")
            try require(janitorBatchSize > 0, "janitorBatchSize must be at least 1")
            try require(
                groupGracePeriod >= .seconds(1),
                "groupGracePeriod is \(groupGracePeriod): it must be at least 1 second"
            )
            if let groupMaxDelay {
                try require(
                    groupMaxDelay >= .seconds(1),
                    "groupMaxDelay is \(groupMaxDelay): it must be at least 1 second, or nil for none"
                )
            }
            if let groupMaxSize {
                try require(
                    (1...AggregationSet.maxCount).contains(groupMaxSize),
                    "groupMaxSize is \(groupMaxSize): it must be from 1 to \(AggregationSet.maxCount), or nil for none"
                )
            }
            try require(
                groupAggregator != nil || (groupMaxDelay == nil && groupMaxSize == nil),
                "groupMaxDelay or groupMaxSize is set, but there is no groupAggregator to act on it"
            )
            let intervals = [
                ("taskCheckInterval", taskCheckInterval), ("delayedTaskCheckInterval", delayedTaskCheckInterval),
                ("heartbeatInterval", heartbeatInterval), ("recovererInterval", recovererInterval),
                ("janitorInterval", janitorInterval), ("healthCheckInterval", healthCheckInterval),
                ("groupAggregatorTimeout", groupAggregatorTimeout),
            ]
            for (name, value) in intervals { try require(value > .zero, "\(name) must be more than zero") }
            try require(
                heartbeatInterval * 2 < LeasedTask.leaseDuration,
                "heartbeatInterval is \(heartbeatInterval): leases last \(LeasedTask.leaseDuration), so it must be less than half of that"
            )
        }
    }
}
