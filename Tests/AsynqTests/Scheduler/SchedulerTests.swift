import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Asynq

/// Schedulers in memory, by a clock that the tests move.
struct SchedulerTests {
    private let clock: ManualClock
    private let broker: MemoryBroker
    private let runs = Recorder<String>()

    init() {
        clock = ManualClock(at: newYear)
        broker = MemoryBroker(clock: clock)
    }

    private struct Report: TaskPayload {
        static let taskType = "report"
        static let options: [TaskOption] = [.queue("reports")]
        var name: String
    }

    /// A scheduler that notes its runs.
    private func scheduler(
        _ broker: MemoryBroker? = nil,
        _ change: (inout AsynqScheduler.Configuration) -> Void = { _ in }
    ) -> AsynqScheduler {
        let runs = runs
        let configuration = schedulerConfiguration {
            $0.postEnqueue = { run, result in
                switch result {
                case .success(let info): runs.add("\(info.id)")
                case .failure(let error): runs.add("\(run.taskID): \(error.code)")
                }
            }
            change(&$0)
        }
        return AsynqScheduler(broker ?? self.broker, configuration: configuration, clock: clock)
    }

    private func id(_ entry: String, _ seconds: Int64) -> String {
        "\(entry):\((Int64(newYear.timeIntervalSince1970) + seconds) * 1000)"
    }

    @Test func `a task is enqueued at each time of its entry, and its history kept when the scheduler ends`()
        async throws
    {
        let before = Recorder<PeriodicRun>()
        let scheduler = scheduler { $0.preEnqueue = { before.add($0) } }
        let entry = try scheduler.register("*/5 * * * *", Report(name: "a"), .maxRetry(3), id: "e")
        #expect(entry == "e")
        try await running(scheduler) {
            try await broker.waitForEntries(1)
            let shown = try await broker.schedulerEntries()[0]
            #expect(shown.spec == "*/5 * * * *" && shown.taskType == "report")
            #expect(shown.options == ["Queue(\"reports\")", "MaxRetry(3)"])
            #expect(shown.nextEnqueueAt == newYear.addingTimeInterval(300))
            for number in 1...3 {
                clock.advance(by: .minutes(5))
                await runs.wait(for: number)
            }
            try await eventually("three events are recorded") {
                try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 10).count == 3
            }
        }
        #expect(runs.elements == [300, 600, 900].map { id("e", $0) })
        #expect(before.elements.map(\.taskID) == runs.elements)
        #expect(before.elements.map(\.time) == [300, 600, 900].map { newYear.addingTimeInterval($0) })
        #expect(try broker.enqueued(Report.self).count == 3)
        #expect(broker.tasks(in: .pending, queue: "reports").map(\.maxRetry) == [3, 3, 3])
        // 18: a shutdown takes the entries out of sight, and leaves their history.
        #expect(try await broker.schedulerEntries() == [])
        let events = try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 10)
        #expect(events.map(\.taskID) == runs.elements.reversed())
        #expect(events.first?.enqueuedAt == newYear.addingTimeInterval(900))
    }

    @Test func `17: two schedulers with the same entries enqueue each run once, and one takes over from the other`()
        async throws
    {
        let change: (inout AsynqScheduler.Configuration) -> Void = { $0.leaseDuration = .seconds(30) }
        let first = scheduler(MemoryBroker(sharing: broker), change)
        let second = scheduler(MemoryBroker(sharing: broker), change)
        for scheduler in [first, second] {
            try scheduler.register("* * * * *", AsynqTask("t"), id: "a")
            try scheduler.register("*/20 * * * * *", AsynqTask("t"), id: "b")
        }
        try await running(second) {
            try await running(first) {
                try await eventually("one is at work") { first.isAtWork != second.isAtWork }
                try await broker.waitForEntries(2)
                for step in 1...12 {
                    clock.advance(by: .seconds(10))
                    let seconds = step * 10
                    await runs.wait(for: seconds / 60 + seconds / 20)
                }
                try await broker.waitForEntries(2)
            }
            // The lease is free now, or was the second one's all along.
            for step in 13...24 {
                clock.advance(by: .seconds(10))
                let seconds = step * 10
                await runs.wait(for: seconds / 60 + seconds / 20)
            }
            #expect(second.isAtWork && !first.isAtWork)
        }
        let times = (1...12).map { Int64($0 * 20) }
        #expect(
            runs.elements.sorted() == (times.map { id("b", $0) } + [60, 120, 180, 240].map { id("a", $0) }).sorted()
        )
        #expect(broker.enqueued.count == 16)
    }

    @Test func `a scheduler that was paused repeats nothing when it goes on`() async throws {
        let first = scheduler(MemoryBroker(sharing: broker))
        try first.register("@every 1m", AsynqTask("t"), id: "e")
        try await running(first) {
            try await broker.waitForEntries(1)
            // As one that has gone on meanwhile.
            let marks = await broker.entryMarks([EntryReference(entryID: "e", queue: "default")])
            let mark = try marks[0].get()
            clock.advance(by: .seconds(59))
            let message = TaskMessage(type: "t", payload: nil, id: "other", queue: "default")
            let occurrence = EntryOccurrence(
                entryID: "e",
                time: mark + 59_000,
                request: EnqueueRequest(message: message)
            )
            _ = try await broker.enqueueOccurrences([occurrence])[0].get()
            clock.advance(by: .seconds(60))
            await runs.wait(for: 1)
        }
        // The interval counts from what the other did.
        #expect(runs.elements == [id("e", 119)])
    }

    @Test func `schedulers with other entries do not keep each other from their work`() async throws {
        let (one, other) = (scheduler(MemoryBroker(sharing: broker)), scheduler(MemoryBroker(sharing: broker)))
        try one.register("* * * * *", AsynqTask("t"), id: "a")
        try other.register("* * * * *", AsynqTask("t"), id: "b")
        // As in two versions of a program.
        for scheduler in [one, other] { try scheduler.register("* * * * *", AsynqTask("t"), id: "shared") }
        try await running(one) {
            try await running(other) {
                try await broker.waitForEntries(4)
                #expect(one.isAtWork && other.isAtWork)
                for minute in 1...3 {
                    clock.advance(by: .minutes(1))
                    await runs.wait(for: 3 * minute)
                }
            }
        }
        let expected = ["a", "b", "shared"].flatMap { entry in [60, 120, 180].map { id(entry, $0) } }
        #expect(runs.elements.sorted() == expected.sorted())
    }

    @Test func `entries are added and removed while the scheduler runs`() async throws {
        let scheduler = scheduler()
        try await running(scheduler) {
            let id = try scheduler.register("* * * * *", AsynqTask("a"))
            try await broker.waitForEntries(1)
            clock.advance(by: .minutes(1))
            await runs.wait(for: 1)
            try scheduler.register("*/30 * * * * *", AsynqTask("b"))
            try await broker.waitForEntries(2)
            try scheduler.unregister(id)
            try await broker.waitForEntries(1)
            clock.advance(by: .minutes(1))
            await runs.wait(for: 3)
            let unknown = #expect(throws: AsynqError.self) { try scheduler.unregister(id) }
            #expect(unknown?.code == .entryNotFound)
        }
        #expect(broker.enqueued.map(\.type) == ["a", "b", "b"])
    }

    @Test func `two registrations of the same are an error, with ids of their own they are two`() throws {
        let scheduler = scheduler()
        let id = try scheduler.register("@daily", Report(name: "a"))
        let error = #expect(throws: AsynqError.self) { try scheduler.register("@daily", Report(name: "a")) }
        #expect(error?.code == .duplicateEntry && error?.message.contains(id) == true)
        try scheduler.register("@daily", Report(name: "a"), id: "second")
        let invalid = #expect(throws: AsynqError.self) { try scheduler.register("@dayly", Report(name: "a")) }
        #expect(invalid?.code == .invalidArgument)
    }

    @Test func `runs that were missed while no scheduler was there are made up for as each entry says`() async throws {
        func register(_ scheduler: AsynqScheduler) throws {
            try scheduler.register("@hourly", AsynqTask("t"), id: "skip")
            try scheduler.register("@hourly", AsynqTask("t"), id: "one", missed: .one)
            try scheduler.register("@hourly", AsynqTask("t"), id: "all", missed: .all)
            try scheduler.register("@every 50m", AsynqTask("t"), id: "beat", missed: .one)
        }
        let first = scheduler()
        try register(first)
        try await running(first) { try await broker.waitForEntries(4) }
        clock.advance(by: .minutes(3 * 60 + 30))
        let second = scheduler()
        try register(second)
        try await running(second) {
            await runs.wait(for: 5)
            try await broker.waitForEntries(4)
            clock.advance(by: .minutes(30))
            await runs.wait(for: 8)
        }
        let (hours, minute): ([Int64], Int64) = ([3600, 7200, 10_800], 60)
        #expect(
            runs.elements.prefix(5).sorted()
                == (hours.map { id("all", $0) } + [id("one", 10_800), id("beat", 200 * minute)]).sorted()
        )
        #expect(runs.elements.dropFirst(5).sorted() == ["all", "one", "skip"].map { id($0, 14_400) })
    }

    @Test func `a unique task that is refused is reported, and holds up nothing`() async throws {
        let scheduler = scheduler()
        try scheduler.register("* * * * *", AsynqTask("t"), .unique(for: .seconds(150)), id: "u")
        try scheduler.register("* * * * *", AsynqTask("t"), .taskID("one at a time"), id: "n")
        try scheduler.register("* * * * *", AsynqTask("other"), id: "o")
        try await running(scheduler) {
            try await broker.waitForEntries(3)
            for minute in 1...4 {
                clock.advance(by: .minutes(1))
                await runs.wait(for: 3 * minute)
            }
        }
        #expect(runs.elements.filter { $0.hasPrefix("o:") }.count == 4)
        #expect(
            runs.elements.filter { $0.hasPrefix("u:") }
                == [id("u", 60), id("u", 120) + ": duplicateTask", id("u", 180) + ": duplicateTask", id("u", 240)]
        )
        #expect(
            runs.elements.filter { $0.hasPrefix("one") }
                == ["one at a time"] + Array(repeating: "one at a time: taskIDConflict", count: 3)
        )
    }

    @Test func `a broker that fails is asked again, and each run is reported once`() async throws {
        let schedules = FlakySchedules(broker)
        let before = Recorder<String>()
        let runs = runs
        let configuration = schedulerConfiguration {
            $0.preEnqueue = { before.add($0.taskID) }
            $0.postEnqueue = { run, result in
                runs.add(run.taskID + ((try? result.get()) == nil ? ": failed" : ""))
            }
            $0.leaseDuration = .seconds(30)
            // However often the clock is moved meanwhile.
            $0.missedAfter = .hours(24)
        }
        let engine = SchedulerEngine(broker: schedules, configuration: configuration, clock: LoopClock(clock))
        let config = PeriodicTaskConfig("* * * * *", AsynqTask("t"), id: "e")
        try engine.change(adding: [try PeriodicEntry(config, timeZone: .gmt)], removing: [])
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.run() }
            group.addTask { [clock, broker] in
                defer { engine.requestShutdown() }
                try await broker.waitForEntries(1)
                schedules.faults.withLock { $0 = [.refused, .answerLost] }
                clock.advance(by: .minutes(1))
                try await eventually("all faults have struck") {
                    clock.advance(by: .milliseconds(100))
                    return schedules.faults.withLock { $0.isEmpty }
                }
                try await eventually("the run is reported") {
                    clock.advance(by: .milliseconds(100))
                    return runs.count == 1
                }
            }
            do {
                try await group.waitForAll()
            } catch {
                Issue.record(error)
            }
        }
        #expect(runs.elements == [id("e", 60)] && before.elements == runs.elements)
        #expect(broker.enqueued.count == 1)
        #expect(try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 10).map(\.taskID) == runs.elements)
    }

    @Test func `a scheduler runs once, and its settings are checked`() async throws {
        let scheduler = scheduler()
        try scheduler.register("@daily", AsynqTask("t"))
        try await running(scheduler) {
            try await eventually("it runs") { scheduler.isAtWork }
            let second = await #expect(throws: AsynqError.self) { try await scheduler.run() }
            #expect(second?.code == .serverClosed)
        }
        let again = await #expect(throws: AsynqError.self) { try await scheduler.run() }
        #expect(again?.code == .serverClosed)
        for change: (inout AsynqScheduler.Configuration) -> Void in [
            { $0.leaseDuration = .milliseconds(999) }, { $0.missedAfter = $0.leaseDuration },
            { $0.heartbeatInterval = .zero },
        ] {
            let wrong = self.scheduler(nil, change)
            let error = await #expect(throws: AsynqError.self) { try await wrong.run() }
            #expect(error?.code == .invalidArgument)
        }
    }
}
