import Asynq
import Foundation
import Testing

/// What is due when clocks change (spec 2, "Scheduler").
struct CronClockChangeTests {
    typealias Case = CronExpressionTests.Case

    private func check(_ row: Case) throws {
        let expression = try CronExpression(row.spec, timeZone: zone(row.zone))
        var date = try moment(row.after)
        for next in try row.next.map(moment) {
            #expect(expression.next(after: date) == next)
            date = next
        }
    }

    private static let berlin = "Europe/Berlin"
    private static let newYork = "America/New_York"
    private static let lordHowe = "Australia/Lord_Howe"

    @Test(
        arguments: [
            Case("30 2 * * *", berlin, after: "2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"),
            Case("*/10 2 * * *", berlin, after: "2026-03-28T02:50:00+01:00", "2026-03-30T02:00:00+02:00"),
            Case("0 2 * * *", newYork, after: "2026-03-07T02:00:00-05:00", "2026-03-09T02:00:00-04:00"),
            Case("0 3 * * *", newYork, after: "2026-03-07T03:00:00-05:00", "2026-03-08T03:00:00-04:00"),
            // Half an hour: 2:15 does not exist, 2:30 does.
            Case("15 2 * * *", lordHowe, after: "2026-10-03T02:15:00+10:30", "2026-10-05T02:15:00+11:00"),
            Case("30 2 * * *", lordHowe, after: "2026-10-03T02:30:00+10:30", "2026-10-04T02:30:00+11:00"),
            // Clocks that go on at midnight, and a whole day that was left out.
            Case("@daily", "America/Havana", after: "2026-03-07T00:00:00-05:00", "2026-03-09T00:00:00-04:00"),
            Case("0 12 * * *", "Pacific/Apia", after: "2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"),
        ]
    )
    func `a fixed time that does not exist that day is skipped`(row: Case) throws { try check(row) }

    @Test(
        arguments: [
            Case(
                "30 2 * * *",
                berlin,
                after: "2026-10-24T02:30:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-26T02:30:00+01:00"
            ),
            // In the next century as well.
            Case(
                "30 2 * * *",
                berlin,
                after: "2103-10-28T01:30:00+02:00",
                "2103-10-28T02:30:00+02:00",
                "2103-10-29T02:30:00+01:00"
            ),
            // Between the two, and during the second.
            Case("30 1 * * *", newYork, after: "2026-11-01T01:45:00-04:00", "2026-11-02T01:30:00-05:00"),
            Case("30 1 * * *", newYork, after: "2026-11-01T01:10:00-05:00", "2026-11-02T01:30:00-05:00"),
            Case(
                "*/30 2 * * *",
                berlin,
                after: "2026-10-25T01:00:00+02:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-26T02:00:00+01:00"
            ),
            Case(
                "15 1-3 * * *",
                berlin,
                after: "2026-10-25T00:00:00+02:00",
                "2026-10-25T01:15:00+02:00",
                "2026-10-25T02:15:00+02:00",
                "2026-10-25T03:15:00+01:00"
            ),
            Case(
                "45 1 * * *",
                lordHowe,
                after: "2026-04-04T12:00:00+11:00",
                "2026-04-05T01:45:00+11:00",
                "2026-04-06T01:45:00+10:30"
            ),
            Case(
                "@daily",
                "America/Havana",
                after: "2026-10-31T12:00:00-04:00",
                "2026-11-01T00:00:00-04:00",
                "2026-11-02T00:00:00-05:00"
            ),
        ]
    )
    func `a fixed time that comes twice is due at the first`(row: Case) throws { try check(row) }

    @Test(
        arguments: [
            Case(
                "0 * * * *",
                berlin,
                after: "2026-03-29T00:30:00+01:00",
                "2026-03-29T01:00:00+01:00",
                "2026-03-29T03:00:00+02:00"
            ),
            Case(
                "@hourly",
                berlin,
                after: "2026-10-25T01:30:00+02:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T03:00:00+01:00"
            ),
            Case(
                "0 */2 * * *",
                berlin,
                after: "2026-10-25T00:30:00+02:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T04:00:00+01:00"
            ),
            Case("0 */2 * * *", berlin, after: "2026-03-29T00:30:00+01:00", "2026-03-29T04:00:00+02:00"),
            // All hours are as good as a star.
            Case(
                "15 0-23 * * *",
                berlin,
                after: "2026-10-25T01:30:00+02:00",
                "2026-10-25T02:15:00+02:00",
                "2026-10-25T02:15:00+01:00",
                "2026-10-25T03:15:00+01:00"
            ),
            Case(
                "*/20 * * * *",
                newYork,
                after: "2026-11-01T01:30:00-04:00",
                "2026-11-01T01:40:00-04:00",
                "2026-11-01T01:00:00-05:00",
                "2026-11-01T01:20:00-05:00",
                "2026-11-01T01:40:00-05:00",
                "2026-11-01T02:00:00-05:00"
            ),
            Case(
                "*/15 * * * *",
                lordHowe,
                after: "2026-04-05T01:40:00+11:00",
                "2026-04-05T01:45:00+11:00",
                "2026-04-05T01:30:00+10:30",
                "2026-04-05T01:45:00+10:30",
                "2026-04-05T02:00:00+10:30"
            ),
            Case(
                "30 * * * *",
                lordHowe,
                after: "2026-04-05T01:00:00+11:00",
                "2026-04-05T01:30:00+11:00",
                "2026-04-05T01:30:00+10:30",
                "2026-04-05T02:30:00+10:30"
            ),
            Case(
                "@every 1h",
                berlin,
                after: "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T03:30:00+01:00"
            ),
        ]
    )
    func `a wildcard or stepped hour goes on by real time`(row: Case) throws { try check(row) }
}
