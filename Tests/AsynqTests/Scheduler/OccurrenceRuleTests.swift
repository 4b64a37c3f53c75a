import Foundation
import Testing

@testable import Asynq

/// The times of an entry, forward and back.
struct OccurrenceRuleTests {
    private func rule(_ spec: String, _ zone: String = "UTC") throws -> OccurrenceRule {
        OccurrenceRule(try CronExpression(spec, timeZone: #require(TimeZone(identifier: zone))))
    }

    private func milliseconds(_ text: String) throws -> Int64 {
        Int64(try Date(text, strategy: .iso8601).timeIntervalSince1970) * 1000
    }

    @Test func `an interval counts from the mark, not from the moment`() throws {
        let rule = try rule("@every 90m")
        let mark = try milliseconds("2026-01-01T10:00:00Z")
        let moment = try milliseconds("2026-01-01T14:00:01Z")
        #expect(rule.next(after: mark, mark: mark) == mark + 90 * 60_000)
        #expect(rule.next(after: moment, mark: mark) == mark + 3 * 90 * 60_000)
        #expect(rule.last(upTo: moment, mark: mark) == mark + 2 * 90 * 60_000)
        #expect(rule.last(upTo: mark + 90 * 60_000, mark: mark) == mark + 90 * 60_000)
        #expect(rule.last(upTo: mark + 90 * 60_000 - 1, mark: mark) == nil)
        #expect(rule.last(upTo: mark - 1, mark: mark) == nil)
    }

    @Test(arguments: [
        ("*/7 * * * *", "UTC"), ("* * * * * *", "UTC"), ("0 0 29 2 *", "UTC"), ("0 9 * * mon-fri", "Europe/Berlin"),
        ("30 2 * * *", "Europe/Berlin"), ("*/30 * * * *", "Europe/Berlin"), ("30 1 * * *", "America/New_York"),
        ("15 2 * * *", "Australia/Lord_Howe"), ("10-20 0 3 * * *", "UTC"), ("0 0 30 2 *", "UTC"),
    ])
    func `the last time up to a moment is the one before the next`(spec: String, zone: String) throws {
        let rule = try rule(spec, zone)
        // Both changes of the clocks of a year are near.
        for start in ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z", "2026-11-01T00:00:00Z", "2026-04-04T10:00:00Z"] {
            let mark = try milliseconds(start)
            var times: [Int64] = []
            while times.count < 200, let next = rule.next(after: times.last ?? mark, mark: mark),
                next < mark + 100 * 86_400_000
            {
                times.append(next)
            }
            for (index, time) in times.enumerated() {
                #expect(rule.last(upTo: time, mark: mark) == time)
                #expect(rule.last(upTo: time + 999, mark: mark) == time)
                #expect(rule.last(upTo: time - 1, mark: mark) == (index == 0 ? nil : times[index - 1]))
                #expect(rule.isTime(time) && !rule.isTime(time + 1))
            }
            if times.isEmpty { #expect(rule.last(upTo: mark + 86_400_000, mark: mark) == nil) }
        }
    }
}
