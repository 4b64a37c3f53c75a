import Asynq
import AsynqTesting
import Testing

private struct Note: TaskPayload {
    static let taskType = "note"
    var text: String
}

private struct Digest: TaskPayload, Equatable {
    static let taskType = "digest"
    var lines: [String]
}

private struct Busy: Error {}

/// Groups under a clock that the test moves.
struct TesterGroupTests {
    private let journal = Journal()

    private func tester(
        _ aggregator: any TaskAggregator = TypedAggregator(Note.self) { notes, _ in Digest(lines: notes.map(\.text)) },
        _ change: (inout AsynqServer.Configuration) -> Void = { _ in }
    ) throws -> AsynqTester {
        let journal = journal
        var router = TaskRouter()
        try router.handle(Digest.self) { digest, _ in journal.add(digest.lines.joined(separator: " ")) }
        return AsynqTester(handler: router, patience: .seconds(300)) {
            $0.groupAggregator = aggregator
            change(&$0)
        }
    }

    @Test func `a group is aggregated at the end of its grace period and not before`() async throws {
        let tester = try tester()
        try await tester.client.enqueue(Note(text: "a"), .group("g"))
        try await tester.advance(by: .seconds(40))
        try await tester.client.enqueue(Note(text: "b"), .group("g"))
        try await tester.advance(by: .seconds(60) - .nanoseconds(1))
        #expect(journal.all == [])
        #expect(tester.broker.tasks(in: .aggregating).count == 2)
        try await tester.advance(by: .nanoseconds(1))
        #expect(journal.all == ["a b"])
        #expect(try tester.broker.enqueued(Digest.self) == [Digest(lines: ["a", "b"])])
    }

    @Test func `the maximal delay holds, however fast the group grows`() async throws {
        let tester = try tester { $0.groupMaxDelay = .minutes(2) }
        for number in 0..<13 {
            try await tester.client.enqueue(Note(text: "\(number)"), .group("g"))
            try await tester.advance(by: .seconds(10))
        }
        #expect(journal.all == ["0 1 2 3 4 5 6 7 8 9 10 11"])
    }

    @Test func `a group of the maximal size waits for nothing`() async throws {
        let tester = try tester { $0.groupMaxSize = 2 }
        for number in 0..<5 { try await tester.client.enqueue(Note(text: "\(number)"), .group("g")) }
        try await tester.runUntilIdle()
        #expect(Set(journal.all) == ["0 1", "2 3"])
        try await tester.advance(by: .minutes(1))
        #expect(Set(journal.all) == ["0 1", "2 3", "4"])
    }

    @Test func `groups and queues are apart`() async throws {
        let tester = try tester { $0.queues = ["default": 1, "low": 1] }
        try await tester.client.enqueue(Note(text: "a"), .group("g"))
        try await tester.client.enqueue(Note(text: "b"), .group("h"))
        try await tester.client.enqueue(Note(text: "c"), .group("g"), .queue("low"))
        try await tester.advance(by: .minutes(1))
        #expect(Set(journal.all) == ["a", "b", "c"])
        let digests = tester.broker.enqueued.filter { $0.type == Digest.taskType }
        #expect(digests.map(\.queue).sorted() == ["default", "default", "low"])
    }

    @Test func `an aggregator that throws is called again later and later, and the tasks wait`() async throws {
        let journal = journal
        let aggregator = ClosureAggregator { _, _ in
            journal.add("call")
            throw Busy()
        }
        let tester = try tester(aggregator) { $0.groupGracePeriod = .seconds(1) }
        let info = try await tester.client.enqueue(Note(text: "a"), .group("g"))
        try await tester.advance(by: .seconds(1))
        #expect(journal.all.count == 1)
        try await tester.withServer {
            // 1, 2, 4 … 60 s: seven more calls bring it to a minute.
            for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
                let before = journal.all.count
                tester.clock.advance(by: .seconds(wait))
                while journal.all.count == before { await Task.yield() }
                await tester.broker.waitUntilIdle()
            }
        }
        #expect(tester.broker.task(info.id)?.state == .aggregating)
    }

    @Test func `tasks of a server that died are aggregated when their time is over`() async throws {
        let tester = try tester()
        try await tester.client.enqueue(Note(text: "a"), .group("g"))
        tester.clock.advance(by: .minutes(1))
        let group = GroupReference(queue: "default", name: "g")
        let checks = await tester.broker.stageGroups([group], policy: GroupPolicy(gracePeriod: .minutes(1)), limit: 1)
        #expect(try checks[0].get().set?.tasks.count == 1)
        tester.clock.advance(by: .minutes(2))
        try await tester.runUntilIdle()
        #expect(journal.all == ["a"])
    }

    @Test func `without an aggregator a group is nobody's business`() async throws {
        let tester = AsynqTester(handler: TaskRouter(), patience: .seconds(300))
        let info = try await tester.client.enqueue(Note(text: "a"), .group("g"))
        try await tester.advance(by: .hours(100))
        #expect(tester.broker.task(info.id)?.state == .aggregating)
    }
}
