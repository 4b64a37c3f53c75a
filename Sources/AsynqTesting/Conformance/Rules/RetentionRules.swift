import Asynq

extension BrokerConformance {
    static let retentionRules: [Rule] = [
        Rule("completed tasks are deleted when their retention is over, up to the limit") { subject in
            for id in ["short", "other", "third", "long"] {
                var kept = message(id)
                kept.retention = id == "long" ? 1000 : 100
                try await subject.end([try await subject.start(kept)], .done)
            }
            try await subject.advance(60)
            try expectEqual(try await subject.broker.deleteExpiredCompleted(queue: "default", limit: 10), 0, "early")
            try await subject.advance(42)
            try expectEqual(try await subject.broker.deleteExpiredCompleted(queue: "default", limit: 2), 2, "first")
            try expectEqual(try await subject.broker.deleteExpiredCompleted(queue: "default", limit: 2), 1, "second")
            try expectEqual(try await subject.states(), ["long": .completed], "states")
            try expectEqual(try await subject.broker.deleteExpiredCompleted(queue: "none", limit: 2), 0, "no queue")
        },
        Rule("archived tasks are deleted after 90 days, with their locks") { subject in
            let unique = EnqueueRequest(message: message("old", payload: [5]), uniqueFor: .days(365))
            try await subject.accept(unique)
            try await subject.end(try await subject.take(), .archive(error: "e"))
            try await subject.advance(89 * 86_400)
            try await subject.end([try await subject.start(message("middle"))], .archive(error: "e"))
            try expectEqual(try await subject.states(), ["old": .archived, "middle": .archived], "after 89 days")
            try await subject.advance(2 * 86_400)
            try await subject.end([try await subject.start(message("new"))], .archive(error: "e"))
            try expectEqual(try await subject.states(), ["middle": .archived, "new": .archived], "after 91 days")
            try await subject.accept(
                EnqueueRequest(message: message("next", payload: [5]), uniqueFor: .days(1))
            )
        },
        Rule("an archive holds 10 000 tasks, and the newest stay") { subject in
            let total = ArchiveLimit.count + 300
            var archived = 0
            while archived < total {
                let count = min(1000, total - archived)
                try await subject.put((archived..<archived + count).map { "t\($0)" })
                var taken: [LeasedTask] = []
                while taken.count < count {
                    taken += try await subject.broker.dequeue([DequeueRequest(queue: "default", limit: count)])
                }
                for result in await subject.broker.finish(
                    taken.map { FinishRequest(task: $0, outcome: .archive(error: "e")) }
                ) {
                    guard case .finished = result else { throw BrokenRule("not archived: \(result)", #line) }
                }
                archived += count
                // Those of one moment may be trimmed in any order.
                if archived == 1000 { try await subject.advance(2) }
            }
            let contents = try await subject.contents()
            try expectEqual(contents.tasks.count, ArchiveLimit.count, "archived")
            try expect(contents.tasks.keys.allSatisfy { Int($0.dropFirst()) ?? 0 < total }, "ids")
            let old = contents.tasks.keys.count { Int($0.dropFirst()) ?? 0 < 1000 }
            try expectEqual(old, 700, "of the oldest thousand")
        },
        Rule("a server's state can be written, written again and removed") { subject in
            let task = try await subject.start(message("a"))
            let now = try await subject.fixture.now()
            let identity = ServerIdentity(host: "h:1 {x}", pid: 1, id: "id")
            for workers in [[], [ServerState.Worker(task: task, startedAt: now, deadline: nil)]] {
                let state = ServerState(
                    identity: identity,
                    concurrency: 1,
                    queues: ["default": 1],
                    strictPriority: false,
                    status: "active",
                    startedAt: now,
                    workers: workers
                )
                try await subject.broker.writeServerState(state, ttl: .seconds(10))
            }
            try await subject.broker.clearServerState(identity)
            try await subject.broker.clearServerState(identity)
        },
    ]
}
