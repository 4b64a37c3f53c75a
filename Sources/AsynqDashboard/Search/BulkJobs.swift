import Asynq
import HTTPTypes
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The bulk jobs that run, and those that have ended lately.
final class BulkJobs: Sendable {
    static let mostAtOnce = 4
    /// How long one that has ended can be asked for.
    private static let kept = Duration.seconds(600)
    private static let mostKept = 100

    private struct Job {
        var report: BulkProgressReport
        /// When it ended.
        var end: Duration?
        /// Ends the wait of its task.
        var stop: AsyncStream<Void>.Continuation
    }

    private let inspector: AsynqInspector
    private let work: BackgroundWork
    private let now: @Sendable () -> Duration
    private let jobs = Mutex<[String: Job]>([:])

    init(_ inspector: AsynqInspector, work: BackgroundWork, now: @escaping @Sendable () -> Duration) {
        self.inspector = inspector
        self.work = work
        self.now = now
    }

    /// - Parameters:
    ///   - onChange: called when tasks were changed.
    ///   - onEnd: called once.
    /// - Returns: the job's id.
    func start(
        _ request: BulkRequest,
        onChange: @escaping @Sendable () -> Void,
        onEnd: @escaping @Sendable (BulkProgressReport) -> Void
    ) throws(APIError) -> String {
        let id = RandomToken.make().prefix(32).description
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let now = now()
        let isFull = jobs.withLock { jobs in
            jobs = jobs.filter { $0.value.end.map { $0 + Self.kept > now } ?? true }
            guard jobs.values.count(where: { $0.end == nil }) < Self.mostAtOnce else { return true }
            if jobs.count >= Self.mostKept,
                let oldest = jobs.filter({ $0.value.end != nil }).min(by: {
                    ($0.value.end ?? now) < ($1.value.end ?? now)
                })
            {
                jobs[oldest.key] = nil
            }
            jobs[id] = Job(report: BulkProgressReport(id: id, request: request), stop: stop)
            return false
        }
        if isFull {
            throw APIError(
                .tooManyRequests,
                "\(Self.mostAtOnce) bulk jobs run already: wait for one, or stop one",
                retryAfter: 5
            )
        }
        let isStarted = work.start {
            await self.run(id, request, stops, onChange)
            if let report = self.report(id) { onEnd(report) }
        }
        guard isStarted else {
            jobs.withLock { _ = $0.removeValue(forKey: id) }
            throw .unavailable("the dashboard's service does not run: it must be one of the application's services")
        }
        return id
    }

    func report(_ id: String) -> BulkProgressReport? { jobs.withLock { $0[id]?.report } }

    /// Ends between two steps. No change if it has ended.
    ///
    /// - Returns: whether there is such a job.
    func stop(_ id: String) -> Bool {
        jobs.withLock { jobs in
            guard let job = jobs[id] else { return false }
            job.stop.finish()
            return true
        }
    }

    private func run(
        _ id: String,
        _ request: BulkRequest,
        _ stops: AsyncStream<Void>,
        _ onChange: @escaping @Sendable () -> Void
    ) async {
        let walk = BulkWalk(
            inspector: inspector,
            request: request,
            matcher: TaskMatcher(request.filter, now: Date())
        ) { change in
            self.jobs.withLock { jobs in
                guard var job = jobs[id] else { return }
                change(&job.report)
                jobs[id] = job
            }
            if request.action != .preview { onChange() }
        }
        let failure: (any Error)? = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    try await walk.run()
                    return nil
                } catch { return error }
            }
            group.addTask {
                for await _ in stops {}
                return CancellationError()
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        let end = now()
        jobs.withLock { jobs in
            guard var job = jobs.removeValue(forKey: id) else { return }
            job.end = end
            job.report.isFinished = true
            job.report.isStopped = failure is CancellationError
            if let failure, !(failure is CancellationError) { job.report.error = APIError(failure).message }
            job.stop.finish()
            jobs[id] = job
        }
    }
}
