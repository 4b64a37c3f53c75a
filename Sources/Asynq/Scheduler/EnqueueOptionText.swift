#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TaskOption {
    /// The option as it stands in a SchedulerEntry, for the tools of the Go system to show (spec 1, "Messages"):
    /// `MaxRetry(5)`, `Queue("low")`, `Timeout(20m0s)`.
    package var enqueueText: String {
        switch kind {
        case .maxRetry(let count): "MaxRetry(\(max(0, count)))"
        case .queue(let name): "Queue(\(name.goQuoted))"
        case .taskID(let id): "TaskID(\(id.goQuoted))"
        case .timeout(let duration): "Timeout(\(GoDuration.format(duration)))"
        case .deadline(let date): "Deadline(\(date.unixDate))"
        case .unique(let ttl): "Unique(\(GoDuration.format(ttl)))"
        case .processAt(let date): "ProcessAt(\(date.unixDate))"
        case .processIn(let delay): "ProcessIn(\(GoDuration.format(delay)))"
        case .retention(let duration): "Retention(\(GoDuration.format(duration)))"
        case .group(let name): "Group(\(name.goQuoted))"
        case .header(let name, let value): "Header([\(name.goQuoted),\(value.goQuoted)])"
        }
    }
}

extension Date {
    /// As `date` of Unix prints it, in UTC: `Tue Nov 10 23:00:00 UTC 2009`. The second is the one in which it lies.
    fileprivate var unixDate: String {
        let most: Int64 = 253_402_300_799
        let seconds = min(max(secondsSince1970RoundedDown ?? (self > .distantFuture ? most : -most), -most), most)
        let date = CivilDate(seconds: seconds)
        let second = seconds.floorRemainder(CivilDate.secondsPerDay)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
        let weekday = CronField.dayOfWeek.names[date.weekday].capitalized
        let month = CronField.month.names[date.month - 1].capitalized
        let year = String(date.year.magnitude)
        let padded = (date.year < 0 ? "-" : "") + String(repeating: "0", count: max(0, 4 - year.count)) + year
        return "\(weekday) \(month) \(date.day < 10 ? " " : "")\(date.day) \(time) UTC \(padded)"
    }
}
