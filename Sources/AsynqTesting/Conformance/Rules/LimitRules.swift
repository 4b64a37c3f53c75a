import Asynq

extension BrokerConformance {
    static let limitRules: [Rule] = [
        Rule("with a limit of zero or less nothing is taken, listed, moved or deleted") { subject in
            let broker = subject.broker
            try await subject.fill(someOfEach)
            try await subject.accept(EnqueueRequest(message: grouped("staged", "stale")))
            _ = try await subject.staged("stale", GroupPolicy(gracePeriod: .seconds(30), maxSize: 1))
            let event = SchedulerEnqueueEvent(entryID: "e", taskID: "a", enqueuedAt: try await subject.fixture.now())
            try await broker.recordEnqueueEvents([event])
            // By now every lease, due time, retention and set has ended.
            try await subject.advance(10_000)
            let before = try await subject.contents()
            for limit in [0, -1, Int.min] {
                let tasks = try await broker.dequeue([DequeueRequest(queue: "default", limit: limit)])
                try expectEqual(tasks.ids, [], "taken")
                let forwarded = try await subject.forward(limit: limit)
                try expectEqual(forwarded, ForwardResult(moved: 0, nextDueIn: .zero), "forwarded")
                try expectEqual(try await subject.expired(limit: limit).ids, [], "expired")
                let deleted = try await broker.deleteExpiredCompleted(queue: "default", limit: limit)
                try expectEqual(deleted, 0, "deleted")
                let reclaimed = try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: limit)
                try expectEqual(reclaimed, 0, "reclaimed")
                let group = GroupReference(queue: "default", name: "g")
                let check = try await subject.stage([group], quiet, limit: limit)[0]
                try expect(check.set == nil && check.nextDueIn == .zero, "staged \(check)")
                let events = try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: limit)
                try expectEqual(events, [], "events")
                for state in TaskState.allCases where state != .aggregating {
                    let selection = TaskSelection(queue: "default", state: state)
                    let listing = try await broker.tasks(selection, offset: 0, limit: limit)
                    try expectEqual(listing.tasks.count, 0, "listed")
                    try expectEqual(listing.total, someOfEach[state] ?? 0, "total of \(state)")
                }
                for move in TaskMove.allCases {
                    for state in move.bulkStates where state != .aggregating {
                        let selection = TaskSelection(queue: "default", state: state)
                        let batch = try await broker.moveSome(selection, move, limit: limit)
                        let expected = MoveBatch(moved: 0, remaining: someOfEach[state] ?? 0)
                        try expectEqual(batch, expected, "\(move) \(state)")
                    }
                }
            }
            try await subject.expectUnchanged(before)
            // It is all there to be taken.
            try expect(try await subject.forward().moved > 0, "nothing was due")
            try expectEqual(try await subject.expired().ids, ["active-0"], "expired")
            try expectEqual(try await broker.deleteExpiredCompleted(queue: "default", limit: 10), 5, "deleted")
            try expectEqual(try await subject.reclaim(), 1, "reclaimed")
            try expectEqual(try await subject.staged("g", quiet).tasks.count, 6, "staged")
        },
        Rule("a list begins at its first task at the earliest, and a history has 1 to 90 days") { subject in
            try await subject.put("a", "b", "c")
            let selection = TaskSelection(queue: "default", state: .pending)
            for offset in [0, -1, Int.min] {
                let listing = try await subject.broker.tasks(selection, offset: offset, limit: 2)
                try expectEqual(listing.tasks.map(\.id), ["a", "b"], "tasks from \(offset)")
            }
            for (days, count) in [(Int.min, 1), (0, 1), (90, 90), (Int.max, 90)] {
                let history = try await subject.broker.history(of: ["default"], days: days)
                try expectEqual(history.map(\.count), [count], "a history of \(days) days")
            }
        },
    ]
}
