import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Times, durations and sizes for people.
enum Times {
    /// Such as `2026-01-31T09:30:00Z`; with milliseconds if there are any.
    static func rfc3339(_ date: Date) -> String {
        // Rounded first: a Date that was made from 0.5 s and a day is a little less than that.
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
        let date = Date(timeIntervalSince1970: milliseconds / 1000)
        let isWhole = milliseconds.truncatingRemainder(dividingBy: 1000) == 0
        return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: !isWhole))
    }

    /// The day by UTC, such as `2026-01-31`.
    static func day(_ date: Date) -> String { String(rfc3339(date).prefix(10)) }

    /// In two units at most: `3d4h`, `5m10s`, `250ms`.
    static func short(_ duration: Duration) -> String {
        let seconds = duration / .seconds(1)
        guard seconds.isFinite, seconds > -1e15, seconds < 1e15 else { return "for ever" }
        if seconds < 0 { return "-" + short(.zero - duration) }
        if seconds < 1 { return "\(Int((seconds * 1000).rounded(.down)))ms" }
        let whole = Int(seconds)
        let parts = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
        return parts[first...].prefix(2).filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }

    static func between(_ first: Date, _ second: Date) -> Duration { .seconds(second.timeIntervalSince(first)) }

    /// `in 5m`, `3h ago`, `now`.
    static func relative(_ date: Date?, now: Date) -> String {
        guard let date else { return "-" }
        let duration = between(now, date)
        if abs(duration / .seconds(1)) < 1 { return "now" }
        // To the whole second: an hour that was just given is not 59 minutes.
        let wait = Duration.seconds((duration / .seconds(1)).rounded())
        return duration > .zero ? "in \(short(wait))" : "\(short(.zero - duration)) ago"
    }

    /// For one thing in full: both.
    static func full(_ date: Date?, now: Date) -> String {
        date.map { "\(rfc3339($0)) (\(relative($0, now: now)))" } ?? "-"
    }

    /// Such as `1.5 MiB`.
    static func bytes(_ count: Int?) -> String {
        guard let count else { return "-" }
        var (value, unit) = (Double(count), 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return unit == 0 ? "\(count) B" : "\(decimal(value, digits: 1)) \(units[unit])"
    }

    /// Such as `12.50%`.
    static func percent(_ part: Int, of whole: Int) -> String {
        whole == 0 ? "0.00%" : decimal(100 * Double(part) / Double(whole), digits: 2) + "%"
    }

    static func decimal(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = String(abs(scaled) % scale)
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return (scaled < 0 ? "-" : "") + "\(abs(scaled) / scale).\(zeros)\(fraction)"
    }
}

extension Duration {
    var milliseconds: Int { Int((self / .milliseconds(1)).rounded(.down)) }
}
