// FoundationEssentials alone knows no time zones by name.
public import Foundation

/// When something is due again and again: a cron spec and the time zone in which it is read (spec 2, "Scheduler").
///
/// ```swift
/// let berlin = TimeZone(identifier: "Europe/Berlin")!
/// let weekdays = try CronExpression("30 9 * * mon-fri", timeZone: berlin)
/// let due = weekdays.next(after: Date())
/// ```
///
/// A spec is one of
/// - five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12 or `jan`-`dec`), day of week (0-7 or
///   `sun`-`sat`; 0 and 7 are Sunday), or six with the second (0-59) in front. A field is `*`, `?` (the same), a
///   number, a range `a-b`, any of these with a step (`*/5`, `8-18/2`; `5/10` is 5 to the largest by tens), or a
///   list of them with commas. Ranges of days of the week may go over the end: `sat-mon`. When neither field of days
///   has a plain `*`, either may match;
/// - `@yearly` or `@annually`, `@monthly`, `@weekly`, `@daily` or `@midnight`, `@hourly`;
/// - `@every 1h30m`: a duration as Go writes it, cut to whole seconds, at least 1 s.
///
/// In front of it `CRON_TZ=Europe/Berlin` or `TZ=Europe/Berlin` names the time zone. Names of months and days may be
/// in capitals.
///
/// When clocks change, a spec with a fixed hour skips what does not exist that day, and of a time that comes twice
/// takes the first. One whose hour is `*` (or all 24) or stepped goes on by real time.
public struct CronExpression: Sendable, CustomStringConvertible {
    enum Schedule: Sendable {
        /// A number of seconds.
        case every(Int64)
        case fields(CronFields)
    }

    /// What Foundation calls the distant past, and the end of the year 9999.
    private static let dates: ClosedRange<Int64> = -62_135_769_600...253_402_300_799
    /// No time of day falls into a change of the clocks for so many years in a row.
    private static let secondsSearched: Int64 = 50 * 366 * CivilDate.secondsPerDay

    /// The text that the expression was made of.
    public let spec: String
    /// The time zone in which the fields are read: that of the text, or else the one given beside it.
    public let timeZone: TimeZone

    let schedule: Schedule
    private let offsets: ZoneOffsets

    /// Reads a spec.
    ///
    /// - Parameters:
    ///   - spec: The text; its grammar stands with the type.
    ///   - timeZone: The time zone for a text that names none. Default: UTC.
    /// - Throws: ``AsynqError/Code/invalidArgument``; the message says which field is wrong, why, and what is allowed.
    public init(_ spec: String, timeZone: TimeZone = .gmt) throws(AsynqError) {
        let parser = try CronParser(spec)
        self.spec = spec
        self.timeZone = parser.timeZone ?? timeZone
        schedule = parser.schedule
        offsets = ZoneOffsets.of(self.timeZone)
    }

    public var description: String { spec }

    /// The first whole second after a date at which the expression is due.
    ///
    /// `@every` counts from the date itself: with `@every 1m` it is one minute after the date's whole second.
    ///
    /// - Returns: `nil` if it is never due, as on 30 February, or if the date is not before the year 10000.
    public func next(after date: Date) -> Date? {
        guard let second = date.secondsSince1970RoundedDown, second <= Self.dates.upperBound else { return nil }
        let start = max(second, Self.dates.lowerBound)
        switch schedule {
        case .every(let seconds): return Date(secondsSince1970: start + seconds)
        case .fields(let fields): return next(fields, from: start + 1).map(Date.init(secondsSince1970:))
        }
    }

    private func next(_ fields: CronFields, from first: Int64) -> Int64? {
        var second = first
        while second <= first + Self.secondsSearched {
            let span = offsets.span(at: second)
            var shown = second + span.offset
            if fields.fixedHour { shown = max(shown, span.seen) }
            guard let match = fields.first(from: shown) else { return nil }
            if match - span.offset < span.end { return match - span.offset }
            second = span.end
        }
        return nil
    }
}

// The text and the time zone say it all.
extension CronExpression: Hashable {
    public static func == (left: CronExpression, right: CronExpression) -> Bool {
        left.spec == right.spec && left.timeZone == right.timeZone
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(spec)
        hasher.combine(timeZone)
    }
}
