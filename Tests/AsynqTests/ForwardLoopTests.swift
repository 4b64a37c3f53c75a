import AsynqTesting
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Asynq

struct ForwardLoopTests {
    /// A tester moves its clock only when nothing is left to do: a loop that slept on it after a signal would wait for ever.
    @Test func `a signal leads to a look though the clock stands still`() async throws {
        let looks = Mutex(0)
        let isHeard = Wakeup()
        var broker = NoBroker()
        broker.look = {
            looks.withLock { $0 += 1 }
            isHeard.notify()
            return ForwardResult(moved: 0, nextDueIn: nil)
        }
        let loop = ForwardLoop(
            broker: broker,
            queues: ["default"],
            interval: .seconds(5),
            clock: LoopClock(ManualClock()),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await loop.run(watch: NoBroker.Watch()) }
            await isHeard.wait()
            loop.dueChanged("default")
            try await eventually("a second look") { looks.withLock { $0 } == 2 }
            group.cancelAll()
        }
    }
}
