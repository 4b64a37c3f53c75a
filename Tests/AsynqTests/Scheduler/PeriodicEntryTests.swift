import Foundation
import Testing

@testable import Asynq

/// What identifies an entry, and what it enqueues.
struct PeriodicEntryTests {
    private func entry(
        _ spec: String = "0 9 * * *",
        _ task: AsynqTask = AsynqTask("t", payload: [1]),
        options: [TaskOption] = [],
        id: String? = nil,
        timeZone: String? = nil,
        missed: MissedRuns = .skip
    ) throws -> PeriodicEntry {
        let zone = try timeZone.map { try #require(TimeZone(identifier: $0)) }
        return try PeriodicEntry(
            PeriodicTaskConfig(spec, task, options: options, id: id, timeZone: zone, missed: missed),
            timeZone: .gmt
        )
    }

    @Test func `equal entries have equal ids, in every process and after a restart`() throws {
        let id = try entry().id
        #expect(id == "1232ad65-328b-894d-95b1-4751cb73ff6b")
        #expect(try entry(missed: .one).id == id)
        #expect(try entry("0 9 * * *", AsynqTask("t", payload: [1], .queue("low"))).id != id)
        #expect(
            try entry("0 9 * * *", AsynqTask("t", payload: [1], .queue("low"))).id
                == entry(options: [.queue("low")]).id
        )
    }

    @Test func `entries that differ have different ids`() throws {
        let entries = [
            try entry(), try entry("0 8 * * *"), try entry(timeZone: "Europe/Berlin"), try entry("@every 1h"),
            try entry("0 9 * * *", AsynqTask("u", payload: [1])), try entry("0 9 * * *", AsynqTask("t", payload: [2])),
            try entry("0 9 * * *", AsynqTask("t")), try entry("0 9 * * *", AsynqTask("t", payload: [])),
            try entry("0 9 * * *", AsynqTask("t", payload: [1], headers: ["a": "b"])),
            try entry("0 9 * * *", AsynqTask("t", payload: [1], headers: ["ab": ""])),
            try entry(options: [.queue("low")]), try entry(options: [.maxRetry(3)]), try entry(id: "mine"),
        ]
        #expect(Set(entries.map(\.id)).count == entries.count)
        #expect(entries.last?.id == "mine")
    }

    @Test func `inspectors see the spec with its time zone, and the options as Go writes them`() throws {
        let shown = try entry(options: [.queue("low"), .maxRetry(3)], timeZone: "Europe/Berlin")
            .shown(next: 1_893_456_000_000, previous: nil)
        #expect(shown.spec == "CRON_TZ=Europe/Berlin 0 9 * * *")
        #expect(shown.options == ["Queue(\"low\")", "MaxRetry(3)"])
        #expect(shown.taskType == "t" && shown.payload == [1])
        #expect(shown.nextEnqueueAt == Date(timeIntervalSince1970: 1_893_456_000) && shown.previousEnqueueAt == nil)
        #expect(try entry("@every 1h", timeZone: "Europe/Berlin").spec == "@every 1h")
        #expect(try entry("TZ=Asia/Tokyo 0 9 * * *", timeZone: "Europe/Berlin").spec == "TZ=Asia/Tokyo 0 9 * * *")
        #expect(try entry(timeZone: "UTC").spec == "0 9 * * *")
    }

    @Test func `each run has an id that follows from entry and time, unless the options name one`() throws {
        let entry = try entry(options: [.queue("low"), .unique(for: .minutes(5))], id: "e")
        let occurrence = entry.occurrence(at: 60_000)
        #expect(occurrence.request.message.id == "e:60000" && occurrence.request.message.queue == "low")
        #expect(occurrence.request.uniqueFor == .minutes(5))
        let named = try self.entry(options: [.taskID("one at a time")])
        #expect(named.occurrence(at: 60_000).request.message.id == "one at a time")
    }

    @Test(arguments: [
        PeriodicTaskConfig("61 * * * *", AsynqTask("t")), PeriodicTaskConfig("* * * * *", AsynqTask(" ")),
        PeriodicTaskConfig("@daily", AsynqTask("t", .queue(""))), PeriodicTaskConfig("@daily", AsynqTask("t"), id: " "),
    ])
    func `what is wrong is refused when it is registered`(config: PeriodicTaskConfig) {
        let error = #expect(throws: AsynqError.self) { try PeriodicEntry(config, timeZone: .gmt) }
        #expect(error?.code == .invalidArgument)
    }
}
