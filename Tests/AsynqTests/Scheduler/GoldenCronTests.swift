import Asynq
import Foundation
import Testing

/// What Go's robfig/cron reads and when it is due next. We differ where it is faulty or the contract asks for more, row
/// by row below.
struct GoldenCronTests {
    struct Row: Decodable, Sendable, CustomTestStringConvertible {
        var spec: String
        var error: String?
        var after: String?
        var location: String?
        var next: [String]?

        var testDescription: String { "\(spec) \(after ?? "is refused")" }
    }

    /// Refused there. Here day 7 is Sunday, ranges of days of the week may wrap, and of six fields the first is the
    /// second.
    private static let accepted: Set = ["0 0 * * 7", "0 3 * * sat-SUN", "* * * * * *"]
    /// There a second, and 1,2.
    private static let refused: Set = ["@every -1h", "1,,2 * * * *"]

    /// What is due at a given row here, for rows where it is not what was recorded.
    private static func differs(_ row: Row) -> [String]? {
        switch (row.spec, row.location, row.after) {
        case ("30 1 * 11 *", "America/New_York", let after) where after?.hasPrefix("2026-") == true:
            // A fixed time that comes twice is due at the first only.
            [
                "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00", "2026-11-03T01:30:00-05:00",
                "2026-11-04T01:30:00-05:00", "2026-11-05T01:30:00-05:00",
            ]
        case ("@midnight", "Australia/Lord_Howe", "2026-10-04T01:15:00+10:30"):
            // Where clocks move by half an hour it misses the midnight after the change, which exists.
            [
                "2026-10-05T00:00:00+11:00", "2026-10-06T00:00:00+11:00", "2026-10-07T00:00:00+11:00",
                "2026-10-08T00:00:00+11:00", "2026-10-09T00:00:00+11:00",
            ]
        default: nil
        }
    }

    @Test(arguments: try Golden.load([Row].self, "cron"))
    func `a row of the recorded specs has the recorded outcome`(row: Row) throws {
        guard let after = row.after, let location = row.location, let next = row.next else {
            #expect(row.error != nil)
            if Self.accepted.contains(row.spec) {
                #expect(try CronExpression(row.spec).next(after: moment("2026-01-01T00:00:00Z")) != nil)
            } else {
                let error = #expect(throws: AsynqError.self) { try CronExpression(row.spec) }
                #expect(error?.code == .invalidArgument)
            }
            return
        }
        if Self.refused.contains(row.spec) {
            #expect(throws: AsynqError.self) { try CronExpression(row.spec) }
            return
        }
        let expression = try CronExpression(row.spec, timeZone: zone(location))
        let wanted = try (Self.differs(row) ?? next).map { $0 == "never" ? nil : try moment($0) }
        var date: Date? = try moment(after)
        var found: [Date?] = []
        for _ in wanted {
            date = date.flatMap { expression.next(after: $0) }
            found.append(date)
        }
        #expect(found == wanted)
    }

    @Test func `all rows are there, and so are those that differ`() throws {
        let rows = try Golden.load([Row].self, "cron")
        #expect(rows.count == 192)
        #expect(rows.filter { Self.differs($0) != nil }.count == 3)
        #expect(rows.filter { $0.error != nil && Self.accepted.contains($0.spec) }.count == 3)
        #expect(rows.filter { $0.next != nil && Self.refused.contains($0.spec) }.count == 8)
    }
}
