import Asynq
import AsynqSQLite
import Foundation
import Synchronization
import TestSupport
import Testing

/// A scheduler whose broker's clock is set while it runs.
struct SchedulerClockTests {
    /// A clock that is set, and goes on from there.
    private final class SetClock: Sendable {
        private let state: Mutex<(base: Date, at: ContinuousClock.Instant, looks: Int)>

        init(_ date: Date) {
            state = Mutex((date, .now, 0))
        }

        /// Unix microseconds.
        var time: Int64 {
            state.withLock { state in
                state.looks += 1
                let passed = state.at.duration(to: .now)
                return Int64(state.base.timeIntervalSince1970) * 1_000_000 + passed.nanosecondsClamped / 1000
            }
        }

        var looks: Int { state.withLock { $0.looks } }

        func set(_ date: Date) { state.withLock { $0 = (date, .now, $0.looks) } }
    }

    @Test func `a clock that is set forward and back neither doubles runs nor loses late ones`() async throws {
        /// 2026-01-01T10:00:00Z.
        let ten = Date(timeIntervalSince1970: 1_767_261_600)
        func moment(_ hours: Double, _ seconds: Double = 0) -> Date { ten.addingTimeInterval(hours * 3600 + seconds) }
        let clock = SetClock(ten)
        let folder = try TemporaryFolder()
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent) { clock.time }
        let times = Recorder<Date>()
        var configuration = AsynqScheduler.Configuration()
        configuration.handlesSignals = false
        configuration.logger = .silent
        configuration.leaseDuration = .seconds(1)
        configuration.postEnqueue = { run, _ in times.add(run.time) }
        let scheduler = AsynqScheduler(broker, configuration: configuration)
        try scheduler.register("@hourly", AsynqTask("t"), id: "e")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await scheduler.run() }
            try await eventually("the entry is armed") {
                try await broker.schedulerEntries().first?.nextEnqueueAt == moment(1)
            }
            clock.set(moment(1, 5))
            await times.wait(for: 1)
            // Back: the scheduler looks, and has nothing to do, at the same time either when it comes again.
            for date in [moment(0.5), moment(1, 10)] {
                clock.set(date)
                let looks = clock.looks
                try await eventually("it looks at the clock") { clock.looks > looks + 5 }
            }
            clock.set(moment(2, 30))
            await times.wait(for: 2)
            // Beyond what is merely late: missed, and left out.
            clock.set(moment(3, 1800))
            let looks = clock.looks
            try await eventually("it looks at the clock") { clock.looks > looks + 5 }
            clock.set(moment(4, 1))
            await times.wait(for: 3)
            scheduler.shutdown()
            try await group.waitForAll()
        }
        #expect(times.elements == [moment(1), moment(2), moment(4)])
        await broker.shutdown()
    }
}
