import Asynq
import Logging
import TestSupport
import Testing

/// Aggregators, and the settings of groups.
struct AggregatorTests {
    private struct Note: TaskPayload {
        static let taskType = "note"
        var text: String
    }

    private struct Digest: TaskPayload {
        static let taskType = "digest"
        static let options: [TaskOption] = [.maxRetry(2)]
        var lines: [String]
    }

    private let context = AggregationContext(
        group: "g",
        queue: "q",
        taskIDs: ["1", "2"],
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )

    @Test func `typed payloads become one, with the options of its type`() async throws {
        let aggregator = TypedAggregator(Note.self) { notes, context in
            Digest(lines: [context.group] + notes.map(\.text))
        }
        let tasks = try [Note(text: "a"), Note(text: "b")].map { try $0.asTask() }
        let made = try await aggregator.aggregate(tasks, context: context)
        #expect(made == (try Digest(lines: ["g", "a", "b"]).asTask()))
        #expect(made.options == [.maxRetry(2)])
    }

    @Test func `typed payloads become a task with any options`() async throws {
        let aggregator = TypedAggregator(Note.self) { notes, _ in
            AsynqTask("sum", payload: [UInt8(notes.count)], .queue("elsewhere"))
        }
        let made = try await aggregator.aggregate([try Note(text: "a").asTask()], context: context)
        #expect(made == AsynqTask("sum", payload: [1], .queue("elsewhere")))
    }

    @Test func `what does not decode or is of another type is rejected, with a reason that holds no value`()
        async throws
    {
        let aggregator = TypedAggregator(Note.self) { _, _ in AsynqTask("sum") }
        let tasks = [
            try Note(text: "fine").asTask(), AsynqTask("note", payload: Array(#"{"text": "secret"#.utf8)),
            AsynqTask("other", payload: Array("secret".utf8)),
        ]
        let error = await #expect(throws: RejectedTasks.self) {
            try await aggregator.aggregate(tasks, context: context)
        }
        #expect(error?.reasons.keys.sorted() == [1, 2])
        #expect(error?.reasons[2]?.contains("\"other\"") == true)
        #expect(error?.reasons.values.contains { $0.contains("secret") } == false)
    }

    @Test func `settings of groups that make no sense are refused with a sentence`() async throws {
        let aggregator = ClosureAggregator { _, _ in AsynqTask("t") }
        let cases: [(String, @Sendable (inout AsynqServer.Configuration) -> Void)] = [
            ("groupGracePeriod", { $0.groupGracePeriod = .milliseconds(999) }),
            ("groupMaxDelay", { $0.groupMaxDelay = .zero }), ("groupMaxSize", { $0.groupMaxSize = 0 }),
            ("10000", { $0.groupMaxSize = 10_001 }),
            ("groupAggregatorTimeout", { $0.groupAggregatorTimeout = .zero }),
            (
                "no groupAggregator",
                {
                    $0.groupMaxSize = 5
                    $0.groupAggregator = nil
                }
            ),
            (
                "no groupAggregator",
                {
                    $0.groupMaxDelay = .minutes(5)
                    $0.groupAggregator = nil
                }
            ),
        ]
        for (text, change) in cases {
            var configuration = AsynqServer.Configuration()
            configuration.handlesSignals = false
            configuration.groupAggregator = aggregator
            change(&configuration)
            let server = AsynqServer(NoBroker(), handler: ClosureHandler { _, _ in }, configuration: configuration)
            let error = await #expect(throws: AsynqError.self) { try await server.run() }
            #expect(error?.code == .invalidArgument && error?.message.contains(text) == true, "\(text)")
        }
    }

    @Test func `where queues lie apart, one that does not answer holds up the groups of no other`() async throws {
        let listed = Recorder<String>()
        let (answer, gate) = AsyncStream<Void>.makeStream()
        var broker = NoBroker()
        broker.servesQueuesApart = true
        broker.groups = { queues in
            if queues.contains("away") { for await _ in answer {} }
            for queue in queues { listed.add(queue) }
            return []
        }
        var settings = AsynqServer.Configuration(queues: ["one": 1, "away": 1, "other": 1])
        settings.handlesSignals = false
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        settings.groupAggregator = ClosureAggregator { _, _ in AsynqTask("t") }
        let server = AsynqServer(broker, handler: ClosureHandler { _, _ in }, configuration: settings)
        let running = Task { try await server.run() }
        try await eventually("the others are listed") { Set(listed.elements) == ["one", "other"] }
        gate.finish()
        server.shutdown()
        try await running.value
    }
}
