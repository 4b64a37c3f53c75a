import Asynq
import Foundation
import Testing

/// Known dates and times (spec 2, "Scheduler").
struct CronExpressionTests {
    /// A spec, from when on, and when it is due next; dates as `2026-01-31T00:00:00+01:00`.
    struct Case: Sendable, CustomTestStringConvertible {
        var spec: String
        var zone: String
        var after: String
        var next: [String]

        init(_ spec: String, _ zone: String = "UTC", after: String, _ next: String...) {
            (self.spec, self.zone, self.after, self.next) = (spec, zone, after, next)
        }

        var testDescription: String { "\(spec) \(zone) \(after)" }
    }

    private func check(_ row: Case) throws {
        let expression = try CronExpression(row.spec, timeZone: zone(row.zone))
        var date = try moment(row.after)
        for next in try row.next.map(moment) {
            #expect(expression.next(after: date) == next)
            // Whatever lies between has the same next time.
            #expect(expression.next(after: next.addingTimeInterval(-1)) == next)
            #expect(expression.next(after: next.addingTimeInterval(-0.001)) == next)
            date = next
        }
    }

    /// The same on days of one month, at midnight.
    private func days(_ spec: String, from: String = "2026-02-01") throws -> [Int] {
        let expression = try CronExpression(spec)
        var date = try moment("\(from)T00:00:00Z").addingTimeInterval(-1)
        let end = date.addingTimeInterval(28 * 86_400)
        var days: [Int] = []
        while let next = expression.next(after: date), next <= end {
            days.append(Int(next.timeIntervalSince(end)) / 86_400 + 28)
            date = next
        }
        return days
    }

    @Test(
        arguments: [
            Case("0 0 29 2 *", after: "1999-03-01T00:00:00Z", "2000-02-29T00:00:00Z", "2004-02-29T00:00:00Z"),
            Case("0 0 29 2 *", after: "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"),
            Case("0 0 29 2 *", "Europe/Berlin", after: "2096-03-01T00:00:00Z", "2104-02-29T00:00:00+01:00"),
            Case(
                "0 0 31 * *",
                after: "2026-01-31T00:00:00Z",
                "2026-03-31T00:00:00Z",
                "2026-05-31T00:00:00Z",
                "2026-07-31T00:00:00Z",
                "2026-08-31T00:00:00Z",
                "2026-10-31T00:00:00Z",
                "2026-12-31T00:00:00Z"
            ),
            Case("30 23 30 * *", after: "2027-01-30T23:30:00Z", "2027-03-30T23:30:00Z"),
            Case("0 0 28-31 2 *", after: "2027-02-28T00:00:00Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
            Case("59 23 31 12 *", after: "2026-12-31T23:58:59Z", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            Case("@yearly", after: "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
            Case("* * * * *", after: "2026-12-31T23:59:30Z", "2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z"),
            Case("0 0 29 2 *", after: "1896-03-01T00:00:00Z", "1904-02-29T00:00:00Z"),
        ]
    )
    func `leap years and ends of months`(row: Case) throws { try check(row) }

    @Test(
        arguments: [
            Case("59 59 23 31 12 ?", after: "2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"),
            Case("*/25 1 * * * *", after: "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:25Z"),
            Case("*/25 1 * * * *", after: "2026-01-01T00:01:50Z", "2026-01-01T01:01:00Z"),
            Case("10,20 0 0 * * sun", after: "2026-02-01T00:00:10Z", "2026-02-01T00:00:20Z", "2026-02-08T00:00:10Z"),
        ]
    )
    func `with six fields the first is the second`(row: Case) throws { try check(row) }

    @Test func `one restricted field of days decides alone, and of two either may match`() throws {
        // 1 February 2026 is a Sunday.
        #expect(try days("0 0 13 * 5") == [6, 13, 20, 27])
        #expect(try days("0 0 12 * fri") == [6, 12, 13, 20, 27])
        #expect(try days("0 0 12 * *") == [12])
        #expect(try days("0 0 * * fri") == [6, 13, 20, 27])
        #expect(try days("0 0 ? * fri") == [6, 13, 20, 27])
        #expect(try days("0 0 */1 * fri") == [6, 13, 20, 27])
        // A step restricts, as in Go; and so does a range of all days.
        #expect(try days("0 0 */10 * fri") == [1, 6, 11, 13, 20, 21, 27])
        #expect(try days("0 0 1-31 * fri") == Array(1...28))
        #expect(try days("0 0 *,5 * fri") == [6, 13, 20, 27])
    }

    @Test func `seven is Sunday, and ranges of days of the week go over the end`() throws {
        let sundays = [1, 8, 15, 22]
        for spec in ["7", "0", "sun", "SUN", "7-7", "7-0", "0-0", "sun-sun"] {
            #expect(try days("0 0 * * \(spec)") == sundays, "\(spec)")
        }
        #expect(try days("0 0 * * sat-sun") == [1, 7, 8, 14, 15, 21, 22, 28])
        #expect(try days("0 0 * * 6-7") == [1, 7, 8, 14, 15, 21, 22, 28])
        #expect(try days("0 0 * * 6-0") == [1, 7, 8, 14, 15, 21, 22, 28])
        #expect(try days("0 0 * * sat-mon") == [1, 2, 7, 8, 9, 14, 15, 16, 21, 22, 23, 28])
        #expect(try days("0 0 * * 7-1") == [1, 2, 8, 9, 15, 16, 22, 23])
        #expect(try days("0 0 * * 0-7") == Array(1...28))
        #expect(try days("0 0 * * mon-sun") == Array(1...28))
        // Friday, Sunday, Tuesday; then Sunday, Tuesday, Thursday, Saturday, and the same from Sunday on.
        #expect(try days("0 0 * * fri-tue/2", from: "2026-02-01").prefix(4) == [1, 3, 6, 8])
        #expect(try days("0 0 * * */2").prefix(5) == [1, 3, 5, 7, 8])
        #expect(try days("0 0 * * 7/2").prefix(5) == [1, 3, 5, 7, 8])
        #expect(try days("0 0 * * 5/1").prefix(4) == [6, 7, 13, 14])
    }

    @Test(arguments: ["0 0 30 2 *", "0 0 30,31 feb *", "0 0 31 2,4,6,9,11 ?", "TZ=Europe/Berlin 30 2 31 4 *"])
    func `a date that no year has is never due`(spec: String) throws {
        let expression = try CronExpression(spec)
        #expect(expression.next(after: Date(timeIntervalSince1970: 1_800_000_000)) == nil)
        #expect(expression.next(after: .distantPast) == nil)
    }

    @Test func `every date has an answer`() throws {
        let daily = try CronExpression("@daily", timeZone: zone("Europe/Berlin"))
        let every = try CronExpression("@every 2562047h")
        for expression in [daily, every] {
            for seconds in [Double.infinity, -.infinity, .nan, 1e300, -1e300, 253_402_300_800] {
                #expect(expression.next(after: Date(timeIntervalSince1970: seconds)) == nil, "\(seconds)")
            }
            for date in [Date.distantPast, .distantFuture, Date(timeIntervalSince1970: 253_402_300_799)] {
                #expect(try #require(expression.next(after: date)) > date)
            }
        }
        #expect(daily.next(after: Date(timeIntervalSince1970: -1e12)) == daily.next(after: .distantPast))
    }

    @Test func `@every counts from the date's whole second, in whole seconds`() throws {
        func next(_ spec: String, _ after: Double) throws -> Double? {
            try CronExpression(spec).next(after: Date(timeIntervalSinceReferenceDate: after))?
                .timeIntervalSinceReferenceDate
        }
        #expect(try next("@every 1m", 1000) == 1060)
        #expect(try next("@every 1m", 1000.9) == 1060)
        #expect(try next("@every 1m", -0.1) == 59)
        #expect(try next("@every 1m30.9s", 0) == 90)
        #expect(try next("@every 1ns", 0) == 1)
        #expect(try next("@every 999ms", 0.999) == 1)
        #expect(try next("CRON_TZ=Asia/Tokyo @EVERY  1h", 5) == 3605)
    }

    @Test func `the time zone of the text comes before the one beside it, and UTC is the default`() throws {
        let berlin = try zone("Europe/Berlin")
        let after = try moment("2026-07-01T12:00:00Z")
        #expect(try CronExpression("0 0 * * *").timeZone == .gmt)
        #expect(try CronExpression("0 0 * * *", timeZone: berlin).next(after: after) == moment("2026-07-01T22:00:00Z"))
        for spec in ["CRON_TZ=Asia/Tokyo 0 0 * * *", " TZ=Asia/Tokyo\t@daily "] {
            let expression = try CronExpression(spec, timeZone: berlin)
            #expect(expression.timeZone.identifier == "Asia/Tokyo" && expression.spec == spec)
            #expect(expression.description == spec)
            #expect(try expression.next(after: after) == moment("2026-07-01T15:00:00Z"))
        }
        for name in ["UTC", "Etc/UTC", "GMT", "US/Eastern", "EST5EDT", "CET", "Etc/GMT+2", "Japan", "GB"] {
            #expect(throws: Never.self) { try CronExpression("TZ=\(name) @daily") }
        }
        let fixed = try CronExpression("0 0 * * *", timeZone: #require(TimeZone(secondsFromGMT: -5400)))
        #expect(try fixed.next(after: after) == moment("2026-07-02T01:30:00Z"))
    }

    @Test func `expressions are equal when text and time zone are`() throws {
        let berlin = try zone("Europe/Berlin")
        let one = try CronExpression("@daily", timeZone: berlin)
        #expect(try one == CronExpression("@daily", timeZone: berlin))
        #expect(try one != CronExpression("@daily"))
        #expect(try one != CronExpression("@weekly", timeZone: berlin))
        #expect(try Set([one, CronExpression("@daily", timeZone: berlin), CronExpression("@daily")]).count == 2)
    }
}
