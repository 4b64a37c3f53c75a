import AsynqTesting
import Foundation
import TestSupport
import Testing

@testable import Asynq

/// Three schedulers over a night on which clocks change, one of which stands still for a while.
struct SchedulerClockChangeTests {
    private struct Night: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Midnight in Berlin.
        let start: Date
        /// Seconds after it at which `30 2 * * *` runs, on two nights.
        let half: [Int64]
    }

    /// In spring there is no 02:30 on the first night, and the second begins after 23 hours; in autumn there are two.
    private static let nights = [
        Night(
            testDescription: "spring",
            start: Date(timeIntervalSince1970: 1_774_738_800),
            half: [23 * 3600 + 9000]
        ),
        Night(
            testDescription: "autumn",
            start: Date(timeIntervalSince1970: 1_792_879_200),
            half: [9000, 25 * 3600 + 9000]
        ),
    ]

    @Test(arguments: nights)
    private func `of three schedulers the leader may stand still while clocks change: each run is enqueued once`(
        night: Night
    ) async throws {
        // The time of the broker and of two schedulers; the leader has one of its own, which can stand still.
        let (clock, own) = (ManualClock(at: night.start), ManualClock(at: night.start))
        let broker = MemoryBroker(clock: clock)
        let runs = Recorder<String>()
        let berlin = try #require(TimeZone(identifier: "Europe/Berlin"))
        func scheduler(_ clock: ManualClock) throws -> AsynqScheduler {
            let configuration = schedulerConfiguration {
                $0.timeZone = berlin
                $0.leaseDuration = .minutes(5)
                $0.missedAfter = .hours(2)
                $0.postEnqueue = { _, result in
                    if case .success(let info) = result { runs.add(info.id) }
                }
            }
            let made = AsynqScheduler(MemoryBroker(sharing: broker), configuration: configuration, clock: clock)
            try made.register("30 2 * * *", AsynqTask("t"), id: "half")
            try made.register("0 * * * *", AsynqTask("t"), id: "hourly")
            return made
        }
        let leader = try scheduler(own)
        let others = [try scheduler(clock), try scheduler(clock)]
        func ids(_ entry: String, _ seconds: [Int64]) -> [String] {
            seconds.map { "\(entry):\((Int64(night.start.timeIntervalSince1970) + $0) * 1000)" }
        }
        func advance(by step: Duration, isFrozen: Bool) {
            clock.advance(by: step)
            if !isFrozen { own.advance(by: clock.now.offset - own.now.offset) }
        }
        /// Moves time on until all that is due up to the end of an hour has been enqueued.
        func pass(_ hours: ClosedRange<Int64>, isFrozen: Bool) async throws {
            for hour in hours {
                while clock.now.offset < .hours(hour) {
                    advance(by: .seconds(60), isFrozen: isFrozen)
                    await Task.yield()
                }
                let wanted =
                    ids("hourly", (1...hour).map { $0 * 3600 })
                    + ids("half", night.half.filter { $0 <= hour * 3600 })
                try await eventually("the runs up to hour \(hour)") {
                    advance(by: .seconds(1), isFrozen: isFrozen)
                    return Set(wanted).isSubset(of: runs.elements)
                }
            }
        }
        try await running(leader) {
            try await eventually("it is at work") { leader.isAtWork }
            try await running(others[0]) {
                try await running(others[1]) {
                    try await pass(1...1, isFrozen: false)
                    // Over the change, and the first 02:30.
                    try await pass(2...5, isFrozen: true)
                    #expect(others.contains { $0.isAtWork })
                    // It goes on, with all of that behind it.
                    try await pass(6...28, isFrozen: false)
                }
            }
        }
        let wanted = ids("hourly", (1...28).map { $0 * 3600 }) + ids("half", night.half)
        #expect(runs.elements.sorted() == wanted.sorted())
    }
}
