import Asynq

extension BrokerConformance {
    private static let lost = FinishRequest.Outcome.retry(delay: .seconds(60), error: "lost", countsAsFailure: true)

    static let leaseRules: [Rule] = [
        Rule("a lease ends after 30 s and is left alone for 30 s more, by the store's clock (fault 15)") { subject in
            let start = try await subject.fixture.now()
            let task = try await subject.start(message("a"))
            try await subject.advance(57)
            let early = try await subject.expired()
            let recovery = try await subject.end([task], lost, isRecovery: true)
            try await subject.expectWithin(60, of: start)
            try expectEqual(early.ids, [], "after 57 s")
            try expectEqual(recovery, [false], "recovery after 57 s")
            try expectEqual(try await subject.states(), ["a": .active], "state")
            try await subject.advance(5)
            let expired = try await subject.expired()
            try expectEqual(expired.map(\.message), [message("a")], "after 62 s")
            try expectEqual(try await subject.expired("other").ids, [], "in another queue")
            try expectEqual(try await subject.end(expired, lost, isRecovery: true), [true], "recovery")
            try expectEqual(try await subject.states(), ["a": .retry], "state")
            try expectEqual(try await subject.expired().ids, [], "afterwards")
        },
        Rule("a recovered task can be archived, and cannot be ended by its old worker") { subject in
            let task = try await subject.start(message("a"))
            try await subject.advance(62)
            let expired = try await subject.expired()
            try expectEqual(
                try await subject.end(expired, .archive(error: "lost"), isRecovery: true),
                [true],
                "archive"
            )
            let before = try await subject.contents()
            for outcome in [.done, lost, .archive(error: "late"), .requeue] as [FinishRequest.Outcome] {
                try expectEqual(try await subject.end([task], outcome), [false], "\(outcome)")
            }
            try expectEqual(try await subject.contents(), before, "contents")
        },
        Rule("a worker that comes back before the recovery keeps its task") { subject in
            let task = try await subject.start(message("a"))
            try await subject.advance(62)
            let expired = try await subject.expired()
            try expectEqual(try await subject.broker.extendLeases([task]), [true], "extended")
            try expectEqual(try await subject.end(expired, lost, isRecovery: true), [false], "recovery")
            try expectEqual(try await subject.expired().ids, [], "expired")
            try expectEqual(try await subject.end([task], .done), [true], "done")
        },
        Rule("a worker may end its task after the lease while nobody has recovered it") { subject in
            let task = try await subject.start(message("a"))
            try await subject.advance(300)
            try expectEqual(try await subject.end([task], .done), [true], "done")
        },
        Rule("an extended lease is a full one") { subject in
            let task = try await subject.start(message("a"))
            var start = try await subject.fixture.now()
            for _ in 0..<4 {
                try await subject.advance(25)
                start = try await subject.fixture.now()
                try expectEqual(try await subject.broker.extendLeases([task]), [true], "extended")
            }
            try await subject.advance(57)
            let early = try await subject.expired()
            try await subject.expectWithin(60, of: start)
            try expectEqual(early.ids, [], "57 s after the last")
            try await subject.advance(5)
            try expectEqual(try await subject.expired().ids, ["a"], "62 s after the last")
        },
        Rule("a lease that is gone stays gone") { subject in
            try await subject.put("done", "kept", "retried")
            let tasks = try await subject.take(3)
            try await subject.end([tasks[0]], .done)
            try await subject.end([tasks[2]], .retry(after: 60))
            let all = tasks + [LeasedTask(message: message("x", queue: "none"), leaseEnd: 0)]
            try expectEqual(
                try await subject.broker.extendLeases(all),
                [false, true, false, false],
                "extended"
            )
            try expectEqual(try await subject.states(), ["kept": .active, "retried": .retry], "states")
        },
        Rule("expired leases are listed up to the limit, and all in the end") { subject in
            try await subject.put((0..<25).map { "t\($0)" })
            _ = try await subject.take(25)
            try await subject.advance(62)
            var recovered: Set<String> = []
            for _ in 0..<3 {
                let some = try await subject.expired(limit: 10)
                try expect(some.count <= 10, "\(some.count) at once, asked for 10")
                try expectEqual(try await subject.end(some, lost, isRecovery: true).contains(false), false, "recovery")
                recovered.formUnion(some.ids)
            }
            try expectEqual(recovered.count, 25, "recovered")
        },
        Rule("a task whose worker died has all its attempts counted, and ends") { subject in
            var fragile = message("a")
            fragile.maxRetry = 2
            try await subject.accept(EnqueueRequest(message: fragile))
            for attempt in 0..<2 {
                try expectEqual(try await subject.take().map(\.message.retried), [Int32(attempt)], "retried")
                try await subject.advance(62)
                try await subject.end(try await subject.expired(), .retry(after: 5, "lost"), isRecovery: true)
                try await subject.advance(7)
                try await subject.forward()
            }
            try expectEqual(try await subject.take().map(\.message.retried), [2], "retried")
        },
    ]
}
