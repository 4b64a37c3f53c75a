import Asynq

extension BrokerConformance {
    /// Ready by the grace period alone.
    static let quiet = GroupPolicy(gracePeriod: .seconds(30))
    /// The same, for rules of which no step may take as long as that.
    private static let slow = GroupPolicy(gracePeriod: .seconds(300))

    static func grouped(_ id: String, _ group: String = "g", queue: String = "default") -> TaskMessage {
        var task = message(id, queue: queue)
        task.group = group
        return task
    }

    static let groupRules: [Rule] = [
        Rule("a group is ready when its newest task is as old as the grace period") { subject in
            try await subject.accept(EnqueueRequest(message: grouped("a")))
            try await subject.advance(200)
            try await subject.accept(EnqueueRequest(message: grouped("b")))
            try await subject.expectNotReady("g", slow, due: 260...301)
            try await subject.advance(200)
            try await subject.expectNotReady("g", slow, due: 60...101)
            try await subject.advance(102)
            let check = try await subject.stage("g", slow)
            try expectEqual(check.set?.tasks.map(\.id), ["a", "b"], "tasks, oldest first")
            try expectEqual(check.set?.tasks.first, grouped("a"), "message")
            try expect(check.nextDueIn == nil, "nothing is left, but due in \(String(describing: check.nextDueIn))")
            try expectEqual(try await subject.states(), ["a": .aggregating, "b": .aggregating], "states")
            try expectEqual(try await subject.broker.waitingGroups(in: ["default"]), [], "groups")
            try expect(try await subject.stage("g", slow).set == nil, "staged twice")
        },
        Rule("a group is ready when its oldest task is as old as the maximal delay, however fast it grows") { subject in
            let policy = GroupPolicy(gracePeriod: .seconds(300), maxDelay: .seconds(500))
            for id in ["a", "b", "c"] {
                try await subject.accept(EnqueueRequest(message: grouped(id)))
                try await subject.advance(150)
            }
            try await subject.expectNotReady("g", policy, due: 10...51)
            try await subject.accept(EnqueueRequest(message: grouped("d")))
            try await subject.advance(52)
            try expectEqual(try await subject.staged("g", policy).tasks.map(\.id), ["a", "b", "c", "d"], "tasks")
        },
        Rule("a group is ready when it has the maximal size, and no more are taken") { subject in
            let policy = GroupPolicy(gracePeriod: .seconds(300), maxSize: 2)
            try await subject.accept(EnqueueRequest(message: grouped("0")))
            try await subject.expectNotReady("g", policy, due: 260...301)
            for id in 1...4 {
                try await subject.advance(2)
                try await subject.accept(EnqueueRequest(message: grouped("\(id)")))
            }
            let first = try await subject.stage("g", policy)
            try expectEqual(first.set?.tasks.map(\.id), ["0", "1"], "first")
            try expectEqual(first.nextDueIn, .zero, "and the next is ready")
            try expectEqual(try await subject.staged("g", policy).tasks.map(\.id), ["2", "3"], "second")
            try await subject.expectNotReady("g", policy, due: 240...301)
            try expectEqual(
                try await subject.broker.waitingGroups(in: ["default", "none"]),
                [GroupReference(queue: "default", name: "g")],
                "groups"
            )
            try await subject.advance(302)
            try expectEqual(try await subject.staged("g", policy).tasks.map(\.id), ["4"], "the rest")
        },
        Rule("many groups are looked at together, and no more staged than asked for") { subject in
            for (queue, group) in [("x", "1"), ("x", "2"), ("y", "1"), ("y", "3")] {
                try await subject.accept(EnqueueRequest(message: grouped("\(group)", group, queue: queue)))
            }
            let groups = [("x", "1"), ("x", "none"), ("y", "3"), ("none", "1"), ("y", "1"), ("x", "2")].map {
                GroupReference(queue: $0.0, name: $0.1)
            }
            try await subject.advance(32)
            let first = try await subject.stage(groups, quiet, limit: 3)
            try expectEqual(first.count, groups.count, "results")
            for (group, check) in zip(groups, first) where group.name == "none" || group.queue == "none" {
                try expect(check.set == nil && check.nextDueIn == nil, "\(group) does not exist")
            }
            let second = try await subject.stage(groups, quiet, limit: 9)
            let all = (first + second).compactMap(\.set)
            try expectEqual(first.compactMap(\.set).count, 3, "staged first")
            try expect(
                zip(groups, first).allSatisfy { $1.set == nil || $1.set?.group == $0 },
                "a set of another group"
            )
            try expectEqual(first.count { $0.nextDueIn == .zero }, 1, "ready and not staged")
            try expectEqual(
                Set(all.map { "\($0.group.queue)\($0.group.name)\($0.tasks.map(\.id))" }),
                ["x1[\"1\"]", "x2[\"2\"]", "y1[\"1\"]", "y3[\"3\"]"],
                "sets"
            )
            for queue in ["x", "y"] { _ = try await subject.contents(queue) }
        },
        Rule("a scheduled task joins its group when it is due, and is aggregated with it (faults 2 and 20)") {
            subject in
            try await subject.accept(EnqueueRequest(message: grouped("a"), start: .after(milliseconds: 200_000)))
            try expectEqual(try await subject.broker.waitingGroups(in: ["default"]), [], "groups")
            try await subject.advance(202)
            try await subject.forward()
            try await subject.expectNotReady("g", slow, due: 240...301)
            try await subject.advance(302)
            let set = try await subject.staged("g", slow)
            try expectEqual(set.tasks.map(\.id), ["a"], "tasks")
        },
        Rule("any text names a group, and groups that look alike stay apart") { subject in
            let names = [
                "with space", "a", "a:b", "a:b:c", "{braces}", "\u{1F600}", "%_*?[", "'; --", "ü", "new\nline",
                "\u{0}nul",
            ]
            for name in names {
                try await subject.accept(EnqueueRequest(message: grouped("in \(name)", name)))
            }
            try expectEqual(
                Set(try await subject.broker.waitingGroups(in: ["default"]).map(\.name)),
                Set(names),
                "groups"
            )
            try await subject.advance(32)
            for name in names {
                let set = try await subject.staged(name, quiet)
                try expectEqual(set.tasks.map(\.id), ["in \(name)"], "tasks of \(name)")
                try await subject.broker.releaseAggregation(set, retryIn: .zero)
                let again = try await subject.staged(name, quiet)
                _ = try await subject.complete(again, with: EnqueueRequest(message: message("sum of \(name)"))).get()
            }
            try expectEqual(try await subject.states().count, names.count, "tasks left")
        },
        Rule("a group of thousands is taken in pieces, and can be put back and reclaimed whole") { subject in
            let ids = (0..<2300).map { String($0 + 10_000) }
            for result in await subject.broker.enqueue(ids.map { EnqueueRequest(message: grouped($0)) }) {
                _ = try result.get()
            }
            try await subject.advance(32)
            var sets: [AggregationSet] = []
            repeat { sets.append(try await subject.staged("g", quiet)) } while sets.last?.tasks.count == 1000
            try expectEqual(sets.map(\.tasks.count), [1000, 1000, 300], "sets")
            try expectEqual(Set(sets.flatMap(\.tasks).map(\.id)).count, 2300, "tasks")
            for set in sets { try await subject.broker.releaseAggregation(set, retryIn: .zero) }
            let policy = GroupPolicy(gracePeriod: .seconds(30), maxSize: 2200)
            let large = try await subject.staged("g", policy)
            try expectEqual(large.tasks.count, 2200, "a large set")
            try await subject.broker.releaseAggregation(large, retryIn: .zero)
            try await subject.expectEnded(large)
            try expectEqual(try await subject.staged("g", policy).tasks.count, 2200, "again")
            try await subject.advance(122)
            var reclaimed = 0
            while true {
                let count = try await subject.reclaim()
                if count == 0 { break }
                reclaimed += count
            }
            try expectEqual(reclaimed, 2200, "reclaimed")
            let all = try await subject.staged("g", GroupPolicy(gracePeriod: .seconds(30), maxSize: 10_000))
            try expectEqual(all.tasks.map(\.id).sorted(), ids, "all of them")
            _ = try await subject.complete(all, with: EnqueueRequest(message: message("sum"))).get()
            try expectEqual(try await subject.states(), ["sum": .pending], "states")
        },
        Rule("nothing to do with groups is no error") { subject in
            try expectEqual(try await subject.broker.waitingGroups(in: []), [], "groups")
            try expectEqual(try await subject.broker.waitingGroups(in: ["none"]), [], "groups")
            try expectEqual(await subject.broker.stageGroups([], policy: quiet, limit: 5).count, 0, "results")
            try expectEqual(try await subject.broker.extendAggregations([]), [], "extended")
            try expectEqual(try await subject.reclaim("none"), 0, "reclaimed")
            let never = AggregationSet(
                group: GroupReference(queue: "none", name: "g"),
                id: "1",
                tasks: [message("x", queue: "none")]
            )
            try await subject.expectEnded(never)
        },
    ]
}
