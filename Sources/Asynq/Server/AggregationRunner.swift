import Logging
import Synchronization

/// Has the aggregator make one task of a set, and stores it in place of the set's tasks. Whatever goes wrong, the tasks are in
/// their group again, or were archived because the aggregator says so.
struct AggregationRunner: Sendable {
    let broker: any Broker
    let aggregator: any TaskAggregator
    /// How long the aggregator may take.
    let timeout: Duration
    let clock: LoopClock
    let logger: Logger

    /// The set is no longer this server's.
    private struct SetEnded: Error {}

    /// How often a set is extended while its aggregator runs.
    private static let extensionInterval = Duration.seconds(30)

    /// - Parameter delay: how long the group is to be left alone if this fails.
    /// - Returns: whether nothing is left to be done about these tasks.
    func run(_ set: AggregationSet, retryIn delay: Duration) async -> Bool {
        do {
            try await aggregate(set)
            return true
        } catch is SetEnded {
            logger.warning("an aggregation came too late; another server has the tasks", metadata: metadata(set))
            return true
        } catch {
            if Task.isCancelled {
                await release(set, retryIn: .zero)
            } else {
                logger.error(
                    "a group could not be aggregated; its tasks stay in it",
                    metadata: metadata(set).merging(["error": "\(error)", "retry_in": "\(delay)"]) { $1 }
                )
                await release(set, retryIn: delay)
            }
            return false
        }
    }

    private func aggregate(_ staged: AggregationSet) async throws {
        var set = staged
        while !set.tasks.isEmpty {
            do {
                let task = try await task(of: set)
                return try await complete(set, try request(task, set.group))
            } catch let rejected as RejectedTasks {
                set = try await archive(rejected, of: set)
            }
        }
        // All were archived, or nothing could be read.
        await release(set, retryIn: .zero)
    }

    /// Runs the aggregator.
    private func task(of set: AggregationSet) async throws -> AsynqTask {
        try Task.checkCancellation()
        let answer = Answer()
        let context = AggregationContext(
            group: set.group.name,
            queue: set.group.queue,
            taskIDs: set.tasks.map(\.id),
            logger: logger
        )
        // Unstructured, because an aggregator that ignores its cancellation must not hold up other groups or the shutdown.
        let work = Task { [aggregator] in
            do {
                answer.give(.success(try await aggregator.aggregate(set.tasks.map(AsynqTask.init), context: context)))
            } catch {
                answer.give(.failure(error))
            }
        }
        defer { work.cancel() }
        return try await withThrowingTaskGroup(of: AsynqTask.self) { group in
            group.addTask { try await answer.value() }
            group.addTask {
                try await clock.sleep(timeout)
                throw AsynqError(
                    .taskTimeout,
                    "the aggregator has taken longer than groupAggregatorTimeout, \(timeout)"
                )
            }
            group.addTask { try await hold(set) }
            defer { group.cancelAll() }
            guard let task = try await group.next() else { throw CancellationError() }
            return task
        }
    }

    /// Extends the set for as long as it is needed.
    ///
    /// - Throws: when it is lost, or the caller is cancelled.
    private func hold(_ set: AggregationSet) async throws -> Never {
        var isReported = false
        while true {
            try await clock.sleep(Self.extensionInterval)
            do {
                if try await broker.extendAggregations([set]) == [false] { throw SetEnded() }
                isReported = false
            } catch let error as AsynqError {
                if !isReported {
                    logger.warning(
                        "cannot extend the time of an aggregation; trying again",
                        metadata: metadata(set).merging(["error": "\(error)"]) { $1 }
                    )
                }
                isReported = true
            }
        }
    }

    /// What the aggregator made, as it is to be stored.
    private func request(_ task: AsynqTask, _ group: GroupReference) throws(AsynqError) -> EnqueueRequest {
        let request: EnqueueRequest
        do {
            request = try EnqueueRequest(task, options: [.queue(group.queue)], ids: broker.taskIDScheme)
        } catch {
            throw AsynqError(error.code, "what the aggregator returned cannot be enqueued: \(error.message)")
        }
        guard request.message.group != group.name else {
            throw AsynqError(
                .invalidArgument,
                "what the aggregator returned is in the group that it was made of: that would go on for ever"
            )
        }
        return request
    }

    private func complete(_ set: AggregationSet, _ request: EnqueueRequest) async throws {
        var retry = Backoff()
        let end = clock.now() + AggregationSet.lifetime.nanosecondsClamped
        while true {
            switch await broker.completeAggregation(set, with: request) {
            case .success:
                return logger.debug(
                    "group aggregated",
                    metadata: metadata(set).merging(["task_id": "\(request.message.id)"]) { $1 }
                )
            case .failure(let error) where error.code == .leaseExpired: throw SetEnded()
            case .failure(let error):
                // It may have happened, but asked again it does not happen twice.
                guard error.code == .brokerUnavailable, clock.now() < end, !Task.isCancelled else { throw error }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error(
                        "cannot store an aggregated task; trying again",
                        metadata: metadata(set).merging(["error": "\(error)"]) { $1 }
                    )
                }
                try? await clock.sleep(delay)
            }
        }
    }

    /// Returns what is left.
    private func archive(_ rejected: RejectedTasks, of set: AggregationSet) async throws -> AggregationSet {
        var errors: [String: String] = [:]
        for (index, reason) in rejected.reasons where set.tasks.indices.contains(index) {
            errors[set.tasks[index].id] = reason
        }
        guard !errors.isEmpty else {
            throw AsynqError(.invalidArgument, "the aggregator rejected tasks that it was not given")
        }
        do {
            try await broker.archiveStaged(errors, of: set)
        } catch let error as AsynqError where error.code == .leaseExpired {
            throw SetEnded()
        }
        logger.warning(
            "archived tasks that cannot be aggregated",
            metadata: metadata(set).merging(["rejected": "\(errors.count)"]) { $1 }
        )
        return AggregationSet(group: set.group, id: set.id, tasks: set.tasks.filter { errors[$0.id] == nil })
    }

    private func release(_ set: AggregationSet, retryIn delay: Duration) async {
        do {
            try await broker.releaseAggregation(set, retryIn: delay)
        } catch {
            logger.warning(
                "cannot put tasks back into their group; that will be done within \(AggregationSet.lifetime)",
                metadata: metadata(set).merging(["error": "\(error)"]) { $1 }
            )
        }
    }

    private func metadata(_ set: AggregationSet) -> Logger.Metadata {
        ["group": "\(set.group.name)", "queue": "\(set.group.queue)", "tasks": "\(set.tasks.count)"]
    }
}

/// What an aggregator has answered that runs in a task of its own.
private final class Answer: Sendable {
    private let result = Mutex<Result<AsynqTask, any Error>?>(nil)
    private let isGiven = Wakeup()

    func give(_ result: Result<AsynqTask, any Error>) {
        self.result.withLock { $0 = result }
        isGiven.notify()
    }

    /// Waits for it; throws when the caller is cancelled.
    func value() async throws -> AsynqTask {
        while true {
            if let result = result.withLock({ $0 }) { return try result.get() }
            try Task.checkCancellation()
            await isGiven.wait()
        }
    }
}
