import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let queueRules: [Rule] = [
        Rule("a queue is paused and goes on, however often it is asked") { subject in
            try await subject.put("a")
            for _ in 0..<2 { try await subject.inspector.pause("default") }
            let snapshot = try await subject.inspector.snapshot(of: "default")
            try expectEqual(snapshot.isPaused, true, "paused")
            let distance = snapshot.pausedAt.map { snapshot.time.timeIntervalSince($0) } ?? -1
            try expect(distance >= 0 && distance < 60, "paused \(distance) s ago")
            try expectEqual(try await subject.take().ids, [], "taken")
            try await subject.accept(EnqueueRequest(message: message("b")))
            for _ in 0..<2 { try await subject.inspector.resume("default") }
            try expectEqual(try await subject.inspector.snapshot(of: "default").pausedAt, nil, "paused")
            try expectEqual(try await subject.take(2).ids, ["a", "b"], "taken")
        },
        Rule("a queue that holds a task, in any state, is not deleted unless by force (fault 6)") { subject in
            for state in TaskState.allCases {
                let queue = "q-\(state.rawValue)"
                try await subject.fill([state: 1], queue: queue)
                let before = try await subject.contents(queue)
                try await subject.refuses(.queueNotEmpty) { try await $0.deleteQueue(queue) }
                try await subject.expectUnchanged(before, queue)
                try expectEqual(try await subject.inspector.snapshot(of: queue).isPaused, false, "paused")
                if state == .active {
                    try await subject.refuses(.queueNotEmpty) { try await $0.deleteQueue(queue, force: true) }
                    try await subject.expectUnchanged(before, queue)
                } else {
                    try expectEqual(try await subject.inspector.deleteQueue(queue, force: true), 1, "deleted")
                    try await subject.expectUnchanged(StoredQueue(), queue)
                }
            }
            try expectEqual(try await subject.inspector.queues(), ["q-active"], "queues")
        },
        Rule("nothing is left of a queue that is deleted by force, and its next task makes it anew (fault 6)") {
            subject in
            try await subject.fill(someOfEach)
            try await subject.put("x", queue: "other")
            let messages = try await subject.contents().tasks.mapValues(\.message)
            try await subject.inspector.pause("default")
            // Nobody will end the active one.
            try await subject.advance(32)
            try expectEqual(try await subject.inspector.deleteQueue("default", force: true), 28, "deleted")
            try await subject.expectUnchanged(StoredQueue())
            try expectEqual(try await subject.inspector.queues(), ["other"], "queues")
            try await subject.refuses(.queueNotFound) { try await $0.snapshot(of: "default") }
            try await subject.refuses(.queueNotFound) { try await $0.tasks(in: .pending, queue: "default") }
            for message in messages.values {
                var again = message
                (again.uniqueKey, again.group) = ("", "")
                try await subject.accept(EnqueueRequest(message: again, uniqueFor: .hours(1)))
            }
            let snapshot = try await subject.inspector.snapshot(of: "default")
            try expectEqual(
                [snapshot.pending, snapshot.size, snapshot.processed, snapshot.failed],
                [28, 28, 0, 0],
                "new"
            )
            try expectEqual(snapshot.isPaused, false, "paused")
            try expectEqual(try await subject.inspector.groups(of: "default"), [], "groups")
            try expectEqual(try await subject.take(50).count, 28, "taken")
        },
        Rule("a queue that another process has deleted is there again with its next task, of any kind (fault 12)") {
            subject in
            let other = AsynqInspector(try await subject.fixture.anotherBroker())
            func expectVisible(_ id: String, line: UInt = #line) async throws {
                try expectEqual(try await subject.inspector.queues(), ["default"], "queues with \(id)", line: line)
                try expectEqual(try await other.deleteQueue("default", force: true), 1, "deleted", line: line)
                try expectEqual(try await subject.inspector.queues(), [], "queues without \(id)", line: line)
            }
            let requests = [
                EnqueueRequest(message: message("plain")),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 60_000)),
                EnqueueRequest(message: message("unique"), uniqueFor: .minutes(5)),
                EnqueueRequest(message: grouped("grouped")),
                EnqueueRequest(message: message("plain again")),
            ]
            for request in requests {
                try await subject.accept(request)
                try await expectVisible(request.message.id)
            }
            try expectEqual(try await subject.occur("e", try await subject.seconds() - 60), "pending", "occurrence")
            try await expectVisible("an occurrence")
        },
        Rule("an empty queue is deleted, with its counters") { subject in
            try await subject.end([try await subject.start(message("a"))], .done)
            try expectEqual(try await subject.inspector.deleteQueue("default"), 0, "deleted")
            try expectEqual(try await subject.inspector.queues(), [], "queues")
            try await subject.put("b")
            try expectEqual(try await subject.contents().counters, [0, 0, 0, 0], "counters")
        },
        Rule("with a queue go its groups, those that are being aggregated, and what schedulers know of it") { subject in
            for id in ["a", "b", "c"] {
                var task = message(id)
                task.group = id == "c" ? "held" : "g"
                try await subject.accept(EnqueueRequest(message: task, uniqueFor: id == "a" ? .seconds(600) : nil))
            }
            let ready = GroupPolicy(gracePeriod: .seconds(30), maxSize: 1)
            _ = try await subject.staged("g", ready)
            try await subject.broker.releaseAggregation(try await subject.staged("held", ready), retryIn: .seconds(60))
            let time = try await subject.seconds() - 60
            try expectEqual(try await subject.occur("e", time), "pending", "occurrence")
            try expectEqual(try await subject.inspector.deleteQueue("default", force: true), 4, "deleted")
            try await subject.expectUnchanged(StoredQueue())
            try expectEqual(try await subject.occur("e", time), "pending", "the entry begins anew")
        },
        Rule("a large queue is deleted in steps") { subject in
            try await subject.put((0..<5000).map { "t\($0)" })
            try expectEqual(try await subject.inspector.deleteQueue("default", force: true), 5000, "deleted")
            try await subject.expectUnchanged(StoredQueue())
        },
        Rule("a scheduled task is given another payload, and nothing else of it changes") { subject in
            var task = message("a", payload: [1])
            task.headers = ["k": "v"]
            try await subject.accept(EnqueueRequest(message: task, start: .after(milliseconds: 60_300)))
            let before = try await subject.inspector.task("a", queue: "default")
            for payload in [[2, 3], [], nil, Array(repeating: 9, count: 100_000)] as [[UInt8]?] {
                try await subject.inspector.updatePayload(payload, of: "a", queue: "default")
                var expected = before
                let found = try await subject.inspector.task("a", queue: "default")
                try expectEqual(found.payload ?? [], payload ?? [], "payload")
                expected.payload = found.payload
                try expectEqual(found, expected, "task")
            }
            try await subject.advance(62)
            try await subject.forward()
            try expectEqual(try await subject.take().first?.message.payload?.count, 100_000, "taken")
        },
        Rule("only a scheduled task is given another payload") { subject in
            try await subject.fill(someOfEach)
            let before = try await subject.contents()
            for state in TaskState.allCases where state != .scheduled {
                try await subject.refuses(.invalidTaskState) {
                    try await $0.updatePayload([200], of: "\(state.rawValue)-0", queue: "default")
                }
            }
            try await subject.refuses(.taskNotFound) { try await $0.updatePayload([1], of: "none", queue: "default") }
            try await subject.refuses(.queueNotFound) { try await $0.updatePayload([1], of: "a", queue: "none") }
            try await subject.expectUnchanged(before)
        },
        Rule("a unique task is unique by its new payload, and no longer by the old one") { subject in
            func unique(_ id: String, _ payload: [UInt8]?, delay: Int64 = 0) -> EnqueueRequest {
                EnqueueRequest(
                    message: message(id, payload: payload),
                    start: delay == 0 ? .now : .after(milliseconds: delay),
                    uniqueFor: .seconds(100)
                )
            }
            try await subject.accept(unique("a", [1], delay: 60_000))
            try await subject.accept(unique("b", [2], delay: 60_000))
            try await subject.refuses(.duplicateTask) { try await $0.updatePayload([2], of: "a", queue: "default") }
            try await subject.refuse(unique("c", [1]), .duplicateTask)
            try await subject.inspector.updatePayload([1], of: "a", queue: "default")
            try await subject.refuse(unique("c", [1]), .duplicateTask)
            try await subject.inspector.updatePayload([3], of: "a", queue: "default")
            try await subject.refuse(unique("c", [3]), .duplicateTask)
            try await subject.accept(unique("c", [1]))
            try await subject.inspector.updatePayload(nil, of: "a", queue: "default")
            try await subject.accept(unique("d", [3]))
            try await subject.refuse(unique("e", nil), .duplicateTask)
            // The lock lasts as long as it would have, and is freed when the task is done.
            try await subject.advance(62)
            try await subject.forward()
            try await subject.end(try await subject.take(10).filter { $0.message.id == "a" }, .done)
            try await subject.accept(unique("e", nil))
        },
        Rule("a task whose lock has ended takes none with its new payload") { subject in
            let request = EnqueueRequest(
                message: message("a", payload: [1]),
                start: .after(milliseconds: 600_000),
                uniqueFor: .seconds(50)
            )
            try await subject.accept(request)
            try await subject.advance(598)
            try await subject.advance(1)
            let early = EnqueueRequest(message: message("b", payload: [1]), uniqueFor: .seconds(300))
            try await subject.refuse(early, .duplicateTask)
            // It is due, and has not been forwarded yet.
            try await subject.advance(60)
            try await subject.accept(EnqueueRequest(message: message("c", payload: [2]), uniqueFor: .seconds(300)))
            try await subject.inspector.updatePayload([2], of: "a", queue: "default")
            try await subject.accept(early)
            try await subject.forward()
            try await subject.end(try await subject.take(5).filter { $0.message.id == "a" }, .done)
            try await subject.refuse(
                EnqueueRequest(message: message("d", payload: [2]), uniqueFor: .seconds(300)),
                .duplicateTask
            )
        },
    ]
}
