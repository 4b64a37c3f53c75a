import Testing

@testable import Asynq

/// How many tasks are held ready.
struct StockControllerTests {
    /// The target after many round trips of 1 ms in which handlers finish so many tasks each.
    private func target(finishedPerTrip: UInt64, limit: Int = 256) -> Int {
        var controller = StockController(limit: limit)
        var (time, finished) = (Int64(0), UInt64(0))
        for _ in 0..<100 {
            finished += finishedPerTrip
            controller.dequeued(from: time, to: time + 1_000_000, finished: finished)
            time += 1_000_000
        }
        return controller.target
    }

    @Test func `long handlers have no stock`() {
        #expect(target(finishedPerTrip: 0) == 0)
        var controller = StockController(limit: 256)
        // One task in ten seconds, at 1 ms a trip.
        for turn in Int64(1)...20 {
            let end = turn * 10_000_000_000
            controller.dequeued(from: end - 1_000_000, to: end, finished: UInt64(turn))
        }
        #expect(controller.target == 0)
    }

    @Test func `short handlers have about as many as they finish in a round trip, twice`() {
        #expect((18...20).contains(target(finishedPerTrip: 10)))
        #expect(target(finishedPerTrip: 10_000) == 256)
        #expect(target(finishedPerTrip: 10_000, limit: 7) == 7)
        #expect(target(finishedPerTrip: 10_000, limit: 0) == 0)
    }

    @Test func `handlers that have become long have no stock before they are short again`() {
        var controller = StockController(limit: 256)
        controller.dequeued(from: 0, to: 1_000_000, finished: 1000)
        #expect(controller.target > 100)
        controller.stalled()
        #expect(controller.target == 0)
        controller.dequeued(from: 200_000_000, to: 201_000_000, finished: 1001)
        #expect(controller.target == 0)
    }

    @Test func `answers that overtake each other do no harm`() {
        var controller = StockController(limit: 256)
        controller.dequeued(from: 0, to: 1_000_000, finished: 110)
        controller.dequeued(from: 0, to: 2_000_000, finished: 100)
        controller.dequeued(from: 2_000_000, to: 2_000_000, finished: 90)
        #expect(controller.target > 0)
    }
}
