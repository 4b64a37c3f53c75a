/// The fields of a cron expression, each a set of bits: bit n stands for the value n.
struct CronFields: Equatable, Sendable {
    var seconds: UInt64 = 1
    var minutes: UInt64 = 0
    var hours: UInt64 = 0
    var daysOfMonth: UInt64 = 0
    var months: UInt64 = 0
    /// 0 is Sunday.
    var daysOfWeek: UInt64 = 0
    /// Whether the field of days holds a plain `*` or `?`: then the other one alone decides.
    var anyDayOfMonth = false
    var anyDayOfWeek = false
    /// Whether the hour is neither `*` nor stepped: then a time that the clocks show twice is meant once.
    var fixedHour = false

    /// A leap day may be eight years away.
    private static let yearsSearched: Int64 = 9

    /// The first match at `seconds` or later. Both are what the clocks show, in seconds since 1970, as if none ever
    /// changed. `nil`: no such date exists, as for 30 February.
    func first(from seconds: Int64) -> Int64? {
        var date = CivilDate(seconds: seconds)
        var second = Int(seconds.floorRemainder(CivilDate.secondsPerDay))
        let lastYear = date.year + Self.yearsSearched
        while date.year <= lastYear {
            guard let month = months.firstBit(from: date.month) else {
                date = CivilDate(year: date.year + 1, month: 1, day: 1)
                second = 0
                continue
            }
            if month != date.month {
                date = CivilDate(year: date.year, month: month, day: 1)
                second = 0
            }
            let days = days(in: date)
            while let day = days.firstBit(from: date.day) {
                if day != date.day { second = 0 }
                date.day = day
                if let time = time(from: second) {
                    return date.dayNumber * CivilDate.secondsPerDay + Int64(time)
                }
                date.day += 1
                second = 0
            }
            date = CivilDate(year: date.year, month: date.month + 1, day: 1)
            second = 0
        }
        return nil
    }

    /// The days of the date's month that match.
    private func days(in date: CivilDate) -> UInt64 {
        let first = CivilDate(year: date.year, month: date.month, day: 1).weekday
        // The week turned so that bit 0 is the weekday of the first, laid out five times from bit 1 on.
        let week = (daysOfWeek >> UInt64(first) | daysOfWeek << UInt64(7 - first)) & 0x7F
        let ofWeek = (week * 0x1020_4081) << 1
        let all = (UInt64(1) << UInt64(date.daysInMonth + 1)) - 2
        return all & (anyDayOfMonth || anyDayOfWeek ? daysOfMonth & ofWeek : daysOfMonth | ofWeek)
    }

    /// The first second of the day that matches, from a second of the day on.
    private func time(from second: Int) -> Int? {
        var (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60)
        if let next = seconds.firstBit(from: second) {
            second = next
        } else {
            (minute, second) = (minute + 1, seconds.trailingZeroBitCount)
        }
        if let next = minutes.firstBit(from: minute) {
            if next != minute { (minute, second) = (next, seconds.trailingZeroBitCount) }
        } else {
            (hour, minute, second) = (hour + 1, minutes.trailingZeroBitCount, seconds.trailingZeroBitCount)
        }
        guard let next = hours.firstBit(from: hour) else { return nil }
        if next != hour { (minute, second) = (minutes.trailingZeroBitCount, seconds.trailingZeroBitCount) }
        return next * 3600 + minute * 60 + second
    }
}

extension UInt64 {
    /// The lowest bit that is set, from a position on.
    fileprivate func firstBit(from position: Int) -> Int? {
        guard position < 64 else { return nil }
        let rest = self >> UInt64(position)
        return rest == 0 ? nil : position + rest.trailingZeroBitCount
    }
}
