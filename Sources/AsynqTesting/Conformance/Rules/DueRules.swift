import Asynq

extension BrokerConformance {
    static let dueRules: [Rule] = [
        Rule("nothing is forwarded before its time, everything after it (fault 10)") { subject in
            try await subject.accept(EnqueueRequest(message: message("soon"), start: .after(milliseconds: 200_300)))
            try await subject.accept(EnqueueRequest(message: message("late"), start: .after(milliseconds: 400_000)))
            try await subject.end([try await subject.start(message("again"))], .retry(after: 300))
            var result = try await subject.forward()
            try expectEqual(result.moved, 0, "moved at once")
            try expect(
                result.nextDueIn.map { $0 > .seconds(150) && $0 <= .milliseconds(200_300) } == true,
                "next due in \(String(describing: result.nextDueIn))"
            )
            try await subject.advance(150)
            try expectEqual(try await subject.forward().moved, 0, "moved after 150 s")
            try await subject.advance(52)
            result = try await subject.forward()
            try expectEqual(result.moved, 1, "moved after 202 s")
            try expect(
                result.nextDueIn.map { $0 > .seconds(40) && $0 <= .seconds(99) } == true,
                "next due in \(String(describing: result.nextDueIn))"
            )
            try expectEqual(
                try await subject.states(),
                ["soon": .pending, "late": .scheduled, "again": .retry],
                "states"
            )
            try await subject.advance(200)
            result = try await subject.forward()
            try expectEqual(result, ForwardResult(moved: 2, nextDueIn: nil), "after 402 s")
            try expectEqual(
                try await subject.states(),
                ["soon": .pending, "late": .pending, "again": .pending],
                "states"
            )
            let task = try await subject.take(3).first { $0.message.id == "again" }
            try expectEqual(task?.message.retried, 1, "retried")
        },
        Rule("tasks are forwarded in the order of their times") { subject in
            for (id, seconds) in [("c", 300), ("a", 100), ("d", 400), ("b", 200)] as [(String, Int64)] {
                try await subject.accept(
                    EnqueueRequest(message: message(id), start: .after(milliseconds: seconds * 1000))
                )
            }
            try await subject.put("first")
            try await subject.advance(402)
            try await subject.forward()
            try expectEqual(try await subject.take(5).ids, ["first", "a", "b", "c", "d"], "order")
        },
        Rule("a crowd is forwarded in batches, and it is said that more are due") { subject in
            let requests = (0..<500).map { index in
                EnqueueRequest(message: message("t\(index)"), start: .after(milliseconds: 5000))
            }
            for result in await subject.broker.enqueue(requests) { _ = try result.get() }
            try await subject.advance(7)
            var moved = 0
            var steps = 0
            while true {
                let result = try await subject.forward(limit: 100)
                moved += result.moved
                steps += 1
                guard let next = result.nextDueIn else { break }
                try expectEqual(next, .zero, "more are due")
                try expect(steps < 100, "no end")
            }
            try expectEqual(moved, 500, "moved")
            try expect(steps > 1, "all in one step, in spite of the limit")
        },
        Rule("a retry without a delay is due at once") { subject in
            try await subject.end([try await subject.start(message("a"))], .retry(after: 0))
            try await subject.advance(1)
            try expectEqual(try await subject.forward().moved, 1, "moved")
            try expectEqual(try await subject.take().ids, ["a"], "tasks")
        },
        Rule("each queue is forwarded by itself") { subject in
            for queue in ["a", "b", "c"] {
                try await subject.accept(
                    EnqueueRequest(message: message("x", queue: queue), start: .after(milliseconds: 5000))
                )
            }
            try await subject.advance(7)
            let result = try await subject.broker.forward(queues: ["a", "c", "none"], limit: 10)
            try expectEqual(result, ForwardResult(moved: 2, nextDueIn: nil), "result")
            try expectEqual(try await subject.states("b"), ["x": .scheduled], "b")
        },
    ]
}
