#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A task that is to be enqueued again and again, and when.
public struct PeriodicTaskConfig: Sendable {
    /// When: a cron expression of five fields, or six with the seconds first, or a shorthand such as `@daily` or
    /// `@every 1h30m` (see ``CronExpression``).
    public var spec: String
    public var task: AsynqTask
    /// Override those of the task.
    public var options: [TaskOption]
    /// Names the entry. `nil`: an id that follows from all the rest but ``missed``, so that schedulers with the same entry agree
    /// on it. Give one to keep the entry, with what it remembers of its runs, through a change of spec or task; or to
    /// have two of which all is equal.
    public var id: String?
    /// The time zone of the spec. `nil`: that of the scheduler. One in the spec (`CRON_TZ=Europe/Berlin 0 9 * * *`) comes
    /// first.
    public var timeZone: TimeZone?
    /// What becomes of times at which the task could not be enqueued.
    public var missed: MissedRuns

    public init(
        _ spec: String,
        _ task: AsynqTask,
        options: [TaskOption] = [],
        id: String? = nil,
        timeZone: TimeZone? = nil,
        missed: MissedRuns = .skip
    ) {
        self.spec = spec
        self.task = task
        self.options = options
        self.id = id
        self.timeZone = timeZone
        self.missed = missed
    }
}

/// One time at which an entry is due, as hooks see it.
public struct PeriodicRun: Sendable {
    public var entryID: String
    /// The spec, with the time zone if that is not UTC.
    public var spec: String
    /// With all its options.
    public var task: AsynqTask
    /// The id under which the task is enqueued for this time.
    public var taskID: String
    /// When it is due.
    public var time: Date

    public init(entryID: String, spec: String, task: AsynqTask, taskID: String, time: Date) {
        self.entryID = entryID
        self.spec = spec
        self.task = task
        self.taskID = taskID
        self.time = time
    }
}
