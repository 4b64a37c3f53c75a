import Asynq
import Synchronization

extension BrokerConformance {
    /// A task of each state but the active one, and what is in it.
    private static let atRest: [TaskState] = [.pending, .scheduled, .retry, .archived, .completed, .aggregating]

    static let moveRules: [Rule] = [
        Rule("a task that is run goes to the end of its queue, and is dated") { subject in
            try await subject.fill(someOfEach)
            var expected = (0..<7).map { "pending-\($0)" }
            for state in atRest where state != .pending {
                try await subject.inspector.run("\(state.rawValue)-1", queue: "default")
                expected.append("\(state.rawValue)-1")
                let contents = try await subject.contents()
                try expectEqual(contents.places[.pending], expected, "pending after \(state)")
            }
            try expectEqual(try await subject.take(20).ids, expected, "taken")
            try expectEqual(try await subject.forward().moved, 0, "due")
        },
        Rule("a task that is archived keeps what is known of it, and is counted nowhere") { subject in
            try await subject.fill(someOfEach)
            let before = try await subject.contents()
            for state in atRest where state != .archived {
                let id = "\(state.rawValue)-1"
                try await subject.inspector.archive(id, queue: "default")
                let contents = try await subject.contents()
                try expectEqual(contents.tasks[id]?.state, .archived, id)
                try expectEqual(contents.tasks[id]?.message, before.tasks[id]?.message, "message of \(id)")
                try expectEqual(contents.counters, before.counters, "counters")
            }
            let archived = try await subject.inspector.tasks(in: .archived, queue: "default")
            try expectEqual(archived.total, 9, "archived")
        },
        Rule("a task that is deleted is gone, with its lock") { subject in
            try await subject.fill(someOfEach)
            for state in atRest {
                let id = "\(state.rawValue)-1"
                let message = try await subject.contents().tasks[id]?.message
                try await subject.inspector.delete(id, queue: "default")
                try expectEqual(try await subject.contents().tasks[id], nil, id)
                try await subject.refuses(.taskNotFound) { try await $0.delete(id, queue: "default") }
                guard var again = message else { throw BrokenRule("no \(id)", #line) }
                (again.uniqueKey, again.group) = ("", "")
                try await subject.accept(EnqueueRequest(message: again, uniqueFor: .hours(1)))
            }
        },
        Rule("an active task cannot be moved, and none to where it is") { subject in
            try await subject.fill([.active: 1, .pending: 1, .archived: 1])
            let before = try await subject.contents()
            try await subject.refuses(.invalidTaskState) { try await $0.run("active-0", queue: "default") }
            try await subject.refuses(.invalidTaskState) { try await $0.archive("active-0", queue: "default") }
            try await subject.refuses(.invalidTaskState) { try await $0.delete("active-0", queue: "default") }
            try await subject.refuses(.invalidTaskState) { try await $0.run("pending-0", queue: "default") }
            try await subject.refuses(.invalidTaskState) { try await $0.archive("archived-0", queue: "default") }
            try await subject.refuses(.taskNotFound) { try await $0.run("none", queue: "default") }
            try await subject.refuses(.queueNotFound) { try await $0.run("pending-0", queue: "none") }
            try await subject.expectUnchanged(before)
        },
        Rule("of many tasks each has a result of its own, and one named twice is moved once") { subject in
            try await subject.fill([.active: 1, .pending: 2, .scheduled: 2])
            let ids = ["scheduled-0", "none", "active-0", "scheduled-0", "pending-1", "scheduled-1"]
            func codes(_ results: [Result<Void, AsynqError>]) -> [AsynqError.Code?] {
                results.map { result in
                    if case .failure(let error) = result { error.code } else { nil }
                }
            }
            try expectEqual(
                codes(try await subject.inspector.archive(ids, queue: "default")),
                [nil, .taskNotFound, .invalidTaskState, .invalidTaskState, nil, nil],
                "archived"
            )
            try expectEqual(
                codes(try await subject.inspector.delete(ids, queue: "default")),
                [nil, .taskNotFound, .invalidTaskState, .taskNotFound, nil, nil],
                "deleted"
            )
            try expectEqual(try await subject.states(), ["active-0": .active, "pending-0": .pending], "states")
            try expectEqual(codes(try await subject.inspector.run([], queue: "none")), [], "of none")
        },
        Rule("all tasks of a state are moved, no others, and the total is told") { subject in
            for (queueIndex, move) in TaskMove.allCases.enumerated() {
                for state in move.bulkStates {
                    let queue = "q\(queueIndex)-\(state.rawValue)"
                    try await subject.fill(someOfEach, queue: queue)
                    let (inspector, count) = (subject.inspector, someOfEach[state] ?? 0)
                    let told = Mutex<BulkProgress?>(nil)
                    let progress: BulkProgress.Handler = { step in told.withLock { $0 = step } }
                    let moved =
                        switch move {
                        case .run: try await inspector.runAll(state, queue: queue, progress: progress)
                        case .archive: try await inspector.archiveAll(state, queue: queue, progress: progress)
                        case .delete: try await inspector.deleteAll(state, queue: queue, progress: progress)
                        }
                    try expectEqual(moved, count, "\(move) all \(state)")
                    let last = told.withLock { $0 }
                    try expectEqual([last?.done, last?.remaining], [count, 0], "progress")
                    var expected = someOfEach
                    expected[state] = nil
                    switch move {
                    case .run: expected[.pending, default: 0] += count
                    case .archive: expected[.archived, default: 0] += count
                    case .delete: break
                    }
                    let states = try await subject.states(queue).values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
                    try expectEqual(states, expected, "\(move) all \(state)")
                    let again = try await inspector.tasks(in: state, queue: queue)
                    try expectEqual(again.total, 0, "left")
                }
            }
        },
        Rule("a task that comes back to its queue has waited there since then, and no longer (fault 3)") { subject in
            let active = try await subject.start(message("handed back"))
            try await subject.advance(100)
            try await subject.end([active], .requeue)
            try await subject.expectFresh(["handed back"])

            let later = EnqueueRequest(message: message("scheduled"), start: .after(milliseconds: 100_000))
            try await subject.accept(later)
            try await subject.end([try await subject.start(message("retried"))], .retry(after: 100))
            try await subject.advance(102)
            try expectEqual(try await subject.forward().moved, 2, "moved")
            try await subject.expectFresh(["scheduled", "retried"])

            let states: [TaskState] = [.scheduled, .retry, .archived, .completed, .aggregating]
            for state in states { try await subject.bring(state.rawValue, to: state) }
            try await subject.advance(100)
            for state in states { try await subject.inspector.run(state.rawValue, queue: "default") }
            try await subject.expectFresh(Set(states.map(\.rawValue)))

            for state in TaskMove.run.bulkStates { try await subject.bring(state.rawValue, to: state) }
            try await subject.advance(100)
            for state in TaskMove.run.bulkStates {
                try expectEqual(try await subject.inspector.runAll(state, queue: "default"), 1, "\(state)")
            }
            try await subject.expectFresh(Set(TaskMove.run.bulkStates.map(\.rawValue)))
        },
        Rule("all tasks that are run keep their order") { subject in
            try await subject.fill([.scheduled: 3, .pending: 1])
            try expectEqual(try await subject.inspector.runAll(.scheduled, queue: "default"), 3, "moved")
            try expectEqual(try await subject.take(4).ids, ["pending-0"] + (0..<3).map { "scheduled-\($0)" }, "taken")
        },
        Rule("deleting all tasks of a state frees their locks, whatever the state (fault 5)") { subject in
            try await subject.fill(someOfEach)
            let tasks = try await subject.contents().tasks.filter { $0.value.state != .active }
            for state in TaskMove.delete.bulkStates { try await subject.inspector.deleteAll(state, queue: "default") }
            try expectEqual(try await subject.states(), ["active-0": .active], "states")
            for (id, task) in tasks {
                var again = task.message
                again.uniqueKey = ""
                again.group = ""
                again.id = "again-\(id)"
                try await subject.accept(EnqueueRequest(message: again, uniqueFor: .hours(1)))
            }
        },
        Rule("all can be done only for states that allow it, in queues that are there") { subject in
            try await subject.put("a")
            for move in TaskMove.allCases {
                for state in TaskState.allCases where !move.bulkStates.contains(state) {
                    try await subject.refuses(.invalidArgument) { inspector in
                        switch move {
                        case .run: try await inspector.runAll(state, queue: "default")
                        case .archive: try await inspector.archiveAll(state, queue: "default")
                        case .delete: try await inspector.deleteAll(state, queue: "default")
                        }
                    }
                }
            }
            try await subject.refuses(.invalidArgument) {
                try await $0.deleteAll(.pending, queue: "default", group: "g")
            }
            try await subject.refuses(.queueNotFound) { try await $0.runAll(.archived, queue: "none") }
            try await subject.refuses(.queueNotFound) { try await $0.deleteAll(.aggregating, queue: "none") }
            try expectEqual(try await subject.inspector.runAll(.archived, queue: "default"), 0, "of none")
        },
        Rule("an archive into which tasks are put by hand, one, a group or all, is trimmed, with the locks (fault 4)") {
            subject in
            let total = ArchiveLimit.count + 600
            let requests = (0..<total).map { index in
                EnqueueRequest(
                    message: message("t\(index)", payload: [UInt8(index % 256), UInt8(index / 256)]),
                    uniqueFor: .hours(1)
                )
            }
            for result in await subject.broker.enqueue(requests) { _ = try result.get() }
            try expectEqual(try await subject.inspector.archiveAll(.pending, queue: "default"), total, "moved")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.count, ArchiveLimit.count, "kept")
            let gone = requests.filter { contents.tasks[$0.message.id] == nil }
            for result in await subject.broker.enqueue(gone) { _ = try result.get() }
            // Full as it is, each that comes in costs an old one.
            func expectFull(pending: Int, line: UInt = #line) async throws {
                let contents = try await subject.contents(line: line)
                let expected: [TaskState: Int] = [.archived: ArchiveLimit.count, .pending: pending]
                let counts = contents.tasks.values.reduce(into: [:]) { $0[$1.state, default: 0] += 1 }
                try expectEqual(counts, expected, "states", line: line)
            }
            try await subject.inspector.archive(gone[0].message.id, queue: "default")
            try await expectFull(pending: gone.count - 1)
            let members = (0..<2).map { EnqueueRequest(message: grouped("of a group \($0)")) }
            for result in await subject.broker.enqueue(members) { _ = try result.get() }
            try expectEqual(
                try await subject.inspector.archiveAll(.aggregating, queue: "default", group: "g"),
                2,
                "moved"
            )
            try await expectFull(pending: gone.count - 1)
        },
        Rule("what is done to all stops when the caller is cancelled, between two steps (fault 8)") { subject in
            let ids = (0..<3000).map { "t\($0)" }
            try await subject.put(ids)
            let inspector = subject.inspector
            let steps = Mutex(0)
            let work = Task {
                try await inspector.archiveAll(.pending, queue: "default") { _ in
                    steps.withLock { $0 += 1 }
                    withUnsafeCurrentTask { $0?.cancel() }
                }
            }
            do {
                _ = try await work.value
                throw BrokenRule("it was not stopped", #line)
            } catch is CancellationError {}
            try expectEqual(steps.withLock { $0 }, 1, "steps")
            let counts = try await subject.states().values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            try expectEqual((counts[.pending] ?? 0) + (counts[.archived] ?? 0), 3000, "all")
            try expect((counts[.archived] ?? 0) > 0 && (counts[.pending] ?? 0) > 0, "counts \(counts)")
        },
        Rule("tasks that are archived again while all are run are run once") { subject in
            try await subject.fill([.archived: 5])
            try await subject.put((0..<1500).map { "t\($0)" })
            try await subject.inspector.archiveAll(.pending, queue: "default")
            // A store may order them by the second.
            try await subject.advance(2)
            let runs = Mutex<[String: Int]>([:])
            let broker = subject.broker
            let worker = Task {
                while !Task.isCancelled {
                    let tasks = try await broker.dequeue([DequeueRequest(queue: "default", limit: 50)])
                    runs.withLock { runs in for id in tasks.ids { runs[id, default: 0] += 1 } }
                    _ = await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .archive(error: "again")) })
                    await Task.yield()
                }
            }
            let moved = try await subject.inspector.runAll(.archived, queue: "default")
            worker.cancel()
            _ = await worker.result
            try expectEqual(moved, 1505, "moved")
            try expectEqual(runs.withLock { $0.values.max() } ?? 1, 1, "runs of one task")
            try expectEqual(try await subject.states().count, 1505, "all")
        },
        Rule("a list shows no task twice and none in another state while the queue changes") { subject in
            try await subject.put((0..<600).map { "t\($0)" })
            let broker = subject.broker
            let mover = Task {
                while !Task.isCancelled {
                    let tasks = try await broker.dequeue([DequeueRequest(queue: "default", limit: 5)])
                    if tasks.isEmpty { return }
                    _ = await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .archive(error: "e")) })
                }
            }
            for _ in 0..<20 {
                for state in [TaskState.pending, .active, .archived] {
                    let list = try await subject.inspector.tasks(in: state, queue: "default", pageSize: 600)
                    try expect(list.tasks.allSatisfy { $0.state == state }, "states in the list of \(state)")
                    try expectEqual(Set(list.tasks.map(\.id)).count, list.tasks.count, "ids in the list of \(state)")
                }
            }
            mover.cancel()
            _ = await mover.result
            _ = try await subject.contents()
        },
    ]
}

extension ConformanceSubject {
    /// That exactly these wait, and not for long. They are gone then.
    fileprivate func expectFresh(_ ids: Set<String>, line: UInt = #line) async throws {
        let latency = try await inspector.snapshot(of: "default").latency
        try expect(latency >= .zero && latency < .seconds(60), "\(ids): a latency of \(latency)", line: line)
        let tasks = try await take(20, line: line)
        try expectEqual(Set(tasks.ids), ids, "tasks", line: line)
        try expect(tasks.allSatisfy { $0.pendingSince != nil }, "\(ids): undated", line: line)
        try await end(tasks, .drop, line: line)
    }
}
