internal import Asynq
internal import Dispatch
internal import GRDB
import Synchronization

/// Puts what many callers write into common transactions: while one is being committed the next gather. Nobody waits on
/// purpose.
final class WriteQueue: Sendable {
    private struct State {
        var waiting: [any WriteJob] = []
        var isRunning = false
        var isClosed = false
    }

    /// Tasks in one transaction: enough to share its cost, few enough that other processes get their turn.
    private static let maxWeight = 1000

    private let file: SQLiteFile
    private let busyTimeout: Duration
    private let onChange: @Sendable (TaskStore.Changes) -> Void
    private let state = Mutex(State())
    /// Writing blocks, so it has a thread of its own.
    private let queue = DispatchQueue(label: "asynq.sqlite.writer", qos: .userInitiated)

    /// - Parameter onChange: called after each commit that others may wait for.
    init(_ file: SQLiteFile, busyTimeout: Duration, onChange: @escaping @Sendable (TaskStore.Changes) -> Void) {
        self.file = file
        self.busyTimeout = busyTimeout
        self.onChange = onChange
    }

    /// Does this in a transaction, together with what others do; returns when it is committed.
    ///
    /// - Parameter weight: about how many tasks it is about.
    nonisolated(nonsending) func perform<Value: Sendable>(
        weight: Int,
        _ body: @escaping @Sendable (TaskStore) throws -> Value
    ) async throws(AsynqError) -> Value {
        let result = await withCheckedContinuation { continuation in
            let job = Job(weight: weight, body: body, continuation: continuation)
            let (isClosed, isToStart) = state.withLock { state in
                if state.isClosed { return (true, false) }
                state.waiting.append(job)
                defer { state.isRunning = true }
                return (false, !state.isRunning)
            }
            if isClosed { job.complete(Self.closed) }
            if isToStart { queue.async { self.drain() } }
        }
        return try result.get()
    }

    static let closed = AsynqError(.brokerUnavailable, "the broker has been shut down")

    /// Refuses what comes, and returns when what was there is done.
    func close() async {
        state.withLock { $0.isClosed = true }
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume() }
        }
    }

    private func drain() {
        while true {
            let jobs = state.withLock { state -> [any WriteJob] in
                var weight = 0
                let count = state.waiting.prefix { job in
                    defer { weight += job.weight }
                    return weight == 0 || weight + job.weight <= Self.maxWeight
                }.count
                let jobs = Array(state.waiting.prefix(count))
                state.waiting.removeFirst(count)
                if jobs.isEmpty { state.isRunning = false }
                return jobs
            }
            if jobs.isEmpty { return }
            run(jobs)
        }
    }

    private func run(_ jobs: [any WriteJob]) {
        do {
            try commit(jobs)
        } catch {
            let failure = AsynqError(sqlite: error, path: file.path, busyTimeout: busyTimeout)
            if failure.code == .brokerUnavailable { return giveUp(jobs, failure) }
            guard jobs.count > 1 else {
                for job in jobs { job.complete(failure) }
                return
            }
            // One of them may be at fault, and must not fail the others.
            for job in jobs { run([job]) }
        }
    }

    /// Fails those who have waited for the lock for as long as they may, whether they were tried or stand behind; the
    /// others are tried again.
    private func giveUp(_ jobs: [any WriteJob], _ failure: AsynqError) {
        let now = ContinuousClock.now
        let expired = state.withLock { state in
            state.waiting = jobs + state.waiting
            let count = max(1, state.waiting.prefix { $0.arrival + busyTimeout <= now }.count)
            defer { state.waiting.removeFirst(count) }
            return state.waiting.prefix(count)
        }
        for job in expired { job.complete(failure) }
    }

    private func commit(_ jobs: [any WriteJob]) throws {
        let now = ContinuousClock.now
        // The first has waited longest. If that was for others here, it has its try all the same.
        let end = max((jobs.first?.arrival ?? now) + busyTimeout, now + busyTimeout / 10)
        let changes = try file.write(waitingUntil: end) { store in
            for job in jobs { try job.run(store) }
            return store.changes
        }
        for job in jobs { job.complete(nil) }
        if !changes.isEmpty { onChange(changes) }
    }
}

/// What one caller wants to write.
private protocol WriteJob: AnyObject, Sendable {
    var weight: Int { get }
    var arrival: ContinuousClock.Instant { get }
    func run(_ store: TaskStore) throws
    /// - Parameter failure: `nil` if the transaction has been committed.
    func complete(_ failure: AsynqError?)
}

private final class Job<Value: Sendable>: WriteJob {
    let weight: Int
    let arrival = ContinuousClock.now
    private let body: @Sendable (TaskStore) throws -> Value
    private let continuation: CheckedContinuation<Result<Value, AsynqError>, Never>
    private let value = Mutex<Value?>(nil)

    init(
        weight: Int,
        body: @escaping @Sendable (TaskStore) throws -> Value,
        continuation: CheckedContinuation<Result<Value, AsynqError>, Never>
    ) {
        self.weight = weight
        self.body = body
        self.continuation = continuation
    }

    func run(_ store: TaskStore) throws {
        let result = try body(store)
        value.withLock { $0 = result }
    }

    func complete(_ failure: AsynqError?) {
        let result: Result<Value, AsynqError> =
            if let failure {
                .failure(failure)
            } else if let value = value.withLock({ $0 }) {
                .success(value)
            } else {
                .failure(AsynqError(.brokerFailure, "the write was not done"))
            }
        continuation.resume(returning: result)
    }
}
