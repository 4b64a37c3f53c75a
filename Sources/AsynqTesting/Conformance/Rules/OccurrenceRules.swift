import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let occurrenceRules: [Rule] = [
        Rule("an occurrence is enqueued once, whatever has become of its task (fault 17)") { subject in
            let time = try await subject.seconds() - 60
            try expectEqual(try await subject.occur("e", time), "pending", "first")
            try expectEqual(try await subject.occur("e", time), "settled", "again")
            try await subject.end(try await subject.take(), .done)
            try expectEqual(try await subject.occur("e", time), "settled", "after it was done")
            try expectEqual(try await subject.occur("e", time - 60), "settled", "an earlier one")
            try expectEqual(try await subject.occur("e", time + 10), "pending", "the next")
            try await subject.end(try await subject.take(), .archive(error: "failed"))
            try expectEqual(try await subject.occur("e", time + 10), "settled", "after it was archived")
            try expectEqual(try await subject.occur("e", time + 20), "pending", "a task in the archive holds up none")
            try expectEqual(try await subject.occur("f", time), "pending", "another entry")
            try expectEqual(try await subject.occur("e", time, queue: "other"), "pending", "another queue")
        },
        Rule("an occurrence is not enqueued before its time on the broker's clock") { subject in
            let time = try await subject.seconds() + 300
            try expectEqual(try await subject.occur("e", time), "early", "before")
            try expectEqual(try await subject.states().count, 0, "tasks")
            let occurrence = subject.occurrence("e", time)
            guard case .success(.early(let by)) = await subject.broker.enqueueOccurrences([occurrence])[0] else {
                throw BrokenRule("not early any more", #line)
            }
            try expect(by > .seconds(200) && by <= .seconds(300), "early by \(by)")
            // Too early is not too late.
            try expectEqual(try await subject.occur("e", time - 310), "pending", "one that is due")
        },
        Rule("the mark of an entry begins with the current second, and follows its occurrences") { subject in
            let references = ["e", "f"].map { EntryReference(entryID: $0, queue: "default") }
            let before = try await subject.seconds()
            let first = try await subject.broker.entryMarks(references).map { try $0.get() }
            let after = try await subject.seconds()
            try expect(first.allSatisfy { $0 >= before * 1000 && $0 <= after * 1000 }, "marks \(first)")
            try expect(first.allSatisfy { $0 % 1000 == 0 }, "marks are whole seconds: \(first)")
            try expectEqual(try await subject.occur("e", before - 1), "settled", "what was before the first look")
            try expectEqual(
                try await subject.broker.entryMarks(references.reversed()).map { try $0.get() },
                first.reversed(),
                "marks at the second look"
            )
            try expectEqual(try await subject.occur("g", before - 100), "pending", "an entry that was not looked at")
            let other = try await subject.fixture.anotherBroker()
            let marks = await other.entryMarks([EntryReference(entryID: "g", queue: "default")])
            try expectEqual(try marks[0].get(), (before - 100) * 1000, "its mark, for all")
            try expectEqual(await other.entryMarks([]).count, 0, "no marks")
        },
        Rule("a task that is refused settles its occurrence, and changes nothing else") { subject in
            let time = try await subject.seconds() - 60
            func unique(_ time: Int64) -> EntryOccurrence {
                var occurrence = subject.occurrence("e", time)
                occurrence.request.uniqueFor = .minutes(10)
                return occurrence
            }
            try expectEqual(try await subject.occur(unique(time)), "pending", "first")
            try expectEqual(try await subject.occur(unique(time + 1)), "duplicateTask", "while its like is there")
            try expectEqual(try await subject.occur(unique(time + 1)), "settled", "asked again")
            try expectEqual(try await subject.states().count, 1, "tasks")
            try await subject.end(try await subject.take(), .done)
            try expectEqual(try await subject.occur(unique(time + 2)), "pending", "the next")
            try await subject.put("taken")
            var named = subject.occurrence("f", time)
            named.request.message.id = "taken"
            try expectEqual(try await subject.occur(named), "taskIDConflict", "an id that exists")
            try expectEqual(try await subject.occur(named), "settled", "asked again")
        },
        Rule("a batch of occurrences has one true result for each, in order") { subject in
            let time = try await subject.seconds() - 60
            var later = subject.occurrence("later", time)
            later.request.start = .after(milliseconds: 60_000)
            var grouped = subject.occurrence("grouped", time)
            grouped.request.message.group = "g"
            let results = await subject.broker.enqueueOccurrences([
                subject.occurrence("a", time), subject.occurrence("a", time + 1), subject.occurrence("a", time),
                later, grouped, subject.occurrence("b", time, queue: "other"), subject.occurrence("c", time + 3600),
                subject.occurrence("d", time),
            ])
            try expectEqual(
                results.map(subject.word),
                ["pending", "pending", "settled", "scheduled", "aggregating", "pending", "early", "pending"],
                "results"
            )
            try expectEqual(
                try await subject.take(10).ids,
                ["a:\(time)", "a:\(time + 1)", "d:\(time)"],
                "pending, in order"
            )
            try expectEqual(await subject.broker.enqueueOccurrences([]).count, 0, "results of nothing")
        },
        Rule("thousands of occurrences at once are all enqueued, and once") { subject in
            let time = try await subject.seconds() - 60
            let occurrences = (0..<3000).map { subject.occurrence("entry-\($0)", time) }
            for expected in ["pending", "settled"] {
                let words = Set(await subject.broker.enqueueOccurrences(occurrences).map(subject.word))
                try expectEqual(words, [expected], "results")
            }
            try expectEqual(try await subject.contents().places[.pending]?.count, 3000, "pending")
            let references = occurrences.map { EntryReference(entryID: $0.entryID, queue: "default") }
            let marks = Set(try await subject.broker.entryMarks(references).map { try $0.get() })
            try expectEqual(marks, [time * 1000], "marks")
        },
        Rule("of many schedulers that enqueue the same occurrences at once, one does (fault 17)") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            let time = try await subject.seconds() - 100
            let enqueued = await withTaskGroup(of: Int.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        var count = 0
                        for second in 0..<25 {
                            let occurrences = ["e", "f"].map { subject.occurrence($0, time + Int64(second)) }
                            let results = await brokers[index % 2].enqueueOccurrences(occurrences)
                            count += results.count { subject.word($0) == "pending" }
                        }
                        return count
                    }
                }
                return await group.reduce(0, +)
            }
            try expectEqual(try await subject.states().count, enqueued, "tasks, as many as were reported")
            let marks = await subject.broker.entryMarks([EntryReference(entryID: "e", queue: "default")])
            try expectEqual(try marks[0].get(), (time + 24) * 1000, "mark")
            try expect(enqueued <= 50 && enqueued >= 2, "\(enqueued) enqueued")
        },
    ]
}

extension ConformanceSubject {
    /// The store's time, in whole Unix seconds.
    func seconds() async throws -> Int64 { Int64(try await fixture.now().timeIntervalSince1970) }

    func occurrence(_ entry: String, _ seconds: Int64, queue: String = "default") -> EntryOccurrence {
        let message = message("\(entry):\(seconds)", queue: queue)
        return EntryOccurrence(entryID: entry, time: seconds * 1000, request: EnqueueRequest(message: message))
    }

    /// Enqueues one. Returns what became of it, in a word.
    func occur(_ entry: String, _ seconds: Int64, queue: String = "default", line: UInt = #line) async throws -> String
    {
        try await occur(occurrence(entry, seconds, queue: queue), line: line)
    }

    func occur(_ occurrence: EntryOccurrence, line: UInt = #line) async throws -> String {
        let results = await broker.enqueueOccurrences([occurrence])
        try expectEqual(results.count, 1, "results of an occurrence", line: line)
        _ = try await contents(occurrence.request.message.queue, line: line)
        return word(results[0])
    }

    func word(_ result: Result<OccurrenceOutcome, AsynqError>) -> String {
        switch result {
        case .success(.enqueued(let receipt)): receipt.state.rawValue
        case .success(.settled): "settled"
        case .success(.early): "early"
        case .failure(let error): error.code.description
        }
    }
}
