import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let schedulerRules: [Rule] = [
        Rule("one scheduler of a group holds the lease until it ends or is freed") { subject in
            let other = try await subject.fixture.anotherBroker()
            let (broker, ttl) = (subject.broker, Duration.seconds(300))
            let before = try await subject.seconds()
            let first = try await broker.holdSchedulerLease("g", holder: "a", ttl: ttl)
            try expect(first.isHeld && first.remaining <= ttl, "\(first)")
            let after = try await subject.seconds()
            try expect(
                (before...after).contains(first.now / 1_000_000),
                "the broker's time: \(first.now), read between \(before) and \(after)"
            )
            let refused = try await other.holdSchedulerLease("g", holder: "b", ttl: ttl)
            try expect(!refused.isHeld && refused.remaining > .seconds(200) && refused.remaining <= ttl, "\(refused)")
            try expect(try await other.holdSchedulerLease("h", holder: "b", ttl: ttl).isHeld, "another group")
            try await subject.advance(200)
            try expect(try await broker.holdSchedulerLease("g", holder: "a", ttl: ttl).isHeld, "renewed")
            try await subject.advance(200)
            try expect(try await !other.holdSchedulerLease("g", holder: "b", ttl: ttl).isHeld, "renewed for its time")
            try await other.releaseSchedulerLease("g", holder: "b")
            try expect(try await !other.holdSchedulerLease("g", holder: "b", ttl: ttl).isHeld, "freed by another")
            try await subject.advance(110)
            try expect(try await other.holdSchedulerLease("g", holder: "b", ttl: ttl).isHeld, "ended")
            try expect(try await !broker.holdSchedulerLease("g", holder: "a", ttl: ttl).isHeld, "taken over")
            try await other.releaseSchedulerLease("g", holder: "b")
            try expect(try await broker.holdSchedulerLease("g", holder: "a", ttl: ttl).isHeld, "freed")
        },
        Rule("the entries of schedulers are visible until their time ends or they are removed") { subject in
            let entry = SchedulerEntry(
                id: "e",
                spec: "CRON_TZ=Europe/Berlin 0 9 * * *",
                taskType: "report",
                payload: [0, 255, 7],
                options: ["Queue(\"low\")", "MaxRetry(5)"],
                nextEnqueueAt: Date(timeIntervalSince1970: 1_893_456_000),
                previousEnqueueAt: nil
            )
            var fired = SchedulerEntry(id: "f", spec: "@every 1h", taskType: "t", payload: [])
            fired.previousEnqueueAt = Date(timeIntervalSince1970: 1_700_000_000)
            let broker = subject.broker
            try expectEqual(try await broker.schedulerEntries(), [], "at first")
            try await broker.writeSchedulerEntries([entry, fired], of: "host:1:a", ttl: .seconds(200))
            try expectEqual(try await broker.schedulerEntries(), [entry, fired], "entries")
            try await broker.writeSchedulerEntries([fired], of: "host:1:a", ttl: .seconds(200))
            try expectEqual(try await broker.schedulerEntries(), [fired], "written anew")
            try await subject.advance(150)
            try await broker.writeSchedulerEntries([entry], of: "host:2:b", ttl: .seconds(200))
            try expectEqual(Set(try await broker.schedulerEntries()), [entry, fired], "of two schedulers")
            try await subject.advance(100)
            try expectEqual(try await broker.schedulerEntries(), [entry], "when the time of one has ended")
            try await broker.clearSchedulerEntries(of: "host:2:b")
            try await broker.clearSchedulerEntries(of: "host:2:b")
            try expectEqual(try await broker.schedulerEntries(), [], "removed")
            let many = (0..<2500).map { SchedulerEntry(id: "\($0)", spec: "@daily", taskType: "t", payload: [1]) }
            try await broker.writeSchedulerEntries(many, of: "host:1:a", ttl: .seconds(200))
            try expectEqual(try await broker.schedulerEntries(), many, "thousands, in order")
            try await broker.writeSchedulerEntries([], of: "host:1:a", ttl: .seconds(200))
            try expectEqual(try await broker.schedulerEntries(), [], "none left")
        },
        Rule("the history of an entry holds its newest 1000 events, and outlives its scheduler (fault 18)") { subject in
            let start = Int64(try await subject.fixture.now().timeIntervalSince1970) - 5000
            func event(_ entry: String, _ number: Int) -> SchedulerEnqueueEvent {
                SchedulerEnqueueEvent(
                    entryID: entry,
                    taskID: "task-\(number)",
                    enqueuedAt: Date(timeIntervalSince1970: Double(start + Int64(number)))
                )
            }
            let broker = subject.broker
            let entry = SchedulerEntry(id: "e", spec: "@hourly", taskType: "t", payload: [])
            try await broker.writeSchedulerEntries([entry], of: "host:1:a", ttl: .seconds(200))
            try await broker.recordEnqueueEvents([event("e", 0), event("f", 1), event("e", 2)])
            try await broker.recordEnqueueEvents([event("e", 3)])
            try await broker.recordEnqueueEvents([])
            let all = try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 10)
            try expectEqual(all, [event("e", 3), event("e", 2), event("e", 0)], "newest first")
            let page = try await broker.enqueueEvents(ofEntry: "e", offset: 1, limit: 1)
            try expectEqual(page, [event("e", 2)], "a page")
            try expectEqual(try await broker.enqueueEvents(ofEntry: "e", offset: 9, limit: 5), [], "after the last")
            try expectEqual(try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 0), [], "none asked for")
            try expectEqual(try await broker.enqueueEvents(ofEntry: "x", offset: 0, limit: 5), [], "an unknown entry")
            try await broker.clearSchedulerEntries(of: "host:1:a")
            try expectEqual(
                try await broker.enqueueEvents(ofEntry: "f", offset: 0, limit: 10),
                [event("f", 1)],
                "after the entries were removed"
            )
            try await broker.recordEnqueueEvents((10..<1110).map { event("e", $0) })
            let newest = try await broker.enqueueEvents(ofEntry: "e", offset: 0, limit: 5000)
            try expectEqual(newest, (110..<1110).reversed().map { event("e", $0) }, "the newest 1000")
        },
        Rule("an inspector lists entries by their next time, and pages through the history of each") { subject in
            let start = Int64(try await subject.fixture.now().timeIntervalSince1970)
            func entry(_ id: String, in seconds: Int64?) -> SchedulerEntry {
                let next = seconds.map { Date(timeIntervalSince1970: Double(start + $0)) }
                return SchedulerEntry(id: id, spec: "@daily", taskType: "t", payload: [1], nextEnqueueAt: next)
            }
            let (a, b, c, d) = (entry("a", in: nil), entry("b", in: 90), entry("c", in: 60), entry("d", in: 60))
            try await subject.broker.writeSchedulerEntries([a, b], of: "host:1:a", ttl: .seconds(200))
            try await subject.broker.writeSchedulerEntries([d, c], of: "host:1:b", ttl: .seconds(200))
            let inspector = AsynqInspector(subject.broker)
            try expectEqual(try await inspector.schedulerEntries(), [c, d, b, a], "entries")
            let events = (0..<7).map { number in
                SchedulerEnqueueEvent(
                    entryID: "c",
                    taskID: "task-\(number)",
                    enqueuedAt: Date(timeIntervalSince1970: Double(start - number))
                )
            }
            try await subject.broker.recordEnqueueEvents(events)
            for (page, expected) in [(1, events[0..<3]), (2, events[3..<6]), (3, events[6...]), (4, [])] {
                let found = try await inspector.enqueueEvents(ofEntry: "c", page: page, pageSize: 3)
                try expectEqual(found, Array(expected), "page \(page)")
            }
            try expectEqual(try await inspector.enqueueEvents(ofEntry: "c"), events, "all")
            try expectEqual(try await inspector.enqueueEvents(ofEntry: "c", page: .max), [], "a page far away")
            try expectEqual(try await inspector.enqueueEvents(ofEntry: "x"), [], "an entry that is not known")
            for (page, size) in [(0, 30), (-1, 30), (1, 0), (1, -5)] {
                do {
                    _ = try await inspector.enqueueEvents(ofEntry: "c", page: page, pageSize: size)
                    throw BrokenRule("page \(page) of \(size) was accepted", #line)
                } catch let error as AsynqError {
                    try expectEqual(error.code, .invalidArgument, "page \(page) of \(size)")
                }
            }
        },
        Rule("a broker that was shut down refuses schedulers too") { subject in
            let other = try await subject.fixture.anotherBroker()
            await other.shutdown()
            let time = try await subject.seconds() - 60
            let results = await other.enqueueOccurrences([subject.occurrence("e", time)])
            try expectEqual(results.map(subject.word), ["brokerUnavailable"], "an occurrence")
            do {
                _ = try await other.holdSchedulerLease("g", holder: "a", ttl: .seconds(5))
                throw BrokenRule("a lease was given", #line)
            } catch let error as AsynqError {
                try expectEqual(error.code, .brokerUnavailable, "error")
            }
            try expectEqual(try await subject.occur("e", time), "pending", "the occurrence, later")
        },
    ]
}
