import Asynq
import Foundation
import TestSupport

/// A cron expression by its plainest meaning: every minute (or second) of a stretch of time is looked at, with the
/// calendar of the C library. Knows nothing of how `CronExpression` works.
struct CronOracle {
    /// A random spec, and what it means.
    struct Spec {
        var text: String
        /// What is allowed: seconds, minutes, hours, days of month, months, days of week.
        var allowed: [[Bool]]
        var isAnyDay: (ofMonth: Bool, ofWeek: Bool)
        var isFixedHour: Bool
    }

    /// One moment, and what the clocks show then.
    private struct Moment {
        var time: Int
        var second: Int
        var minute: Int
        var hour: Int
        var day: Int
        var month: Int
        var weekday: Int
        /// Whether the clocks have shown it before.
        var isRepeated: Bool
    }

    private let moments: [Moment]
    /// Where the clocks change: indices of the first moments after it.
    private(set) var changes: [Int] = []

    /// When a moment of the stretch is.
    func time(_ index: Int) -> Int { moments[index].time }
    var start: Int { moments[0].time }
    var end: Int { moments[moments.count - 1].time }

    init(_ zone: TimeZone, from date: Date, hours: Int, step: Int) {
        let start = Int(date.timeIntervalSince1970)
        var moments: [Moment] = []
        var shown = Set<Int>()
        var before: Int?
        for time in stride(from: start, to: start + hours * 3600, by: step) {
            let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time)))
            if let before, before != offset { changes.append(moments.count) }
            before = offset
            var clock = time_t(time + offset)
            var parts = tm()
            gmtime_r(&clock, &parts)
            moments.append(
                Moment(
                    time: time,
                    second: Int(parts.tm_sec),
                    minute: Int(parts.tm_min),
                    hour: Int(parts.tm_hour),
                    day: Int(parts.tm_mday),
                    month: Int(parts.tm_mon) + 1,
                    weekday: Int(parts.tm_wday),
                    isRepeated: !shown.insert(time + offset).inserted
                )
            )
        }
        self.moments = moments
    }

    /// Every moment of the stretch at which the spec is due.
    func due(_ spec: Spec) -> [Int] {
        let allowed = spec.allowed
        return moments.compactMap { moment in
            guard allowed[1][moment.minute], allowed[0][moment.second], allowed[2][moment.hour] else { return nil }
            guard allowed[4][moment.month], !(spec.isFixedHour && moment.isRepeated) else { return nil }
            let (ofMonth, ofWeek) = (allowed[3][moment.day], allowed[5][moment.weekday])
            let matches = spec.isAnyDay.ofMonth || spec.isAnyDay.ofWeek ? ofMonth && ofWeek : ofMonth || ofWeek
            return matches ? moment.time : nil
        }
    }
}

extension CronOracle.Spec {
    fileprivate struct Field {
        var text = ""
        var allowed: [Bool] = []
        var isAny = false
        var isStepped = false
    }

    init(using generator: inout SeededGenerator, seconds: Bool) {
        // Mostly every day, so that the days on which clocks change are among them.
        let fields = [
            Field(0...59, using: &generator), Field(0...59, using: &generator), Field(0...23, using: &generator),
            Field(1...31, anyIn: 3, using: &generator), Field(1...12, names: Self.months, anyIn: 3, using: &generator),
            Field(0...6, names: Self.days, anyIn: 3, using: &generator),
        ]
        text = fields.dropFirst(seconds ? 0 : 1).map(\.text).joined(separator: " ")
        allowed = fields.map(\.allowed)
        if !seconds { allowed[0] = (0...59).map { $0 == 0 } }
        isAnyDay = (fields[3].isAny, fields[5].isAny)
        isFixedHour = !fields[2].isAny && !fields[2].isStepped && fields[2].allowed.contains(false)
    }

    private static let months = ["Jan", "feb", "MAR", "apr", "May", "jun", "JUL", "aug", "sep", "oct", "nov", "DEC"]
    private static let days = ["sun", "Mon", "tue", "WED", "thu", "fri", "SAT"]
}

extension CronOracle.Spec.Field {
    /// A field of one to three random elements; or, but for one time in so many, of a star.
    init(
        _ range: ClosedRange<Int>,
        names: [String] = [],
        anyIn chance: Int = 1,
        using generator: inout SeededGenerator
    ) {
        var elements: [String] = []
        allowed = Array(repeating: false, count: range.upperBound + 1)
        guard Int.random(in: 0..<chance, using: &generator) == 0 else {
            text = "*"
            isAny = true
            for value in range { allowed[value] = true }
            return
        }
        for _ in 0..<[1, 1, 1, 2, 3].randomElement(using: &generator)! {
            var (low, high) = (range.lowerBound, range.upperBound)
            var element: String
            let kind = Int.random(in: 0..<6, using: &generator)
            switch kind {
            case 0, 1: element = ["*", "?"].randomElement(using: &generator)!
            case 2, 3:
                low = Int.random(in: range, using: &generator)
                element = Self.name(low, names, range, &generator)
                if kind == 2 { high = low }
            default:
                low = Int.random(in: range, using: &generator)
                high = Int.random(in: low...range.upperBound, using: &generator)
                element = Self.name(low, names, range, &generator) + "-" + Self.name(high, names, range, &generator)
            }
            // A number without a step stands for itself only: kind 3 always has one.
            if kind == 3 || kind != 2 && Bool.random(using: &generator) {
                let step = Int.random(in: 1...range.count, using: &generator)
                element += "/\(step)"
                isStepped = true
                isAny = isAny || kind < 2 && step == 1
                for value in low...high where (value - low) % step == 0 { allowed[value] = true }
            } else {
                isAny = isAny || kind < 2
                for value in low...high { allowed[value] = true }
            }
            elements.append(element)
        }
        text = elements.joined(separator: ",")
    }

    private static func name(
        _ value: Int,
        _ names: [String],
        _ range: ClosedRange<Int>,
        _ generator: inout SeededGenerator
    ) -> String {
        names.isEmpty || Bool.random(using: &generator) ? String(value) : names[value - range.lowerBound]
    }
}
