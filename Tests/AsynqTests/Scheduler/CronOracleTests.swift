import Asynq
import Foundation
import TestSupport
import Testing

/// Random specs against every minute of a year and every second of a night, each looked at by itself.
struct CronOracleTests {
    private static let specs = 12

    @Test(arguments: [("Europe/Berlin", 2026), ("America/New_York", 2028), ("Australia/Lord_Howe", 2027)])
    func `in a year of minutes, random specs are due when their fields say so`(name: String, year: Int) async throws {
        let oracle = try CronOracle(zone(name), from: moment("\(year)-01-01T00:00:00Z"), hours: 366 * 24, step: 60)
        #expect(oracle.changes.count == 2)
        try await check(oracle, zone: zone(name), seconds: false)
    }

    @Test(
        arguments: [
            // Clocks that change at midnight, a day that was left out, a winter time of one month, a zone without
            // changes, and another century.
            ("America/Havana", "2026-02-25T00:00:00Z", 1), ("America/Havana", "2026-10-20T00:00:00Z", 1),
            ("Pacific/Apia", "2011-12-20T00:00:00Z", 1), ("Africa/Casablanca", "2025-02-15T00:00:00Z", 2),
            ("Asia/Kolkata", "2028-02-15T00:00:00Z", 0), ("Europe/Berlin", "2103-10-15T00:00:00Z", 1),
        ]
    )
    func `in weeks of odd changes of the clocks they are as well`(name: String, from: String, changes: Int) async throws
    {
        let oracle = try CronOracle(zone(name), from: moment(from), hours: 60 * 24, step: 60)
        #expect(oracle.changes.count == changes)
        try await check(oracle, zone: zone(name), seconds: false)
    }

    @Test(
        arguments: [
            ("Europe/Berlin", "2026-03-28T18:00:00Z"), ("Europe/Berlin", "2026-10-24T18:00:00Z"),
            ("America/New_York", "2026-11-01T00:00:00Z"), ("Australia/Lord_Howe", "2026-04-04T09:00:00Z"),
        ]
    )
    func `in hours of seconds with a change of the clocks, so are specs with seconds`(name: String, from: String)
        async throws
    {
        let oracle = try CronOracle(zone(name), from: moment(from), hours: 12, step: 1)
        #expect(oracle.changes.count == 1)
        try await check(oracle, zone: zone(name), seconds: true)
    }

    private func check(_ oracle: CronOracle, zone: TimeZone, seconds: Bool) async throws {
        var generator = SeededGenerator()
        for _ in 0..<Self.specs {
            let spec = CronOracle.Spec(using: &generator, seconds: seconds)
            let expression = try CronExpression(spec.text, timeZone: zone)
            let due = oracle.due(spec)
            // From the beginning, from some moment, and from shortly before each change.
            let starts =
                [due.startIndex, due.isEmpty ? 0 : Int.random(in: due.indices, using: &generator)]
                + oracle.changes.map { change in
                    let time = oracle.time(change) - 7200
                    return due.firstIndex { $0 >= time } ?? due.endIndex
                }
            for index in starts {
                // This takes seconds, and other tests wait for the same threads.
                await Task.yield()
                let after = index == 0 ? oracle.start - 1 : due[index - 1]
                let found = walk(expression, after: after, before: oracle.end, limit: 400)
                let place = "seed \(generator.seed), \(zone.identifier), \"\(spec.text)\" after \(after)"
                try #require(found == Array(due[index...].prefix(400)), "\(place)")
            }
        }
    }

    private func walk(_ expression: CronExpression, after: Int, before end: Int, limit: Int) -> [Int] {
        var found: [Int] = []
        var date = Date(timeIntervalSince1970: Double(after))
        while found.count < limit, let next = expression.next(after: date), Int(next.timeIntervalSince1970) <= end {
            found.append(Int(next.timeIntervalSince1970))
            date = next
        }
        return found
    }
}
