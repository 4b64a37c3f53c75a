#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension EnqueueRequest {
    /// The limit of an attempt when neither a timeout nor a deadline was asked for.
    static let defaultTimeout: Int64 = 30 * 60
    static let defaultMaxRetry: Int32 = 25
    static let defaultQueue = "default"
    /// For ever, about 140 000 years: brokers can add it to a time, in milliseconds, without losing a digit.
    private static let longest = Duration.seconds(1 << 42)

    /// Applies the task's options, then those given at enqueue (spec 2, "Task and options").
    ///
    /// - Parameter ids: how an id is made if the task has none.
    package init(
        _ task: AsynqTask,
        options: [TaskOption] = [],
        ids: TaskIDScheme = .random
    ) throws(AsynqError) {
        guard !task.type.isBlank else {
            throw AsynqError(.invalidArgument, "the task's type is blank: give it a name such as \"email:welcome\"")
        }
        self.init(message: TaskMessage(type: task.type, payload: task.payload, id: "", queue: Self.defaultQueue))
        message.maxRetry = Self.defaultMaxRetry
        message.headers = task.headers
        var timeout: Int64?
        for option in task.options { try apply(option, timeout: &timeout) }
        for option in options { try apply(option, timeout: &timeout) }
        message.timeout = timeout ?? (message.deadline == 0 ? Self.defaultTimeout : 0)
        if message.id.isEmpty { message.id = TaskID.make(ids) }
    }

    private mutating func apply(_ option: TaskOption, timeout: inout Int64?) throws(AsynqError) {
        switch option.kind {
        case .maxRetry(let count):
            message.maxRetry = Int32(clamping: max(0, count))
        case .queue(let name):
            guard !name.isBlank else { throw AsynqError(.invalidArgument, "the queue's name is blank") }
            message.queue = name
        case .taskID(let id):
            guard !id.isBlank else { throw AsynqError(.invalidArgument, "the task's id is blank") }
            message.id = id
        case .timeout(let duration):
            guard duration >= .zero else {
                throw AsynqError(.invalidArgument, "the timeout is negative (\(duration)): use zero for no limit")
            }
            timeout = duration.secondsRoundedUp
        case .deadline(let date):
            // 0 means none in the message: a moment before 1970 must not become no limit.
            message.deadline = max(1, Int64(clamping: date.timeIntervalSince1970.rounded(.up)))
        case .unique(let ttl):
            guard ttl >= .seconds(1) else {
                throw AsynqError(.invalidArgument, "the uniqueness TTL is \(ttl): it must be at least 1 second")
            }
            uniqueFor = min(ttl, Self.longest)
        case .processAt(let date):
            // To the microsecond first: a Date that was made from 0.123 s is a little more than that.
            let microseconds = (date.timeIntervalSince1970 * 1_000_000).rounded()
            let milliseconds = Int64(clamping: (microseconds / 1000).rounded(.up))
            start = .at(milliseconds: min(milliseconds, Self.longest.millisecondsRoundedUp))
        case .processIn(let delay):
            start = delay > .zero ? .after(milliseconds: min(delay, Self.longest).millisecondsRoundedUp) : .now
        case .retention(let duration):
            guard duration >= .zero else {
                throw AsynqError(.invalidArgument, "the retention is negative (\(duration)): use zero for none")
            }
            message.retention = duration.secondsRoundedUp
        case .group(let name):
            guard !name.isBlank else { throw AsynqError(.invalidArgument, "the group's name is blank") }
            message.group = name
        case .header(let name, let value):
            message.headers[name] = value
        }
    }
}

extension String {
    /// Empty, or nothing but white space.
    package var isBlank: Bool {
        // Most begin with a visible ASCII character, and no more need be known of them.
        if let first = utf8.first, (0x21...0x7E).contains(first) { return false }
        return allSatisfy(\.isWhitespace)
    }
}

extension Int64 {
    /// The nearest number that fits; 0 for NaN.
    fileprivate init(clamping value: Double) {
        self = Int64(exactly: value) ?? (value >= 0x1p63 ? .max : value < -0x1p63 ? .min : 0)
    }
}
