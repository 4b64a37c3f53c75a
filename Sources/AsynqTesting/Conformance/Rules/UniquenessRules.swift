import Asynq

extension BrokerConformance {
    private static func unique(
        _ id: String,
        for ttl: Duration = .minutes(10),
        start: EnqueueRequest.Start = .now,
        queue: String = "default",
        type: String = "t",
        payload: [UInt8]? = [1]
    ) -> EnqueueRequest {
        EnqueueRequest(message: message(id, queue: queue, type: type, payload: payload), start: start, uniqueFor: ttl)
    }

    static let uniquenessRules: [Rule] = [
        Rule("while a lock is held an equal task is refused, one that differs is not") { subject in
            try await subject.accept(unique("first"))
            try await subject.refuse(unique("same"), .duplicateTask)
            try await subject.accept(unique("other payload", payload: [2]))
            try await subject.accept(unique("other type", type: "u"))
            try await subject.accept(unique("other queue", queue: "other"))
            try await subject.accept(unique("no payload", payload: nil))
            try await subject.accept(unique("empty payload", payload: []))
            try await subject.refuse(unique("no payload again", payload: nil), .duplicateTask)
            try await subject.refuse(unique("empty payload again", payload: []), .duplicateTask)
            // Only those that ask to be unique are refused.
            try await subject.put("not unique")
        },
        Rule("a lock is freed when its task is done or completed") { subject in
            for retention in [0, 60] as [Int64] {
                var request = unique("with retention \(retention)")
                request.message.retention = retention
                try await subject.accept(request)
                try await subject.end(try await subject.take(), .done)
                try await subject.accept(unique("after \(retention)"))
                try await subject.end(try await subject.take(), .done)
            }
        },
        Rule("a lock stays while its task runs, is retried, handed back or archived") { subject in
            try await subject.accept(unique("a"))
            var task = try await subject.take()
            try await subject.refuse(unique("b"), .duplicateTask)
            try await subject.end(task, .requeue)
            try await subject.refuse(unique("b"), .duplicateTask)
            task = try await subject.take()
            try await subject.end(task, .retry(after: 5))
            try await subject.refuse(unique("b"), .duplicateTask)
            try await subject.advance(7)
            try await subject.forward()
            task = try await subject.take()
            try await subject.end(task, .archive(error: "failed"))
            try await subject.refuse(unique("b"), .duplicateTask)
        },
        Rule("a lock ends with its time, which counts from the start of a scheduled task") { subject in
            try await subject.accept(unique("now", for: .seconds(100)))
            try await subject.accept(
                unique("later", for: .seconds(100), start: .after(milliseconds: 300_000), type: "u")
            )
            try await subject.advance(60)
            try await subject.refuse(unique("early"), .duplicateTask)
            try await subject.advance(50)
            try await subject.accept(unique("next"))
            try await subject.advance(230)
            try await subject.refuse(unique("early", type: "u"), .duplicateTask)
            try await subject.advance(70)
            try await subject.accept(unique("next", for: .seconds(30), queue: "other", type: "u"))
            try await subject.accept(unique("later still", type: "u"))
        },
        Rule("a task whose lock has passed to another does not free it") { subject in
            for retention in [0, 60] as [Int64] {
                let type = "t\(retention)"
                var request = unique("old \(retention)", for: .seconds(10), type: type)
                request.message.retention = retention
                try await subject.accept(request)
                let old = try await subject.take()
                try await subject.advance(12)
                try await subject.accept(unique("new \(retention)", type: type))
                try expectEqual(try await subject.end(old, .done), [true], "done")
                try await subject.refuse(unique("third \(retention)", type: type), .duplicateTask)
                try await subject.end(try await subject.take(), .done)
            }
        },
        Rule("of many equal tasks at once one is accepted") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            let accepted = await withTaskGroup(of: Int.self) { group in
                for index in 0..<40 {
                    let broker = brokers[index % 2]
                    group.addTask {
                        let results = await broker.enqueue([unique("task \(index)")])
                        return results.count { (try? $0.get()) != nil }
                    }
                }
                return await group.reduce(0, +)
            }
            try expectEqual(accepted, 1, "accepted")
            try expectEqual(try await subject.states().count, 1, "stored")
        },
    ]
}
