import Asynq
import Logging
import TestSupport
import Testing

/// Which handler gets a task, and what is wrapped round it (spec 2, "Server").
struct RoutingTests {
    /// What the handlers of a router do with a task of this type.
    private func run(_ router: TaskRouter, _ type: String, payload: [UInt8]? = nil) async throws {
        let message = TaskMessage(type: type, payload: payload, id: "1", queue: "q")
        let context = TaskContext(
            task: LeasedTask(message: message, leaseEnd: 0),
            broker: NoBroker(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            deadline: nil
        )
        try await router.handle(AsynqTask(type, payload: payload), context: context)
    }

    @Test func `the exact type comes first, then the longest beginning`() async throws {
        let calls = Recorder<String>()
        var router = TaskRouter()
        for pattern in ["image:", "image:resize:large", "image:resize", "i"] {
            try router.handle(pattern) { task, _ in calls.add("\(pattern) \(task.type)") }
        }
        for type in ["image:resize", "image:resize:small", "image:crop", "index"] { try await run(router, type) }
        #expect(
            calls.elements == [
                "image:resize image:resize", "image:resize image:resize:small", "image: image:crop", "i index",
            ]
        )
        let error = await #expect(throws: AsynqError.self) { try await run(router, "other") }
        #expect(error?.code == .handlerNotFound && error?.message.contains("\"other\"") == true)
    }

    @Test func `a pattern is registered once, and is not blank`() throws {
        var router = TaskRouter()
        try router.handle("a") { _, _ in }
        let twice = #expect(throws: AsynqError.self) { try router.handle("a") { _, _ in } }
        #expect(twice?.code == .invalidArgument && twice?.message.contains("\"a\"") == true)
        #expect(throws: AsynqError.self) { try router.handle(" ") { _, _ in } }
    }

    private struct Step: TaskMiddleware {
        let name: String
        let calls: Recorder<String>

        func handle(_ task: AsynqTask, context: TaskContext, next: any TaskHandler) async throws {
            calls.add("\(name) in")
            defer { calls.add("\(name) out") }
            try await next.handle(task, context: context)
        }
    }

    @Test func `the first middleware is the outermost, and that of a pattern is inside`() async throws {
        let calls = Recorder<String>()
        var router = TaskRouter()
        router.use(Step(name: "1", calls: calls))
        try router.handle("a", middleware: Step(name: "own", calls: calls)) { _, _ in calls.add("a") }
        // Added later, and yet round what is registered already.
        router.use(Step(name: "2", calls: calls))
        try router.handle("b") { _, _ in calls.add("b") }
        try await run(router, "a")
        #expect(calls.elements == ["1 in", "2 in", "own in", "a", "own out", "2 out", "1 out"])
        try await run(router, "b")
        #expect(calls.elements.suffix(5) == ["1 in", "2 in", "b", "2 out", "1 out"])
        // Unknown types pass through them as well.
        await #expect(throws: AsynqError.self) { try await run(router, "c") }
        #expect(calls.elements.suffix(4) == ["1 in", "2 in", "2 out", "1 out"])
    }

    private struct Email: TaskPayload {
        static let taskType = "email"
        static let options: [TaskOption] = [.queue("mail"), .maxRetry(3)]
        var userID: Int
        var note: String
    }

    @Test func `a typed payload has its type's name and options, and equal values have equal bytes`() async throws {
        let task = try Email(userID: 1, note: "ü/").asTask()
        #expect(task.type == "email" && task.options == Email.options)
        #expect(String(decoding: task.payload ?? [], as: UTF8.self) == #"{"note":"ü/","userID":1}"#)
    }

    private struct Plain: TaskPayload, Equatable {
        /// The text and nothing else.
        struct Coder: PayloadCoder {
            struct Other: Error {}

            func encode<Payload: Encodable>(_ payload: Payload) throws -> [UInt8] {
                guard let plain = payload as? Plain else { throw Other() }
                return Array(plain.text.utf8)
            }
            func decode<Payload: Decodable>(_ type: Payload.Type, from bytes: [UInt8]) throws -> Payload {
                guard let text = String(validating: bytes, as: UTF8.self), let plain = Plain(text: text) as? Payload
                else { throw Other() }
                return plain
            }
        }

        static let taskType = "plain"
        static var coder: any PayloadCoder { Coder() }
        var text: String
    }

    @Test func `a type may bring a coder of its own, whose errors are those of a payload that does not decode`()
        async throws
    {
        #expect(try Plain(text: "ü").asTask().payload == Array("ü".utf8))
        let calls = Recorder<Plain>()
        var router = TaskRouter()
        try router.handle(Plain.self) { plain, _ in calls.add(plain) }
        try await run(router, "plain", payload: Array("ü".utf8))
        #expect(calls.elements == [Plain(text: "ü")])
        let error = await #expect(throws: AsynqError.self) { try await run(router, "plain", payload: [0xFF]) }
        #expect(error?.code == .payloadDecoding && error?.message.contains("Other") == true)
    }

    @Test(arguments: [nil, "", "not json", #"{"userID": "secret"}"#, #"{"userID": 1}"#, #"["secret"]"#])
    func `a payload that does not decode says where, and not what it holds`(payload: String?) async throws {
        var router = TaskRouter()
        try router.handle(Email.self) { _, _ in }
        let error = await #expect(throws: AsynqError.self) {
            try await run(router, "email", payload: payload.map { Array($0.utf8) })
        }
        #expect(error?.code == .payloadDecoding && error?.message.contains("secret") == false)
        #expect(error?.message.contains("email") == true || error?.message.contains("Email") == true)
    }
}
