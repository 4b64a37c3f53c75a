import Asynq

extension BrokerConformance {
    private static let ends: [FinishRequest.Outcome] = [
        .done, .drop, .retry(after: 60), .archive(error: "e"), .requeue,
    ]

    /// Ends attempts as a worker does that had no answer the first time.
    static let attemptRules: [Rule] = [
        Rule("an end that is repeated, and was stored, touches no later attempt") { subject in
            for (number, outcome) in ([.done, .retry(after: 1), .archive(error: "e"), .requeue] + ends).enumerated() {
                let queue = "q\(number)"
                let first = try await subject.start(message("a", queue: queue))
                try expectEqual(try await subject.end([first], outcome), [true], "\(outcome)")
                switch outcome {
                case .done, .drop: try await subject.put("a", queue: queue)
                case .retry, .archive:
                    _ = try await subject.broker.move([first.reference], .run)[0].get()
                case .requeue: break
                }
                let second = try await subject.take(queue: queue)
                try expectEqual(second.ids, ["a"], "second attempt after \(outcome)")
                let before = try await subject.contents(queue)
                for late in ends {
                    try expectEqual(try await subject.end([first], late, isRepeated: true), [false], "\(late)")
                    try expectEqual(try await subject.contents(queue), before, "\(late) after \(outcome)")
                }
                try expectEqual(try await subject.end(second, .done, isRepeated: true), [true], "the second's own end")
            }
        },
        Rule("an end that is repeated, and was not stored, is stored, however often the lease was extended") {
            subject in
            for (number, outcome) in ends.enumerated() {
                let queue = "q\(number)"
                let task = try await subject.start(message("a", queue: queue))
                for _ in 0..<3 {
                    try await subject.advance(7)
                    try expectEqual(try await subject.broker.extendLeases([task]), [true], "extended")
                }
                try expectEqual(try await subject.end([task], outcome, isRepeated: true), [true], "\(outcome)")
                try expectEqual(try await subject.end([task], outcome, isRepeated: true), [false], "\(outcome), again")
            }
        },
        Rule("of two attempts in one batch of repeated ends the last one ends") { subject in
            var kept = message("kept")
            kept.retention = 60
            try await subject.accept(EnqueueRequest(message: kept))
            try await subject.put("a", "b")
            let first = try await subject.take(3)
            try await subject.end(first, .requeue)
            let second = try await subject.take(3)
            let ended = try await subject.end(first + second, .done, isRepeated: true)
            try expectEqual(ended, [false, false, false, true, true, true], "ended")
            try expectEqual(try await subject.states(), ["kept": .completed], "states")
            try expectEqual(try await subject.contents().counters, [3, 0, 3, 0], "counters")
        },
        Rule("an attempt that was followed by another has no lease to extend and no result to write") { subject in
            let first = try await subject.start(message("a"))
            try await subject.end([first], .requeue)
            let second = try await subject.take()
            let extended = try await subject.broker.extendLeases([first] + second)
            try expectEqual(extended, [false, true], "extended")
            do {
                try await subject.broker.writeResult([1], of: first)
                throw BrokenRule("the first attempt has written a result", #line)
            } catch let error as AsynqError {
                try expectEqual(error.code, .taskNotFound, "error")
            }
            try await subject.broker.writeResult([2], of: second[0])
            try expectEqual(try await subject.contents().tasks["a"]?.result, [2], "result")
        },
    ]
}
