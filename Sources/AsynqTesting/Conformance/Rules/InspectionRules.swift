import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ConformanceSubject {
    var inspector: AsynqInspector { AsynqInspector(broker) }

    /// Tasks in every state, each named after it: `pending-0`, `pending-1` and so on, the oldest or earliest first. Those in
    /// groups lie in `g`. All are unique by their payload.
    func fill(_ counts: [TaskState: Int], queue: String = "default", line: UInt = #line) async throws {
        var payload: UInt8 = 0
        func request(_ state: TaskState, _ index: Int) -> EnqueueRequest {
            payload += 1
            var request = EnqueueRequest(
                message: message("\(state.rawValue)-\(index)", queue: queue, payload: [payload]),
                uniqueFor: .hours(1)
            )
            switch state {
            case .scheduled: request.start = .after(milliseconds: Int64(600_000 + index * 60_000))
            case .completed: request.message.retention = Int64(7200 + index * 600)
            case .aggregating: request.message.group = "g"
            case .active, .pending, .retry, .archived: break
            }
            return request
        }
        // Pending ones last: the others pass through there. Active ones shortly before them: their leases are short.
        for state in [.completed, .archived, .retry, .scheduled, .aggregating, .active, .pending] as [TaskState] {
            for index in 0..<(counts[state] ?? 0) {
                try await accept(request(state, index), line: line)
                switch state {
                case .active: _ = try await take(queue: queue, line: line)
                case .completed: try await end(try await take(queue: queue, line: line), .done, line: line)
                case .archived: try await end(try await take(queue: queue), .archive(error: "bad"), line: line)
                case .retry:
                    let outcome = FinishRequest.Outcome.retry(after: Int64(600 + index * 60), "try again")
                    try await end(try await take(queue: queue), outcome, line: line)
                case .pending, .scheduled, .aggregating: break
                }
                // Those of one moment have no order.
                if state == .archived || state == .aggregating { try await advance(2) }
            }
        }
    }

    /// That a queue holds what it did, or nothing.
    func expectUnchanged(_ before: StoredQueue, _ queue: String = "default", line: UInt = #line) async throws {
        let contents = try await contents(queue, line: line)
        let ids = Set(before.tasks.keys).union(contents.tasks.keys)
        let different = ids.filter { before.tasks[$0] != contents.tasks[$0] }.sorted()
        try expectEqual(different, [], "tasks that have changed", line: line)
        try expectEqual(contents.counters, before.counters, "counters", line: line)
    }

    /// That this fails with this code.
    func refuses<Value>(
        _ code: AsynqError.Code,
        line: UInt = #line,
        _ body: (AsynqInspector) async throws -> Value
    ) async throws {
        do {
            _ = try await body(inspector)
        } catch let error as AsynqError {
            return try expectEqual(error.code, code, "error \"\(error)\"", line: line)
        }
        throw BrokenRule("no error, expected \(code)", line)
    }
}

extension BrokerConformance {
    /// So many in each state, no two alike.
    static let someOfEach: [TaskState: Int] = [
        .pending: 7, .active: 1, .scheduled: 2, .retry: 3, .archived: 4, .completed: 5, .aggregating: 6,
    ]

    static let inspectionRules: [Rule] = [
        Rule("the figures of a queue are those of its tasks") { subject in
            let day = try await subject.day()
            try await subject.fill(someOfEach)
            let snapshot = try await subject.inspector.snapshot(of: "default")
            let isSameDay = try await subject.day() == day
            for (state, count) in someOfEach { try expectEqual(snapshot[state], count, "\(state)") }
            try expectEqual(snapshot.size, 28, "size")
            try expectEqual(snapshot.groups, 1, "groups")
            try expectEqual([snapshot.processed, snapshot.failed], [12, 7], "all")
            if isSameDay { try expectEqual([snapshot.processedToday, snapshot.failedToday], [12, 7], "today") }
            try expectEqual(snapshot.isPaused, false, "paused")
            try expect(snapshot.latency >= .zero && snapshot.latency < .seconds(60), "latency \(snapshot.latency)")
            try expect(snapshot.memoryUsage.map { $0 > 28 * 50 && $0 < 28 * 20_000 } ?? true, "memory")
            let distance = try await subject.fixture.now().timeIntervalSince(snapshot.time)
            // A store whose clock cannot be set says when it is now.
            try expect(distance > -5 && distance < 3600, "time \(distance) s ago")
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.count, snapshot.size, "stored")
        },
        Rule("queues are found from their first task on, and looked at all at once") { subject in
            try expectEqual(try await subject.inspector.queues(), [], "queues at first")
            try expectEqual(try await subject.inspector.snapshots(), [], "snapshots at first")
            let names = ["b", "a", "c d", "{e}", "🎌"]
            for (index, name) in names.enumerated() {
                try await subject.put((0...index).map { "t\($0)" }, queue: name)
            }
            try expectEqual(try await subject.inspector.queues(), names.sorted(), "queues")
            let snapshots = try await subject.inspector.snapshots()
            try expectEqual(snapshots.map(\.queue), names.sorted(), "names")
            for (index, name) in names.enumerated() {
                try expectEqual(snapshots.first { $0.queue == name }?.pending, index + 1, "pending in \(name)")
            }
            let some = try await subject.broker.snapshots(of: ["a", "none", "b"])
            try expectEqual(some.map { $0?.queue }, ["a", nil, "b"], "snapshots")
            try expectEqual(try await subject.broker.hasQueue("none"), false, "none")
            try expectEqual(try await subject.broker.hasQueue("🎌"), true, "🎌")
        },
        Rule("an empty queue has no latency, and each task in it counts once") { subject in
            let task = try await subject.start(message("a"))
            var snapshot = try await subject.inspector.snapshot(of: "default")
            try expectEqual([snapshot.active, snapshot.size], [1, 1], "active and size")
            try expectEqual(snapshot.latency, .zero, "latency")
            try await subject.end([task], .done)
            snapshot = try await subject.inspector.snapshot(of: "default")
            try expectEqual(
                [snapshot.size, snapshot.groups, snapshot.processed, snapshot.failed],
                [0, 0, 1, 0],
                "all"
            )
        },
        Rule("the history names the days, today first") { subject in
            let day = try await subject.day()
            try await subject.end([try await subject.start(message("a"))], .done)
            try await subject.end([try await subject.start(message("b"))], .archive(error: "e"))
            let days = try await subject.inspector.history(of: "default", days: 3)
            try await subject.put("x", queue: "other")
            let all = try await subject.inspector.history(days: 90)
            guard try await subject.day() == day else { throw TookTooLong(description: "a day ended") }
            try expectEqual(days.map(\.processed), [2, 0, 0], "processed")
            try expectEqual(days.map(\.failed), [1, 0, 0], "failed")
            try expectEqual(days.map(\.succeeded), [1, 0, 0], "succeeded")
            let times = days.map(\.day.timeIntervalSince1970)
            try expectEqual(times.map { $0.truncatingRemainder(dividingBy: 86_400) }, [0, 0, 0], "midnights")
            try expectEqual([times[0] - times[1], times[1] - times[2]], [86_400, 86_400], "days")
            try expectEqual(all.mapValues(\.count), ["default": 90, "other": 90], "all")
            try expectEqual(all["default"]?.first?.processed, 2, "today")
            for days in [0, -1, 91] {
                try await subject.refuses(.invalidArgument) { try await $0.history(of: "default", days: days) }
            }
        },
        Rule("tasks of each state are listed in order, page by page") { subject in
            try await subject.fill(someOfEach)
            for (state, count) in someOfEach {
                let group = state == .aggregating ? "g" : nil
                var ids: [String] = []
                for page in 1...(count / 2 + 1) {
                    let list = try await subject.inspector.tasks(
                        in: state,
                        queue: "default",
                        group: group,
                        page: page,
                        pageSize: 2
                    )
                    try expectEqual([list.total, list.page, list.pageSize], [count, page, 2], "page of \(state)")
                    try expectEqual(list.pageCount, (count + 1) / 2, "pages")
                    try expectEqual(list.tasks.map(\.state), list.tasks.map { _ in state }, "states")
                    ids += list.tasks.map(\.id)
                }
                try expectEqual(ids, (0..<count).map { "\(state.rawValue)-\($0)" }, "\(state)")
                let whole = try await subject.inspector.tasks(in: state, queue: "default")
                try expectEqual(whole.tasks.map(\.id), ids, "\(state) on one page")
                for page in [100, Int.max] {
                    let behind = try await subject.inspector.tasks(in: state, queue: "default", page: page)
                    try expectEqual(behind.tasks.count, 0, "tasks behind the last page")
                    try expectEqual(behind.total, count, "total behind the last page")
                }
            }
        },
        Rule("lists refuse what makes no sense") { subject in
            try await subject.put("a")
            for (page, size) in [(0, 30), (-1, 30), (1, 0), (1, -5)] {
                try await subject.refuses(.invalidArgument) {
                    try await $0.tasks(in: .pending, queue: "default", page: page, pageSize: size)
                }
            }
            try await subject.refuses(.invalidArgument) {
                try await $0.tasks(in: .pending, queue: "default", group: "g")
            }
            for state in TaskState.allCases {
                try await subject.refuses(.queueNotFound) { try await $0.tasks(in: state, queue: "none") }
            }
        },
        Rule("aggregating tasks are listed by group, and all groups one after the other") { subject in
            for (group, count) in [("b", 3), ("a", 2), ("c", 4)] {
                for index in 0..<count {
                    var task = message("\(group)\(index)")
                    task.group = group
                    try await subject.accept(EnqueueRequest(message: task))
                    try await subject.advance(2)
                }
            }
            try expectEqual(
                try await subject.inspector.groups(of: "default"),
                [GroupSize(group: "a", size: 2), GroupSize(group: "b", size: 3), GroupSize(group: "c", size: 4)],
                "groups"
            )
            let one = try await subject.inspector.tasks(in: .aggregating, queue: "default", group: "b")
            try expectEqual(one.tasks.map(\.id), ["b0", "b1", "b2"], "b")
            try expectEqual(one.tasks.map(\.group), ["b", "b", "b"], "groups of tasks")
            let none = try await subject.inspector.tasks(in: .aggregating, queue: "default", group: "none")
            try expectEqual([none.tasks.count, none.total], [0, 0], "none")
            var ids: [String] = []
            for page in 1...3 {
                let list = try await subject.inspector.tasks(
                    in: .aggregating,
                    queue: "default",
                    page: page,
                    pageSize: 4
                )
                try expectEqual(list.total, 9, "total")
                ids += list.tasks.map(\.id)
            }
            try expectEqual(ids, ["a0", "a1", "b0", "b1", "b2", "c0", "c1", "c2", "c3"], "all")
            try await subject.refuses(.queueNotFound) { try await $0.groups(of: "none") }
        },
        Rule("a task tells what is known of it in each state") { subject in
            try await subject.fill(someOfEach)
            let task = try await subject.inspector.task("retry-0", queue: "default")
            try expectEqual(task.lastError, "try again", "error")
            try expectEqual([task.retried, task.maxRetry], [1, 25], "retries")
            try expectEqual(task.type, "t", "type")
            try expectEqual(task.timeout, .seconds(1800), "timeout")
            let now = try await subject.fixture.now()
            func wait(_ id: String) async throws -> Double {
                let info = try await subject.inspector.task(id, queue: "default")
                return info.nextProcessAt.map { $0.timeIntervalSince(now) } ?? -1
            }
            // A store that is made older instead of its clock being set still counts from its own now.
            for (id, seconds) in [("scheduled-0", 600.0), ("scheduled-1", 660), ("retry-2", 720)] {
                let left = try await wait(id)
                try expect(left > seconds - 120 - 3600 && left <= seconds + 1, "\(id) in \(left) s")
            }
            let completed = try await subject.inspector.task("completed-0", queue: "default")
            try expect(completed.completedAt != nil && completed.retention == .seconds(7200), "completed")
            try expectEqual(try await subject.inspector.task("archived-0", queue: "default").lastError, "bad", "error")
            try expectEqual(try await subject.inspector.task("aggregating-0", queue: "default").group, "g", "group")
            for (id, state) in [("active-0", TaskState.active), ("pending-0", .pending)] {
                let info = try await subject.inspector.task(id, queue: "default")
                try expectEqual(info.state, state, id)
                try expectEqual(info.isOrphaned, false, "orphaned")
                try expectEqual(info.completedAt, nil, "completed")
            }
            let listed = try await subject.inspector.tasks(in: .retry, queue: "default").tasks.first
            try expectEqual(listed, task, "in the list")
        },
        Rule("an active task whose lease has ended is orphaned") { subject in
            let task = try await subject.start(message("a"))
            try await subject.broker.writeResult([7], of: task)
            try await subject.advance(32)
            for info in try await [
                subject.inspector.task("a", queue: "default"),
                subject.inspector.tasks(in: .active, queue: "default").tasks[0],
            ] {
                try expectEqual(info.isOrphaned, true, "orphaned")
                try expectEqual(info.state, .active, "state")
                try expectEqual(info.result, [7], "result")
            }
        },
        Rule("what is not there is said to be the queue or the task") { subject in
            try await subject.put("a", "b")
            let results = try await subject.inspector.tasks(["b", "none", "a"], queue: "default")
            try expectEqual(results.map { try? $0.get().id }, ["b", nil, "a"], "tasks")
            try await subject.refuses(.taskNotFound) { try await $0.task("none", queue: "default") }
            try await subject.refuses(.queueNotFound) { try await $0.task("a", queue: "none") }
            try await subject.refuses(.queueNotFound) { try await $0.snapshot(of: "none") }
            try await subject.refuses(.queueNotFound) { try await $0.history(of: "none") }
            try await subject.refuses(.queueNotFound) { try await $0.pause("none") }
            try await subject.refuses(.queueNotFound) { try await $0.resume("none") }
            try await subject.refuses(.queueNotFound) { try await $0.deleteQueue("none", force: true) }
            try expectEqual(try await subject.inspector.queues(), ["default"], "queues")
        },
        Rule("servers are shown with what they run, until their time is over") { subject in
            let task = try await subject.start(message("a", type: "image:resize", payload: [1, 2, 3]))
            let started = try await subject.fixture.now()
            let identity = ServerIdentity(host: "h:1 {x}", pid: 7, id: "id")
            var state = ServerState(
                identity: identity,
                concurrency: 10,
                queues: ["default": 3, "low": 1],
                strictPriority: true,
                status: "active",
                startedAt: started,
                workers: [.init(task: task, startedAt: started, deadline: started.addingTimeInterval(60))]
            )
            try await subject.broker.writeServerState(state, ttl: .seconds(600))
            state.identity.id = "idle"
            state.workers = []
            try await subject.broker.writeServerState(state, ttl: .seconds(600))
            let servers = try await subject.inspector.servers()
            try expectEqual(servers.map(\.identity.id), ["id", "idle"], "servers")
            try expectEqual(servers[0].identity, identity, "identity")
            try expectEqual(servers[0].queues, ["default": 3, "low": 1], "queues")
            try expectEqual(servers[0].concurrency, 10, "concurrency")
            try expectEqual(servers[0].strictPriority, true, "strict priority")
            try expectEqual(servers[0].status, "active", "status")
            try expectEqual(servers[1].workers, [], "workers of the idle one")
            let worker = servers[0].workers.first
            try expectEqual(worker?.taskID, "a", "task")
            try expectEqual(worker?.taskType, "image:resize", "type")
            try expectEqual(worker?.taskPayload, [1, 2, 3], "payload")
            let limit = worker?.deadline.map { $0.timeIntervalSince(started) } ?? 0
            try expect(abs(limit - 60) < 0.001, "deadline in \(limit) s")
            try await subject.broker.clearServerState(identity)
            try expectEqual(try await subject.inspector.servers().map(\.identity.id), ["idle"], "after one has gone")
        },
        Rule("a broker tells of itself, and hides nothing that it counts") { subject in
            try await subject.put("a")
            let info = try await subject.inspector.info()
            try expect(!info.kind.isEmpty && !info.address.isEmpty && !info.version.isEmpty, "info \(info)")
            try expect(info.sections.contains { !$0.entries.isEmpty }, "sections")
        },
    ]
}
