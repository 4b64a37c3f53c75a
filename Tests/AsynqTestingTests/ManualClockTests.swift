import AsynqTesting
import Foundation
import Testing

struct ManualClockTests {
    @Test func `sleepers wake in the order of their times, and only when it is time`() async throws {
        let clock = ManualClock()
        let woken = Journal()
        await withThrowingTaskGroup(of: Void.self) { group in
            for hours in [3, 1, 2] {
                group.addTask {
                    try await clock.sleep(for: .seconds(hours * 3600))
                    woken.add("\(hours) h")
                }
            }
            for hour in 1...3 {
                while clock.sleeperCount < 4 - hour { await Task.yield() }
                #expect(woken.all == (1..<hour).map { "\($0) h" })
                clock.advance(by: .seconds(3600))
                while woken.all.count < hour { await Task.yield() }
            }
        }
        #expect(woken.all == ["1 h", "2 h", "3 h"])
    }

    @Test func `a sleep that is cancelled throws at once, before or after it has begun`() async throws {
        let clock = ManualClock()
        let asleep = Task { try await clock.sleep(for: .seconds(1)) }
        while clock.sleeperCount < 1 { await Task.yield() }
        asleep.cancel()
        await #expect(throws: CancellationError.self) { try await asleep.value }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(for: .seconds(1))
        }
        await #expect(throws: CancellationError.self) { try await early.value }
        #expect(clock.sleeperCount == 0)
    }

    @Test func `the time of day moves with it`() {
        let clock = ManualClock()
        let start = clock.date
        clock.advance(by: .milliseconds(1500))
        #expect(clock.date.timeIntervalSince(start) == 1.5)
    }
}
