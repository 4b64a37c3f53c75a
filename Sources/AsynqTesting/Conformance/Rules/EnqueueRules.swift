import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let enqueueRules: [Rule] = [
        Rule("an enqueued task is pending, and comes back as it was given") { subject in
            var full = message("full", payload: Array(0...255))
            full.type = "émile:\u{1F600} {x}"
            full.maxRetry = 3
            full.timeout = 61
            full.deadline = 4_000_000_000
            full.retention = 7
            full.headers = ["traceparent": "00-1", "": "empty name", "ü": ""]
            for message in [
                full, message("empty", payload: []), message("large", payload: .init(repeating: 0, count: 1 << 20)),
            ] {
                let receipt = try await subject.accept(EnqueueRequest(message: message))
                try expectEqual(receipt.state, .pending, "state")
                let age = try await subject.fixture.now().timeIntervalSince(receipt.nextProcessAt ?? .distantPast)
                try expect(abs(age) < 60, "a pending task may start now, not \(age) s ago")
                let taken = try await subject.take()
                try expectEqual(taken.map(\.message), [message], "message")
            }
        },
        Rule("a missing payload comes back missing or empty") { subject in
            let task = try await subject.start(message("nil", payload: nil))
            try expectEqual(task.message.payload ?? [], [], "payload")
        },
        Rule("any text names a queue, a task, a type") { subject in
            for name in ["with space", "{braces}", "a:b:c", "\u{1F600}", "'; DROP TABLE task; --", "%_*?[", "null"] {
                let task = try await subject.start(message(name, queue: name, type: name))
                try expectEqual(task.message, message(name, queue: name, type: name), "message")
                try await subject.end([task], .done)
                try expectEqual(try await subject.states(name), [:], "after done")
            }
        },
        Rule("an id that exists is refused, whatever the state of its task, and nothing changes (fault 1)") { subject in
            for state in TaskState.allCases {
                let queue = "\(state)"
                try await subject.bring("taken", to: state, queue: queue)
                try expectEqual(try await subject.states(queue), ["taken": state], "states")
                try await subject.refuse(EnqueueRequest(message: message("taken", queue: queue)), .taskIDConflict)
                try await subject.refuse(
                    EnqueueRequest(message: message("taken", queue: queue), start: .after(milliseconds: 5000)),
                    .taskIDConflict
                )
                // No lock stays behind.
                let unique = EnqueueRequest(message: message("taken", queue: queue, payload: [9]), uniqueFor: .hours(1))
                try await subject.refuse(unique, .taskIDConflict)
                try await subject.accept(
                    EnqueueRequest(message: message("free", queue: queue, payload: [9]), uniqueFor: .hours(1))
                )
            }
        },
        Rule("the same id may exist in several queues") { subject in
            try await subject.put("a", queue: "one")
            try await subject.put("a", queue: "two")
            let taken = try await subject.take(5, queue: "one")
            try expectEqual(taken.map(\.message.queue), ["one"], "queues")
            try await subject.end(taken, .done)
            try expectEqual(try await subject.states("two"), ["a": .pending], "the other queue")
        },
        Rule("a time in the future schedules, one that has passed does not") { subject in
            let now = Int64(try await subject.fixture.now().timeIntervalSince1970 * 1000)
            let soon = EnqueueRequest(message: message("at"), start: .at(milliseconds: now + 60_500))
            let receipt = try await subject.accept(soon)
            try expectEqual(receipt.state, .scheduled, "state")
            try expectEqual(
                receipt.nextProcessAt.map { Int64(($0.timeIntervalSince1970 * 1000).rounded()) },
                now + 60_500,
                "next process at"
            )
            let after = try await subject.accept(
                EnqueueRequest(message: message("after"), start: .after(milliseconds: 60_500))
            )
            let distance = Int64(((after.nextProcessAt ?? .distantPast).timeIntervalSince1970 * 1000).rounded()) - now
            try expect((60_500..<120_000).contains(distance), "after 60.5 s: \(distance) ms from now")
            for (id, start) in [("past", now - 60_000), ("epoch", 0), ("before 1970", -1)] {
                let past = EnqueueRequest(message: message(id), start: .at(milliseconds: start))
                try expectEqual(try await subject.accept(past).state, .pending, id)
            }
            try expectEqual(
                try await subject.states(),
                ["at": .scheduled, "after": .scheduled, "past": .pending, "epoch": .pending, "before 1970": .pending],
                "states"
            )
        },
        Rule("a task with a group waits in its group, a scheduled one from its time on") { subject in
            var grouped = message("now")
            grouped.group = "g"
            let receipt = try await subject.accept(EnqueueRequest(message: grouped))
            try expectEqual(receipt, EnqueueReceipt(state: .aggregating, nextProcessAt: nil), "receipt")
            grouped.id = "later"
            try await subject.accept(EnqueueRequest(message: grouped, start: .after(milliseconds: 10_000)))
            try expectEqual(try await subject.states(), ["now": .aggregating, "later": .scheduled], "states")
            try await subject.advance(12)
            try expectEqual(try await subject.forward().moved, 1, "moved")
            try expectEqual(try await subject.states(), ["now": .aggregating, "later": .aggregating], "states")
            try expectEqual(try await subject.take().ids, [], "a grouped task is not given out")
        },
        Rule("a batch of all kinds has one true result for each, in order (fault 13)") { subject in
            var grouped = message("group")
            grouped.group = "g"
            let requests = [
                EnqueueRequest(message: message("a")),
                EnqueueRequest(message: message("a")),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 60_000)),
                EnqueueRequest(message: message("unique", payload: [7]), uniqueFor: .minutes(1)),
                EnqueueRequest(message: message("again", payload: [7]), uniqueFor: .minutes(1)),
                EnqueueRequest(message: grouped),
                EnqueueRequest(message: message("b", queue: "other")),
                EnqueueRequest(message: message("b")),
            ]
            let results = try await subject.enqueue(requests).map { result in
                switch result {
                case .success(let receipt): receipt.state.rawValue
                case .failure(let error): error.code.description
                }
            }
            try expectEqual(
                results,
                [
                    "pending", "taskIDConflict", "scheduled", "pending", "duplicateTask", "aggregating", "pending",
                    "pending",
                ],
                "results"
            )
            try expectEqual(try await subject.take(10).ids, ["a", "unique", "b"], "pending, in order")
            try expectEqual(try await subject.take(10, queue: "other").ids, ["b"], "the other queue")
        },
        Rule("an empty batch is no error") { subject in
            try expectEqual(try await subject.enqueue([]).count, 0, "results")
            try expectEqual(try await subject.broker.dequeue([]).count, 0, "tasks")
            try expectEqual(try await subject.finish([]).count, 0, "results")
            try expectEqual(try await subject.broker.extendLeases([]), [], "leases")
        },
        Rule("a batch of thousands is stored whole and in order") { subject in
            let ids = (0..<3000).map { "task-\($0)" }
            try await subject.put(ids)
            try expectEqual(try await subject.contents().places[.pending] ?? [], ids, "pending")
        },
    ]
}

extension ConformanceSubject {
    /// A task in a state.
    func bring(_ id: String, to state: TaskState, queue: String = "default") async throws {
        var task = message(id, queue: queue)
        switch state {
        case .pending: try await accept(EnqueueRequest(message: task))
        case .scheduled: try await accept(EnqueueRequest(message: task, start: .after(milliseconds: 3_600_000)))
        case .aggregating:
            task.group = "g"
            try await accept(EnqueueRequest(message: task))
        case .active: _ = try await start(task)
        case .retry: try await end([try await start(task)], .retry(after: 3600))
        case .archived: try await end([try await start(task)], .archive(error: "failed"))
        case .completed:
            task.retention = 3600
            try await end([try await start(task)], .done)
        }
    }
}
