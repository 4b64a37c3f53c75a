import Asynq

extension BrokerConformance {
    static let aggregationRules: [Rule] = [
        Rule("an aggregated task replaces those of the set, and their locks are free") { subject in
            for id in ["a", "b"] {
                var task = grouped(id)
                task.payload = Array(id.utf8)
                try await subject.accept(EnqueueRequest(message: task, uniqueFor: .hours(1)))
            }
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            try await subject.accept(EnqueueRequest(message: grouped("next")))
            let receipt = try await subject.complete(set, with: EnqueueRequest(message: message("sum"))).get()
            try expectEqual(receipt.state, .pending, "state")
            try expectEqual(try await subject.states(), ["sum": .pending, "next": .aggregating], "states")
            try expectEqual(try await subject.take(5).map(\.message), [message("sum")], "tasks")
            for id in ["a", "b"] {
                try await subject.accept(
                    EnqueueRequest(message: message(id, payload: Array(id.utf8)), uniqueFor: .hours(1))
                )
            }
        },
        Rule("the tasks of a set are in the order in which they came, those of one moment too") { subject in
            for id in ["z", "y", "a"] { try await subject.accept(EnqueueRequest(message: grouped(id))) }
            try await subject.enqueue(["m", "b"].map { EnqueueRequest(message: grouped($0)) })
            try await subject.advance(32)
            for _ in 0..<2 {
                let set = try await subject.staged("g", quiet)
                try expectEqual(set.tasks.map(\.id), ["z", "y", "a", "m", "b"], "tasks")
                try await subject.broker.releaseAggregation(set, retryIn: .zero)
            }
        },
        Rule("an aggregation that is asked for again is done once (fault 14)") { subject in
            try await subject.accept(EnqueueRequest(message: grouped("a")))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            for _ in 0..<3 {
                let receipt = try await subject.complete(set, with: EnqueueRequest(message: message("sum"))).get()
                try expectEqual(receipt.state, .pending, "state")
            }
            try await subject.expectEnded(set)
            try expectEqual(try await subject.states(), ["sum": .pending], "states")
            try expectEqual(try await subject.contents().processed, 0, "processed")
        },
        Rule("an aggregated task may be scheduled, unique or in another group") { subject in
            for (id, state) in [("later", TaskState.scheduled), ("unique", .pending), ("grouped", .aggregating)] {
                try await subject.accept(EnqueueRequest(message: grouped("a", "of \(id)")))
                try await subject.advance(32)
                let set = try await subject.staged("of \(id)", quiet)
                var request = EnqueueRequest(message: message(id, payload: [7]))
                switch state {
                case .scheduled: request.start = .after(milliseconds: 600_000)
                case .aggregating: request.message.group = "second"
                default: request.uniqueFor = .minutes(5)
                }
                for _ in 0..<2 {
                    try expectEqual(try await subject.complete(set, with: request).get().state, state, "state")
                }
            }
            try expectEqual(
                try await subject.states(),
                ["later": .scheduled, "unique": .pending, "grouped": .aggregating],
                "states"
            )
            try await subject.refuse(
                EnqueueRequest(message: message("x", payload: [7]), uniqueFor: .minutes(5)),
                .duplicateTask
            )
            try await subject.advance(32)
            try expectEqual(try await subject.staged("second", quiet).tasks.map(\.id), ["grouped"], "second")
        },
        Rule("an aggregated task that is refused changes nothing, and another may follow") { subject in
            try await subject.put("taken")
            try await subject.accept(EnqueueRequest(message: message("lock", payload: [9]), uniqueFor: .hours(1)))
            try await subject.accept(EnqueueRequest(message: grouped("a"), uniqueFor: .hours(1)))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            let before = try await subject.contents()
            for (request, code) in [
                (EnqueueRequest(message: message("taken")), AsynqError.Code.taskIDConflict),
                (EnqueueRequest(message: message("sum", payload: [9]), uniqueFor: .hours(1)), .duplicateTask),
            ] {
                guard case .failure(let error) = try await subject.complete(set, with: request) else {
                    throw BrokenRule("\(request.message.id) was accepted", #line)
                }
                try expectEqual(error.code, code, "error")
                try expectEqual(try await subject.contents(), before, "contents")
            }
            try await subject.refuse(EnqueueRequest(message: message("b"), uniqueFor: .hours(1)), .duplicateTask)
            _ = try await subject.complete(set, with: EnqueueRequest(message: message("sum"))).get()
        },
        Rule("an aggregated task may take over the id and the lock of one that it replaces") { subject in
            try await subject.accept(EnqueueRequest(message: grouped("a"), uniqueFor: .hours(1)))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            let request = EnqueueRequest(message: message("a"), uniqueFor: .hours(1))
            _ = try await subject.complete(set, with: request).get()
            try expectEqual(try await subject.states(), ["a": .pending], "states")
            try await subject.refuse(EnqueueRequest(message: message("b"), uniqueFor: .hours(1)), .duplicateTask)
        },
        Rule("a set that is released is in its group again, as it was, and left alone for a while") { subject in
            try await subject.accept(EnqueueRequest(message: grouped("a"), uniqueFor: .hours(1)))
            try await subject.advance(5)
            try await subject.accept(EnqueueRequest(message: grouped("b")))
            try await subject.accept(EnqueueRequest(message: grouped("other", "h")))
            try await subject.advance(32)
            let before = try await subject.contents()
            let set = try await subject.staged("g", quiet)
            try await subject.broker.releaseAggregation(set, retryIn: .seconds(200))
            try expectEqual(try await subject.sorted(), subject.sorted(before), "contents")
            try expectEqual(
                Set(try await subject.broker.waitingGroups(in: ["default"]).map(\.name)),
                ["g", "h"],
                "groups"
            )
            try await subject.expectNotReady("g", quiet, due: 150...201)
            try expectEqual(try await subject.staged("h", quiet).tasks.map(\.id), ["other"], "another group")
            try await subject.expectEnded(set)
            try await subject.advance(202)
            let again = try await subject.staged("g", quiet)
            try expectEqual(again.tasks.map(\.id), ["a", "b"], "tasks")
            try expect(again.id != set.id, "the id of a set is used again")
            // And no longer than it was asked for.
            try await subject.broker.releaseAggregation(again, retryIn: .zero)
            try await subject.broker.releaseAggregation(again, retryIn: .hours(1))
            try expectEqual(try await subject.staged("g", quiet).tasks.map(\.id), ["a", "b"], "tasks")
        },
        Rule("after 2 minutes a set is stale: its tasks are in their group again, lost to who is late (fault 2)") {
            subject in
            try await subject.accept(EnqueueRequest(message: grouped("a")))
            try await subject.advance(32)
            let start = try await subject.fixture.now()
            let set = try await subject.staged("g", quiet)
            try await subject.advance(117)
            let early = try await subject.reclaim()
            // A store may count from the beginning of the second.
            try await subject.expectWithin(119, of: start)
            try expectEqual(early, 0, "reclaimed after 117 s")
            try await subject.advance(5)
            try expectEqual(try await subject.reclaim("other"), 0, "reclaimed in another queue")
            try expectEqual(try await subject.reclaim(), 1, "reclaimed after 122 s")
            try expectEqual(try await subject.reclaim(), 0, "reclaimed again")
            try expectEqual(
                try await subject.broker.waitingGroups(in: ["default"]),
                [GroupReference(queue: "default", name: "g")],
                "groups"
            )
            try await subject.expectEnded(set)
            let second = try await subject.staged("g", quiet)
            try expectEqual(second.tasks.map(\.id), ["a"], "tasks")
            try await subject.expectEnded(set)
            _ = try await subject.complete(second, with: EnqueueRequest(message: message("sum"))).get()
            try await subject.expectEnded(set)
            try expectEqual(try await subject.states(), ["sum": .pending], "states")
        },
        Rule("a set that is extended is not stale, and may be completed late while nobody has reclaimed it") {
            subject in
            try await subject.accept(EnqueueRequest(message: grouped("a")))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            for _ in 0..<2 {
                try await subject.advance(100)
                try expectEqual(try await subject.broker.extendAggregations([set]), [true], "extended")
                try expectEqual(try await subject.reclaim(), 0, "reclaimed")
            }
            try await subject.advance(500)
            _ = try await subject.complete(set, with: EnqueueRequest(message: message("sum"))).get()
            try expectEqual(try await subject.reclaim(), 0, "reclaimed")
        },
        Rule("tasks of a set that cannot be aggregated are archived, with their error and their lock") { subject in
            try await subject.accept(EnqueueRequest(message: grouped("bad"), uniqueFor: .hours(1)))
            try await subject.accept(EnqueueRequest(message: grouped("good")))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            try await subject.broker.archiveStaged(["bad": "no use", "unknown": "x"], of: set)
            try expectEqual(try await subject.states(), ["bad": .archived, "good": .aggregating], "states")
            _ = try await subject.complete(set, with: EnqueueRequest(message: message("sum"))).get()
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.mapValues(\.state), ["bad": .archived, "sum": .pending], "states")
            try expectEqual(contents.tasks["bad"]?.message.errorMessage, "no use", "error")
            try expect(contents.tasks["bad"]?.message.lastFailedAt ?? 0 > 0, "the time of the failure is missing")
            try expectEqual([contents.processed, contents.failed], [0, 0], "counters count attempts")
            try await subject.refuse(EnqueueRequest(message: message("x"), uniqueFor: .hours(1)), .duplicateTask)
        },
        Rule("many servers at once: each task is aggregated once") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            for group in 0..<5 {
                let requests = (0..<40).map { EnqueueRequest(message: grouped("\(group)-\($0)", "\(group)")) }
                for result in await subject.broker.enqueue(requests) { _ = try result.get() }
            }
            let groups = (0..<5).map { GroupReference(queue: "default", name: "\($0)") }
            let policy = GroupPolicy(gracePeriod: .seconds(30), maxSize: 10)
            let aggregated = try await withThrowingTaskGroup(of: [String].self) { tasks in
                for server in 0..<8 {
                    let broker = brokers[server % 2]
                    tasks.addTask {
                        var ids: [String] = []
                        for round in 0..<30 {
                            let checks = await broker.stageGroups(groups.shuffled(), policy: policy, limit: 2)
                            for set in try checks.compactMap({ try $0.get().set }) {
                                // Some give up.
                                if (server + round).isMultiple(of: 3) {
                                    try await broker.releaseAggregation(set, retryIn: .zero)
                                    continue
                                }
                                let id = "sum \(set.id)"
                                _ = try await broker.completeAggregation(
                                    set,
                                    with: EnqueueRequest(message: message(id))
                                ).get()
                                ids += set.tasks.map(\.id)
                            }
                        }
                        return ids
                    }
                }
                return try await tasks.reduce(into: []) { $0 += $1 }
            }
            try expectEqual(Set(aggregated).count, aggregated.count, "a task was aggregated twice")
            let left = try await subject.states().values.count { $0 == .aggregating }
            try expectEqual(aggregated.count + left, 200, "tasks")
        },
        Rule("of many who end one set at once, one succeeds") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            try await subject.accept(EnqueueRequest(message: grouped("a")))
            try await subject.advance(32)
            let set = try await subject.staged("g", quiet)
            let successes = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        if index == 13 { try await brokers[1].releaseAggregation(set, retryIn: .zero) }
                        let request = EnqueueRequest(message: message("sum \(index)"))
                        let result = await brokers[index % 2].completeAggregation(set, with: request)
                        return (try? result.get()) == nil ? 0 : 1
                    }
                }
                return try await group.reduce(0, +)
            }
            let states = try await subject.states()
            try expectEqual(states.values.count { $0 == .pending }, successes, "aggregated tasks")
            try expectEqual(states["a"] == nil ? 1 : 0, successes, "tasks that were replaced")
        },
    ]
}
