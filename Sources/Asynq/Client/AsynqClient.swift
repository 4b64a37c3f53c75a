public import CoreMetrics
public import Tracing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Puts tasks on queues.
///
/// ```swift
/// let client = AsynqClient(broker)
/// try await client.enqueue(WelcomeEmail(userID: 42), .queue("low"), .processIn(.hours(24)))
/// ```
///
/// Cheap to copy and safe to use from any number of tasks at once: what they enqueue at the same moment shares round
/// trips.
public struct AsynqClient: Sendable {
    /// Where a client counts, measures and traces.
    public struct Configuration: Sendable {
        /// Where the client counts and measures; see the page Metrics for what. Default: the metrics system, as it is when
        /// the client is made; nothing is measured if it has no backend.
        public var metrics: (any MetricsFactory)?
        /// What makes the spans of enqueues, and gives tasks the headers that carry a trace on; see the page Tracing.
        /// Default: the instrumentation system's at each call; no spans or headers are made if it has none.
        public var tracer: (any Tracer)?

        public init() {}
    }

    private let broker: any Broker
    private let metrics: ClientMetrics?
    private let tracer: (any Tracer)?

    public init(_ broker: any Broker, configuration: Configuration = .init()) {
        self.broker = broker
        metrics = ClientMetrics(configuration.metrics)
        tracer = configuration.tracer
    }

    /// Runs tasks where the connection to the broker lives. A loop that enqueues one task after the other changes threads
    /// twice for each; it need not when it runs there, and is up to 1.4 times as fast:
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(client.taskExecutor) {
    ///     for user in users { try await client.enqueue(WelcomeEmail(userID: user)) }
    /// }
    /// ```
    ///
    /// What runs there must neither block nor compute for long: the replies to all others wait meanwhile. `nil`, which
    /// changes nothing, if the broker has no such place.
    public var taskExecutor: (any TaskExecutor)? { broker.taskExecutor }

    /// Enqueues a task. When this returns, the broker has stored it. It is encoded where the caller runs.
    ///
    /// - Returns: the task as it was stored.
    /// - Throws: ``AsynqError``: `invalidArgument`, `duplicateTask`, `taskIDConflict`, `brokerUnavailable`,
    ///   `brokerFull` or `brokerFailure`; `CancellationError` if the caller was cancelled while waiting (the task may be stored or not).
    @discardableResult
    nonisolated(nonsending) public func enqueue(_ task: AsynqTask, _ options: TaskOption...) async throws -> TaskInfo {
        try await enqueue(task, options: options)
    }

    /// Enqueues a typed payload. It is encoded where the caller runs: a large one holds up an actor for as long.
    ///
    /// - Throws: as ``enqueue(_:_:)-(AsynqTask,_)``, or what the payload's coder throws.
    @discardableResult
    nonisolated(nonsending) public func enqueue(_ payload: some TaskPayload, _ options: TaskOption...) async throws
        -> TaskInfo
    {
        try await enqueue(try payload.asTask(), options: options)
    }

    /// Enqueues many tasks in one round trip: of any kind, to any queues.
    ///
    /// - Parameters:
    ///   - tasks: of any kind, to any queues.
    ///   - options: override those of each task.
    /// - Returns: one result a task, in order. A task that is refused does not hold up the others.
    public func enqueue(batch tasks: [AsynqTask], _ options: TaskOption...) async -> [Result<TaskInfo, AsynqError>] {
        var requests: [EnqueueRequest] = []
        requests.reserveCapacity(tasks.count)
        // By the task's position.
        var refusals: [Int: AsynqError] = [:]
        for (position, task) in tasks.enumerated() {
            do throws(AsynqError) {
                requests.append(try EnqueueRequest(task, options: options, ids: broker.taskIDScheme))
            } catch {
                refusals[position] = error
            }
        }
        let receipts = requests.isEmpty ? [] : await store(&requests)
        var results: [Result<TaskInfo, AsynqError>] = []
        results.reserveCapacity(tasks.count)
        var next = 0
        for position in tasks.indices {
            if let error = refusals[position] {
                results.append(.failure(error))
                continue
            }
            let receipt = next < receipts.count ? receipts[next] : .failure(.unanswered)
            results.append(receipt.map { TaskInfo(requests[next].message, $0) })
            next += 1
        }
        return results
    }

    // Where its caller runs: a task is encoded faster than threads are changed.
    nonisolated(nonsending) private func enqueue(_ task: AsynqTask, options: [TaskOption]) async throws -> TaskInfo {
        var requests = [try EnqueueRequest(task, options: options, ids: broker.taskIDScheme)]
        guard let result = await store(&requests).first else { throw AsynqError.unanswered }
        switch result {
        case .success(let receipt): return TaskInfo(requests[0].message, receipt)
        case .failure(let error):
            if error.cause is CancellationError { throw CancellationError() }
            throw error
        }
    }

    /// Has the broker store the tasks, in a span that they carry on as headers.
    nonisolated(nonsending) private func store(
        _ requests: inout [EnqueueRequest]
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        let tracing = TaskTracing(tracer)
        guard metrics != nil || tracing != nil else { return await broker.enqueue(requests) }
        let span = tracing?.beginEnqueue(&requests)
        let start = ContinuousClock.now
        let results = await broker.enqueue(requests)
        metrics?.enqueued(requests, results, in: start.duration(to: .now))
        if let span { tracing?.endEnqueue(span, results) }
        return results
    }
}

extension AsynqError {
    fileprivate static let unanswered = AsynqError(.brokerFailure, "the broker gave no answer for this task")
}

extension TaskInfo {
    init(_ message: TaskMessage, _ receipt: EnqueueReceipt) {
        self.init(message, state: receipt.state, nextProcessAt: receipt.nextProcessAt)
    }
}
