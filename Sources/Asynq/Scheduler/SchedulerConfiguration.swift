public import Logging

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension AsynqScheduler {
    /// How a scheduler works (spec 2, "Scheduler"). Every setting has a default; contradictions are refused at start.
    public struct Configuration: Sendable {
        /// The time zone of specs that name none, of entries that have none of their own. Default: UTC.
        public var timeZone: TimeZone
        /// A time at which a task could not be enqueued counts as missed when it is older than this; until then it is
        /// only late. More than ``leaseDuration``, so that nothing is missed when another scheduler takes over.
        /// Default: 1 min.
        public var missedAfter: Duration = .seconds(60)
        /// Of schedulers with the same entries one is at work; when it dies, another one takes over within this time. It
        /// asks the broker three times as often. At least 1 s. Default: 6 s.
        public var leaseDuration: Duration = .seconds(6)
        /// How often the entries are made visible to inspectors, for twice as long. Default: 10 s.
        public var heartbeatInterval: Duration = .seconds(10)

        /// Called once for each run, before its task is enqueued. Must return quickly: it holds up all entries. Default:
        /// none.
        public var preEnqueue: (@Sendable (_ run: PeriodicRun) -> Void)?
        /// Called once for each run: with the stored task; or with the error if the task was refused, such as a unique
        /// one whose like is still there, or if the broker failed until the run was missed. Must return quickly.
        /// Default: none.
        public var postEnqueue: (@Sendable (_ run: PeriodicRun, _ result: Result<TaskInfo, AsynqError>) -> Void)?

        /// Whether ``AsynqScheduler/run()`` shuts down at SIGTERM and SIGINT. Turn it off where something else does, such
        /// as a `ServiceGroup` with `gracefulShutdownSignals`. Default: on.
        public var handlesSignals = true
        /// Where the scheduler logs; payloads never appear. Default: the logging system's, labelled `asynq`.
        public var logger = Logger(label: "asynq")

        public init(timeZone: TimeZone = .gmt) {
            self.timeZone = timeZone
        }

        /// Checked when a scheduler starts.
        func validate() throws(AsynqError) {
            func require(_ condition: Bool, _ text: String) throws(AsynqError) {
                if !condition { throw AsynqError(.invalidArgument, "scheduler configuration: \(text)") }
            }
            try require(leaseDuration >= .seconds(1), "leaseDuration is \(leaseDuration): it must be at least 1 second")
            try require(
                missedAfter > leaseDuration,
                "missedAfter is \(missedAfter): it must be more than leaseDuration (\(leaseDuration)), or runs would be missed when another scheduler takes over"
            )
            try require(heartbeatInterval > .zero, "heartbeatInterval must be more than zero")
        }
    }
}
