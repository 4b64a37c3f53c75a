import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let dequeueRules: [Rule] = [
        Rule("tasks are given oldest first, once, and up to the limit") { subject in
            try await subject.put("a", "b")
            try await subject.put("c")
            try expectEqual(try await subject.take(2).ids, ["a", "b"], "first two")
            try await subject.put("d")
            try expectEqual(try await subject.take(10).ids, ["c", "d"], "the rest")
            try expectEqual(try await subject.take(10).ids, [], "none is left")
            try expectEqual(
                try await subject.states(),
                ["a": .active, "b": .active, "c": .active, "d": .active],
                "states"
            )
        },
        Rule("several queues are asked at once, each for its own number") { subject in
            try await subject.put(["a1", "a2", "a3"], queue: "a")
            try await subject.put(["b1", "b2"], queue: "b")
            let tasks = try await subject.broker.dequeue([
                DequeueRequest(queue: "a", limit: 2), DequeueRequest(queue: "none", limit: 5),
                DequeueRequest(queue: "b", limit: 1),
            ])
            try expectEqual(tasks.ids.sorted(), ["a1", "a2", "b1"], "tasks")
            let nothing = try await subject.broker.dequeue([DequeueRequest(queue: "a", limit: 0)])
            try expectEqual(nothing.ids, [], "a limit of zero")
            try expectEqual(try await subject.states("a"), ["a1": .active, "a2": .active, "a3": .pending], "a")
            try expectEqual(try await subject.states("b"), ["b1": .active, "b2": .pending], "b")
        },
        Rule("a paused queue gives nothing and takes everything") { subject in
            try await subject.put("a")
            try await subject.fixture.setPaused(true, queue: "default")
            try await subject.put("b")
            try expectEqual(try await subject.take(5).ids, [], "while paused")
            let other = try await subject.fixture.anotherBroker()
            let tasks = try await other.dequeue([DequeueRequest(queue: "default", limit: 5)])
            try expectEqual(tasks.ids, [], "while paused, for another")
            try await subject.fixture.setPaused(false, queue: "default")
            try expectEqual(try await subject.take(5).ids, ["a", "b"], "afterwards")
        },
        Rule("a task that is given says since when it waited and when its lease ends") { subject in
            let before = Int64(try await subject.fixture.now().timeIntervalSince1970)
            try await subject.put("a")
            try await subject.advance(20)
            let task = try await subject.take()[0]
            guard let since = task.pendingSince else { throw BrokenRule("pendingSince is missing", #line) }
            let waited = try await subject.fixture.now().timeIntervalSince1970 - Double(since) / 1e9
            try expect(waited > -1 && waited < 60, "waited for \(waited) s")
            let end = task.leaseEnd / 1_000_000 - before
            try expect((29...110).contains(end), "the lease ends \(end) s after the enqueue")
        },
        Rule("what one broker enqueues another gives") { subject in
            let other = try await subject.fixture.anotherBroker()
            try await subject.put("a", "b")
            let tasks = try await other.dequeue([DequeueRequest(queue: "default", limit: 1)])
            try expectEqual(tasks.ids, ["a"], "tasks")
            try expectEqual(try await subject.take(5).ids, ["b"], "the rest")
            try expectEqual(try await subject.end(tasks, .done), [true], "and a third party may finish it")
        },
    ]
}
