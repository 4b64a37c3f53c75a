import Testing

@testable import Asynq

/// Which queues are asked for how many tasks (spec 2, "Server").
struct FetchPlannerTests {
    private func total(_ planner: inout FetchPlanner, draws: Int, slots: Int) -> [String: Int] {
        var total: [String: Int] = [:]
        for _ in 0..<draws {
            let requests = planner.draw(slots)
            #expect(requests.reduce(0) { $0 + $1.limit } == slots)
            for request in requests {
                total[request.queue, default: 0] += request.limit
                // All have tasks.
                _ = planner.received(request.limit, for: request, isWatched: true)
            }
        }
        return total
    }

    @Test(arguments: [1, 3, 10, 256])
    func `while all have tasks each queue gets its share`(slots: Int) {
        var planner = FetchPlanner(queues: ["critical": 6, "default": 3, "low": 1, "off": 0], strict: false)
        #expect(planner.names == ["critical", "default", "low"])
        let draws = 1000
        let shares = total(&planner, draws: draws, slots: slots)
        for (queue, share) in [("critical", 0.6), ("default", 0.3), ("low", 0.1)] {
            let wanted = Double(draws * slots) * share
            #expect(abs(Double(shares[queue] ?? 0) - wanted) <= 2, "\(queue)")
        }
    }

    @Test func `many queues that have plenty are served in blocks, in turn, and each gets its share`() {
        var priorities = Dictionary(uniqueKeysWithValues: (0..<99).map { ("queue-\($0)", 1) })
        priorities["critical"] = 6
        var planner = FetchPlanner(queues: priorities, strict: false)
        // Nothing is known of any queue: each is asked for a few.
        let first = planner.draw(256)
        #expect(first.count == 62 && first[0] == DequeueRequest(queue: "critical", limit: 14))
        #expect(first.dropFirst().dropLast().allSatisfy { $0.limit == 4 })
        for request in first { _ = planner.received(request.limit, for: request, isWatched: true) }
        let second = planner.draw(256)
        #expect(second.count == 39)
        for request in second { _ = planner.received(request.limit, for: request, isWatched: true) }
        for slots in [256, 64, 1] {
            let requests = planner.draw(slots)
            #expect(requests.count == 1 && requests[0].limit == slots)
        }
        let shares = total(&planner, draws: 1000, slots: 256)
        for (queue, priority) in priorities {
            let wanted = 256_000.0 * Double(priority) / 105
            #expect(abs(Double(shares[queue] ?? 0) - wanted) <= 300, "\(queue)")
        }
    }

    @Test func `beside many queues that have plenty, one that has few is asked each time, before them`() {
        let full = (0..<20).map { "full-\($0)" }
        var planner = FetchPlanner(
            queues: Dictionary(uniqueKeysWithValues: (full + ["quiet"]).map { ($0, 1) }),
            strict: false
        )
        for request in planner.draw(256) {
            _ = planner.received(request.queue == "quiet" ? 0 : request.limit, for: request, isWatched: true)
        }
        for _ in 0..<50 {
            #expect(planner.draw(100).count == 1)
            let isNews = planner.reopen("quiet")
            let requests = planner.draw(100)
            #expect(isNews && requests.count == 2 && requests[0].queue == "quiet" && requests[0].limit >= 4)
            for request in requests {
                _ = planner.received(request.queue == "quiet" ? 1 : request.limit, for: request, isWatched: true)
            }
        }
    }

    @Test func `of many queues that have plenty none starves where places become free one by one`() {
        let names = (0..<20).map { "queue-\($0)" }
        var planner = FetchPlanner(queues: Dictionary(uniqueKeysWithValues: names.map { ($0, 1) }), strict: false)
        var counts: [String: Int] = [:]
        for _ in 0..<2000 {
            for request in planner.draw(1) {
                counts[request.queue, default: 0] += request.limit
                _ = planner.received(request.limit, for: request, isWatched: true)
            }
        }
        #expect(names.allSatisfy { abs((counts[$0] ?? 0) - 100) <= 2 }, "\(counts)")
    }

    @Test func `the share of an empty queue goes to the others`() {
        var planner = FetchPlanner(queues: ["a": 6, "b": 3, "c": 1], strict: false)
        for request in planner.draw(10) where request.queue == "a" {
            let isEmpty = planner.received(0, for: request, isWatched: true)
            #expect(isEmpty)
        }
        let shares = total(&planner, draws: 100, slots: 8)
        #expect(shares["a"] == nil && shares["b"] == 600 && shares["c"] == 200)
        let isNews = planner.reopen("a")
        #expect(isNews && total(&planner, draws: 1, slots: 10)["a"] == 6)
    }

    @Test func `strictly, a queue is served only when those above are empty`() {
        var planner = FetchPlanner(queues: ["a": 3, "b": 2, "c": 1], strict: true)
        #expect(planner.draw(5) == [DequeueRequest(queue: "a", limit: 5)])
        _ = planner.received(2, for: DequeueRequest(queue: "a", limit: 5), isWatched: true)
        #expect(planner.draw(3) == [DequeueRequest(queue: "b", limit: 3)])
        _ = planner.reopen("a")
        #expect(planner.draw(3) == [DequeueRequest(queue: "a", limit: 3)])
    }

    @Test func `a queue that is away leaves its share to the others`() {
        var planner = FetchPlanner(queues: ["a": 6, "b": 3], strict: false)
        #expect(planner.draw(9, except: ["a"]) == [DequeueRequest(queue: "b", limit: 9)])
        #expect(planner.draw(9, except: ["a", "b"]).isEmpty)
        // It has not been owed anything meanwhile.
        #expect(planner.draw(9).map(\.limit) == [6, 3])
        var strict = FetchPlanner(queues: ["a": 6, "b": 3], strict: true)
        #expect(strict.draw(9, except: ["a"]) == [DequeueRequest(queue: "b", limit: 9)])
        #expect(strict.draw(9) == [DequeueRequest(queue: "a", limit: 9)])
    }

    @Test func `a queue that gives less is empty, unless no signal would tell that it is not`() {
        var planner = FetchPlanner(queues: ["a": 1], strict: false)
        let request = DequeueRequest(queue: "a", limit: 1000)
        let isEmptyUnwatched = planner.received(256, for: request, isWatched: false)
        #expect(!isEmptyUnwatched && planner.hasOpenQueue)
        let isEmptyWatched = planner.received(256, for: request, isWatched: true)
        #expect(isEmptyWatched && !planner.hasOpenQueue)
        planner.reopenAll()
        #expect(planner.draw(0).isEmpty && planner.draw(1).count == 1)
    }

    @Test func `looks for nothing are counted until there is something`() {
        var planner = FetchPlanner(queues: ["a": 1], strict: false)
        let request = DequeueRequest(queue: "a", limit: 5)
        for _ in 0..<3 { _ = planner.received(0, for: request, isWatched: true) }
        #expect(planner.misses("a") == 3)
        _ = planner.received(1, for: request, isWatched: true)
        #expect(planner.misses("a") == 0)
    }
}
