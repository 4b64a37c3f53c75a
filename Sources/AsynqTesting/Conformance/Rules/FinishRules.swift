import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    private static let outcomes: [(String, FinishRequest.Outcome)] = [
        ("done", .done), ("retry", .retry(after: 60)), ("archive", .archive(error: "failed")), ("requeue", .requeue),
    ]

    static let finishRules: [Rule] = [
        Rule("done deletes the task and counts it") { subject in
            let task = try await subject.start(message("a"))
            try expectEqual(try await subject.end([task], .done), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.count, 0, "tasks")
            try expectEqual(contents.counters, [1, 0, 1, 0], "counters")
        },
        Rule("a task with a retention is kept as completed, with its time and result") { subject in
            var kept = message("a")
            kept.retention = 60
            let task = try await subject.start(kept)
            try await subject.broker.writeResult([1, 2], of: task)
            try expectEqual(try await subject.end([task], .done), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks["a"]?.state, .completed, "state")
            try expectEqual(contents.tasks["a"]?.result, [1, 2], "result")
            let age = try await subject.age(of: contents.tasks["a"]?.message.completedAt)
            try expect(abs(age) < 60, "completed \(age) s ago")
            try expectEqual(contents.counters, [1, 0, 1, 0], "counters")
        },
        Rule("a task that is dropped is deleted and counted, whatever its retention, and its lock is free") { subject in
            var kept = message("a")
            kept.retention = 60
            let task = try await subject.start(kept, unique: .seconds(600))
            try expectEqual(try await subject.end([task], .drop), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.count, 0, "tasks")
            try expectEqual(contents.counters, [1, 0, 1, 0], "counters")
            try await subject.accept(EnqueueRequest(message: message("b"), uniqueFor: .seconds(600)))
        },
        Rule("a failure is stored with the task, uses a retry and is counted") { subject in
            let task = try await subject.start(message("a"))
            try expectEqual(try await subject.end([task], .retry(after: 60, "no \u{1F600}")), [true], "finished")
            let contents = try await subject.contents()
            var expected = message("a")
            expected.retried = 1
            expected.errorMessage = "no \u{1F600}"
            expected.lastFailedAt = contents.tasks["a"]?.message.lastFailedAt ?? 0
            try expectEqual(contents.tasks["a"]?.message, expected, "message")
            try expectEqual(contents.tasks["a"]?.state, .retry, "state")
            let age = try await subject.age(of: expected.lastFailedAt)
            try expect(abs(age) < 60, "failed \(age) s ago")
            try expectEqual(contents.counters, [1, 1, 1, 1], "counters")
        },
        Rule("what is no failure uses no retry and is not counted") { subject in
            let task = try await subject.start(message("a"))
            let outcome = FinishRequest.Outcome.retry(delay: .seconds(60), error: "busy", countsAsFailure: false)
            try expectEqual(try await subject.end([task], outcome), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks["a"]?.message.retried, 0, "retried")
            try expectEqual(contents.tasks["a"]?.message.errorMessage, "busy", "error")
            try expectEqual(contents.counters, [0, 0, 0, 0], "counters")
        },
        Rule("an archived task keeps its error, and is counted as failed") { subject in
            let task = try await subject.start(message("a"))
            try expectEqual(try await subject.end([task], .archive(error: "too bad")), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks["a"]?.state, .archived, "state")
            try expectEqual(contents.tasks["a"]?.message.errorMessage, "too bad", "error")
            try expectEqual(contents.tasks["a"]?.message.retried, 0, "retried")
            try expectEqual(contents.counters, [1, 1, 1, 1], "counters")
        },
        Rule("a task that is handed back is the next to run, unchanged and uncounted") { subject in
            try await subject.put("a", "b", "c")
            let tasks = try await subject.take(2)
            try expectEqual(try await subject.end([tasks[1]], .requeue), [true], "finished")
            try expectEqual(try await subject.end([tasks[0]], .requeue), [true], "finished")
            let contents = try await subject.contents()
            try expectEqual(contents.places[.pending], ["a", "b", "c"], "pending")
            try expectEqual(contents.tasks["a"]?.message, message("a"), "message")
            try expectEqual(contents.counters, [0, 0, 0, 0], "counters")
            try expectEqual(try await subject.take(3).ids, ["a", "b", "c"], "order")
        },
        Rule("a task that is no longer active can be finished by nobody, and nothing changes") { subject in
            for (first, outcome) in outcomes {
                var kept = message(first)
                kept.queue = first
                kept.retention = first == "done" ? 60 : 0
                let task = try await subject.start(kept)
                try expectEqual(try await subject.end([task], outcome), [true], first)
                let before = try await subject.contents(first)
                for (second, late) in outcomes {
                    try expectEqual(try await subject.end([task], late), [false], "\(second) after \(first)")
                    try expectEqual(try await subject.contents(first), before, "\(second) after \(first)")
                }
            }
        },
        Rule("of two ends of one attempt in one batch the first holds") { subject in
            let task = try await subject.start(message("a"))
            try expectEqual(try await subject.end([task, task], .done), [true, false], "results")
            try expectEqual(try await subject.contents().counters, [1, 0, 1, 0], "counters")
        },
        Rule("a batch with all outcomes in several queues has a true result for each") { subject in
            try await subject.put(["a", "b", "c", "d", "e"])
            try await subject.put(["x"], queue: "other")
            let tasks = try await subject.take(5)
            let other = try await subject.take(1, queue: "other")
            try await subject.end([tasks[4]], .done)
            let unknown = LeasedTask(message: message("z", queue: "never seen"), leaseEnd: 0)
            let results = try await subject.finish([
                FinishRequest(task: tasks[0], outcome: .done),
                FinishRequest(task: tasks[4], outcome: .done),
                FinishRequest(task: other[0], outcome: .archive(error: "e")),
                FinishRequest(task: tasks[1], outcome: .retry(after: 60)),
                FinishRequest(task: unknown, outcome: .requeue),
                FinishRequest(task: tasks[2], outcome: .requeue),
                FinishRequest(task: tasks[3], outcome: .archive(error: "e")),
            ])
            try expectEqual(results, [true, false, true, true, false, true, true], "results")
            try expectEqual(try await subject.states(), ["b": .retry, "c": .pending, "d": .archived], "default")
            try expectEqual(try await subject.states("other"), ["x": .archived], "other")
            try expectEqual(try await subject.contents().counters, [4, 2, 4, 2], "counters")
        },
        Rule("tasks end in any order, however many are active (fault 9)") { subject in
            let ids = (0..<600).map { "t\($0)" }
            try await subject.put(ids)
            var tasks = [LeasedTask]()
            while tasks.count < ids.count {
                let some = try await subject.broker.dequeue([DequeueRequest(queue: "default", limit: 600)])
                try expect(!some.isEmpty, "tasks are missing")
                tasks += some
            }
            var random = SplitMix64(seed: 7)
            tasks.shuffle(using: &random)
            try expectEqual(try await subject.end(Array(tasks.prefix(200)), .done).contains(false), false, "done")
            try expectEqual(
                try await subject.end(Array(tasks[200..<400]), .retry(after: 60)).contains(false),
                false,
                "retry"
            )
            let counts = try await subject.contents().tasks.values.reduce(into: [:]) { $0[$1.state, default: 0] += 1 }
            try expectEqual(counts, [.retry: 200, .active: 200], "states")
        },
        Rule("a result can be written while the task runs, and not otherwise") { subject in
            let task = try await subject.start(message("a"))
            try await subject.broker.writeResult([1], of: task)
            try await subject.broker.writeResult([0, 255], of: task)
            try expectEqual(try await subject.contents().tasks["a"]?.result, [0, 255], "result")
            try await subject.end([task], .retry(after: 60))
            for other in [task, LeasedTask(message: message("none"), leaseEnd: 0)] {
                do {
                    try await subject.broker.writeResult([2], of: other)
                    throw BrokenRule("a result was written for \(other.message.id), which does not run", #line)
                } catch let error as AsynqError {
                    try expectEqual(error.code, .taskNotFound, "error")
                }
            }
        },
    ]
}

extension StoredQueue {
    /// Processed, failed, and both of today.
    var counters: [Int] { [processed, failed, processedToday, failedToday] }
}

extension LeasedTask {
    var reference: TaskReference { TaskReference(queue: message.queue, id: message.id) }
}

extension ConformanceSubject {
    /// How long ago a moment in Unix seconds was.
    func age(of seconds: Int64?) async throws -> Double {
        try await fixture.now().timeIntervalSince1970 - Double(seconds ?? 0)
    }
}
