import Foundation
import Testing

@testable import Asynq

/// What is due, what is late and what is missed, without a clock and a broker.
struct ScheduleTableTests {
    /// 2026-01-01T00:00:00Z.
    private static let start: Int64 = 1_767_225_600_000
    private static let minute: Int64 = 60_000
    private static let hour: Int64 = 3_600_000

    private func entry(_ spec: String = "@hourly", id: String = "e", missed: MissedRuns = .skip) throws -> PeriodicEntry
    {
        try PeriodicEntry(PeriodicTaskConfig(spec, AsynqTask("t"), id: id, missed: missed), timeZone: .gmt)
    }

    /// A table with one entry, whose mark is at the start.
    private func table(_ spec: String = "@hourly", missed: MissedRuns = .skip) throws -> ScheduleTable {
        var table = ScheduleTable(missedAfter: .seconds(60))
        try table.change(adding: [try entry(spec, missed: missed)], removing: [])
        table.readAll(mark: Self.start, now: Self.start)
        return table
    }

    @Test func `an entry is due at its times, once at each`() throws {
        var table = try table()
        #expect(table.run(at: Self.start) == [])
        #expect(table.turn(now: Self.start, limit: 10).nextAt == Self.start + Self.hour)
        #expect(table.run(at: Self.start + Self.hour - 1) == [])
        #expect(table.run(at: Self.start + Self.hour) == [Self.start + Self.hour])
        #expect(table.run(at: Self.start + Self.hour) == [])
        #expect(table.run(at: Self.start + 2 * Self.hour + 59_000) == [Self.start + 2 * Self.hour])
    }

    @Test func `an entry that is never due has no next time`() throws {
        var table = try table("0 0 30 2 *")
        let turn = table.turn(now: Self.start, limit: 10)
        #expect(turn.due.isEmpty && turn.nextAt == nil)
    }

    @Test func `what is late but not missed is made up for, each time of it`() throws {
        var table = try table("*/10 * * * * *")
        let times = (1...6).map { Self.start + $0 * 10_000 }
        #expect(table.run(at: Self.start + 60_000) == times)
    }

    @Test func `missed times are left out by default, and reported once`() throws {
        var table = try table()
        let now = Self.start + 5 * Self.hour + 30 * Self.minute
        let turn = table.turn(now: now, limit: 10)
        #expect(turn.due.isEmpty)
        #expect(turn.dropped.map(\.time) == [Self.start + 5 * Self.hour])
        #expect(turn.nextAt == Self.start + 6 * Self.hour)
        #expect(table.turn(now: now, limit: 10).dropped.isEmpty)
        #expect(table.run(at: Self.start + 6 * Self.hour) == [Self.start + 6 * Self.hour])
    }

    @Test func `of missed times the latest is made up for once`() throws {
        var table = try table(missed: .one)
        let now = Self.start + 5 * Self.hour + 30 * Self.minute
        #expect(table.run(at: now) == [Self.start + 5 * Self.hour])
        #expect(table.run(at: now + Self.hour) == [Self.start + 6 * Self.hour])
        // One that is merely late stands for those before.
        #expect(table.run(at: Self.start + 9 * Self.hour + 20_000) == [Self.start + 9 * Self.hour])
    }

    @Test func `all missed times are made up for in order, the latest of them if there are too many`() throws {
        var table = try table(missed: .all(limit: 3))
        let now = Self.start + 5 * Self.hour + 30 * Self.minute
        var dropped: [Int64] = []
        #expect(table.run(at: now, dropped: &dropped) == (3...5).map { Self.start + $0 * Self.hour })
        #expect(dropped == [Self.start + 2 * Self.hour])
        #expect(table.run(at: Self.start + 6 * Self.hour) == [Self.start + 6 * Self.hour])
        var whole = try self.table(missed: .all)
        #expect(whole.run(at: now) == (1...5).map { Self.start + $0 * Self.hour })
        #expect(MissedRuns.all(limit: 0) == .all(limit: 1) && MissedRuns.all(limit: 5000) == .all(limit: 1000))
    }

    @Test func `an interval keeps its beat over missed times`() throws {
        var table = try table("@every 45m")
        #expect(table.run(at: Self.start + 10 * Self.hour + Self.minute * 2) == [])
        #expect(
            table.turn(now: Self.start + 10 * Self.hour + Self.minute * 2, limit: 1).nextAt
                == Self.start + 14 * 45 * Self.minute
        )
    }

    @Test func `a clock that is set back repeats nothing, one that is set forward loses nothing that is late`() throws {
        var table = try table("*/5 * * * *")
        #expect(table.run(at: Self.start + 5 * Self.minute) == [Self.start + 5 * Self.minute])
        #expect(table.run(at: Self.start - Self.hour) == [])
        #expect(table.run(at: Self.start + 5 * Self.minute) == [])
        #expect(table.run(at: Self.start + 10 * Self.minute + 60_000) == [Self.start + 10 * Self.minute])
    }

    @Test func `a failed attempt is repeated, later each time, until its time is missed`() throws {
        var table = try table()
        let time = Self.start + Self.hour
        var now = time
        var waits: [Int64] = []
        var dropped: [ScheduleTable.Dropped] = []
        for attempt in 0..<100 {
            let turn = table.turn(now: now, limit: 10)
            dropped = turn.dropped
            guard let due = turn.due.first else { break }
            #expect(due.time == time && due.isRepeated == (attempt > 0))
            table.postpone(due.ticket, after: now, error: AsynqError(.brokerUnavailable, "away"))
            let next = try #require(table.turn(now: now, limit: 10).nextAt)
            waits.append(next - now)
            now = next
        }
        #expect(waits.prefix(8) == [100, 200, 400, 800, 1600, 3200, 5000, 5000])
        #expect(waits.reduce(0, +) > 60_000 && waits.reduce(0, +) < 70_000)
        #expect(dropped.map(\.time) == [time] && dropped.first?.error?.code == .brokerUnavailable)
        #expect(table.run(at: time + Self.hour) == [time + Self.hour])
    }

    @Test func `while attempts fail newer times take the place of missed ones`() throws {
        var table = try table(missed: .one)
        var now = Self.start + 3 * Self.hour + 30 * Self.minute
        for hour in [3, 8, 8] as [Int64] {
            let due = try #require(table.turn(now: now, limit: 10).due.first)
            #expect(due.time == Self.start + hour * Self.hour)
            table.postpone(due.ticket, after: now, error: AsynqError(.brokerUnavailable, "away"))
            now = max(now + 5000, Self.start + 8 * Self.hour + 30 * Self.minute)
        }
        #expect(table.run(at: now + 5000) == [Self.start + 8 * Self.hour])
    }

    @Test func `one that was too early comes again when it is told to`() throws {
        var table = try table()
        let time = Self.start + Self.hour
        let due = try #require(table.turn(now: time, limit: 10).due.first)
        table.postpone(due.ticket, until: time + 250)
        #expect(table.turn(now: time + 249, limit: 10).due.isEmpty)
        let again = try #require(table.turn(now: time + 250, limit: 10).due.first)
        #expect(again.time == time && !again.isRepeated)
    }

    @Test func `what another scheduler has settled is passed over`() throws {
        var table = try table()
        let due = try #require(table.turn(now: Self.start + Self.hour, limit: 10).due.first)
        table.settle(due.ticket, at: Self.start + 3 * Self.hour, isEnqueued: true)
        #expect(table.turn(now: Self.start + Self.hour, limit: 10).nextAt == Self.start + 4 * Self.hour)
        #expect(table.shown.first?.previousEnqueueAt == Date(milliseconds: Self.start + 3 * Self.hour))
    }

    @Test func `an entry is handed out once, and not at all after it was removed`() throws {
        var table = try table()
        let now = Self.start + Self.hour
        let due = try #require(table.turn(now: now, limit: 10).due.first)
        #expect(table.turn(now: now, limit: 10).due.isEmpty)
        try table.change(adding: [], removing: ["e"])
        table.settle(due.ticket, at: now, isEnqueued: true)
        #expect(table.turn(now: now + Self.hour, limit: 10).due.isEmpty && table.shown.isEmpty)
        // Another one of the same id is not taken for it.
        try table.change(adding: [try entry()], removing: [])
        table.settle(due.ticket, at: now, isEnqueued: true)
        #expect(table.turn(now: now, limit: 10).unread.count == 1)
    }

    @Test func `all marks are read again when another may have been at work`() throws {
        var table = try table()
        let due = try #require(table.turn(now: Self.start + Self.hour, limit: 10).due.first)
        table.makeUnread()
        table.settle(due.ticket, at: due.time, isEnqueued: true)
        let turn = table.turn(now: Self.start + Self.hour, limit: 10)
        #expect(turn.unread.count == 1 && turn.due.isEmpty)
        table.arm(turn.unread[0], mark: Self.start + Self.hour)
        #expect(table.shown.first?.previousEnqueueAt == Date(milliseconds: Self.start + Self.hour))
        #expect(table.run(at: Self.start + 2 * Self.hour) == [Self.start + 2 * Self.hour])
    }

    @Test func `what was left out stays so when the marks are read again`() throws {
        var table = try table()
        let now = Self.start + 5 * Self.hour + 30 * Self.minute
        #expect(table.run(at: now) == [])
        table.makeUnread()
        table.readAll(mark: Self.start, now: now)
        let turn = table.turn(now: now, limit: 10)
        #expect(turn.due.isEmpty && turn.dropped.isEmpty && turn.nextAt == Self.start + 6 * Self.hour)
    }

    @Test func `a change is made whole or not at all`() throws {
        var table = try table()
        let group = table.currentGroup()
        let duplicate = try #require(throws: AsynqError.self) {
            try table.change(adding: [try entry(id: "f"), try entry(id: "e")], removing: [])
        }
        #expect(duplicate.code == .duplicateEntry)
        let twice = try #require(throws: AsynqError.self) {
            try table.change(adding: [try entry(id: "f"), try entry(id: "f")], removing: [])
        }
        #expect(twice.code == .duplicateEntry)
        let unknown = try #require(throws: AsynqError.self) {
            try table.change(adding: [try entry(id: "f")], removing: ["x"])
        }
        #expect(unknown.code == .entryNotFound)
        #expect(table.shown.map(\.id) == ["e"] && table.currentGroup() == group)
        try table.change(adding: [try entry("@daily", id: "e"), try entry(id: "f")], removing: ["e"])
        #expect(table.shown.map(\.spec) == ["@daily", "@hourly"])
    }

    @Test func `the same entries are the same group, in whatever order they came`() throws {
        var (one, other) = (ScheduleTable(missedAfter: .seconds(60)), ScheduleTable(missedAfter: .seconds(60)))
        #expect(one.currentGroup() == nil)
        let entries = try (0..<10).map { try entry(id: "\($0)") }
        try one.change(adding: entries, removing: [])
        for entry in entries.reversed() { try other.change(adding: [entry], removing: []) }
        #expect(one.currentGroup() != nil && one.currentGroup() == other.currentGroup())
        try other.change(adding: [], removing: ["3"])
        #expect(one.currentGroup() != other.currentGroup())
    }

    @Test func `ten thousand entries are dealt with in pieces, and none is left out`() throws {
        var table = ScheduleTable(missedAfter: .seconds(60))
        try table.change(adding: try (0..<10_000).map { try entry("* * * * *", id: "\($0)") }, removing: [])
        table.readAll(mark: Self.start, now: Self.start)
        for minute in 1...3 {
            let now = Self.start + Int64(minute) * Self.minute
            var ids: Set<String> = []
            while true {
                let turn = table.turn(now: now, limit: 2048)
                if turn.due.isEmpty { break }
                #expect(turn.due.count <= 2048)
                for due in turn.due {
                    #expect(ids.insert(due.ticket.entry.id).inserted)
                    table.settle(due.ticket, at: due.time, isEnqueued: true)
                }
            }
            #expect(ids.count == 10_000)
        }
    }
}

extension ScheduleTable {
    fileprivate mutating func readAll(mark: Int64, now: Int64) {
        while true {
            let turn = turn(now: now, limit: 1000)
            if turn.unread.isEmpty { return }
            for ticket in turn.unread { arm(ticket, mark: mark) }
        }
    }

    /// Enqueues all that is due. Returns its times.
    fileprivate mutating func run(at now: Int64) -> [Int64] {
        var dropped: [Int64] = []
        return run(at: now, dropped: &dropped)
    }

    fileprivate mutating func run(at now: Int64, dropped: inout [Int64]) -> [Int64] {
        var times: [Int64] = []
        while true {
            let turn = turn(now: now, limit: 1000)
            dropped += turn.dropped.map(\.time)
            if turn.due.isEmpty { return times }
            for due in turn.due {
                times.append(due.time)
                settle(due.ticket, at: due.time, isEnqueued: true)
            }
        }
    }
}
