import Foundation

/// Reads the text of a ``CronExpression``.
struct CronParser {
    let schedule: CronExpression.Schedule
    /// The one that the text names.
    let timeZone: TimeZone?

    init(_ spec: String) throws(AsynqError) {
        var words = spec.split(whereSeparator: \.isWhitespace)
        guard let first = words.first else {
            throw Self.error("the cron spec is empty: it needs fields, \(Self.wanted)")
        }
        if first.hasPrefix("TZ=") || first.hasPrefix("CRON_TZ=") {
            timeZone = try Self.timeZone(first.drop { $0 != "=" }.dropFirst())
            words.removeFirst()
        } else {
            timeZone = nil
        }
        if words.first?.first == "@" {
            schedule = try Self.descriptor(words)
        } else {
            schedule = .fields(try Self.fields(words, spec: spec))
        }
    }

    static func error(_ message: String) -> AsynqError { AsynqError(.invalidArgument, message) }

    /// A piece of the spec for an error: short, and without control characters.
    static func quoted(_ text: some StringProtocol) -> String {
        let most = 60
        return (String(text.prefix(most)) + (text.count > most ? "…" : "")).goQuoted
    }

    private static let wanted =
        "5 (minute, hour, day of month, month, day of week), or 6 with the second in front, or a word such as @daily"

    private static func fields(_ words: [Substring], spec: String) throws(AsynqError) -> CronFields {
        guard words.count == 5 || words.count == 6 else {
            let count = words.count == 1 ? "1 field" : "\(words.count) fields"
            throw error("the cron spec \(quoted(spec)) has \(count): it needs \(wanted)")
        }
        var fields = CronFields()
        let rest = words.suffix(5)
        if words.count == 6 { fields.seconds = try CronField.second.parse(words[0]).bits }
        fields.minutes = try CronField.minute.parse(rest[rest.startIndex]).bits
        let hours = try CronField.hour.parse(rest[rest.startIndex + 1])
        fields.hours = hours.bits
        fields.fixedHour = !hours.isAny && !hours.isStepped && hours.bits != CronField.hour.all
        let daysOfMonth = try CronField.dayOfMonth.parse(rest[rest.startIndex + 2])
        (fields.daysOfMonth, fields.anyDayOfMonth) = (daysOfMonth.bits, daysOfMonth.isAny)
        fields.months = try CronField.month.parse(rest[rest.startIndex + 3]).bits
        let daysOfWeek = try CronField.dayOfWeek.parse(rest[rest.startIndex + 4])
        (fields.daysOfWeek, fields.anyDayOfWeek) = (daysOfWeek.bits, daysOfWeek.isAny)
        return fields
    }

    /// `@daily` and the like.
    private static func descriptor(_ words: [Substring]) throws(AsynqError) -> CronExpression.Schedule {
        let name = words[0].lowercased()
        if name == "@every" { return .every(try interval(words.dropFirst())) }
        let specs = [
            "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
            "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
        ]
        guard words.count == 1, let spec = specs[name] else {
            throw error(
                "the cron spec has \(quoted(words.joined(separator: " "))): known are @yearly, @annually, @monthly, "
                    + "@weekly, @daily, @midnight, @hourly and @every with a duration, each by itself"
            )
        }
        return .fields(try fields(spec.split(separator: " "), spec: spec))
    }

    /// The whole seconds of an `@every`.
    private static func interval(_ words: ArraySlice<Substring>) throws(AsynqError) -> Int64 {
        guard words.count == 1, let word = words.first else {
            throw error("@every in the cron spec needs one duration without spaces, such as @every 1h30m")
        }
        let duration: Duration
        do { duration = try GoDuration.parse(String(word)) } catch {
            throw Self.error("@every in the cron spec needs a duration such as 1h30m: \(error.message)")
        }
        guard duration > .zero else {
            throw error("@every in the cron spec has \(quoted(word)): the duration must be more than zero")
        }
        return max(1, duration.components.seconds)
    }

    private static func timeZone(_ name: Substring) throws(AsynqError) -> TimeZone {
        let zone = isForeign(name) ? nil : TimeZone(identifier: String(name))
        guard let zone else {
            throw error(
                "the cron spec has the time zone \(quoted(name)): it is not known, "
                    + "use a name such as Europe/Berlin or UTC"
            )
        }
        return zone
    }

    /// Foundation knows names that are none of the IANA database and mean something else to many a reader: `GMT+2`, and
    /// `BST` for Bangladesh.
    private static func isForeign(_ name: Substring) -> Bool {
        let three: Set<Substring> = [
            "UTC", "GMT", "UCT", "EST", "MST", "HST", "CET", "EET", "MET", "WET", "PRC", "ROC", "ROK",
        ]
        if name.hasPrefix("GMT+") || name.hasPrefix("GMT-") || name.hasPrefix("UTC+") || name.hasPrefix("UTC-") {
            return true
        }
        return name.utf8.count == 3 && !three.contains(name)
    }
}
