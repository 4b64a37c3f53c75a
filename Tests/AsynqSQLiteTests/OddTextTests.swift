import Asynq
import AsynqSQLite
import Foundation
import GRDB
import Testing

/// Whatever a queue, an id, a type, a header, an error or a payload holds comes back as it was.
struct OddTextTests {
    /// One of them, which is named by its beginning.
    struct OddText: CustomTestStringConvertible, Sendable {
        let text: String
        var testDescription: String { String(text.debugDescription.prefix(40)) }
    }

    static let texts = [
        "\0", "in\0side", "\u{1}", "🐇", "🏳️‍🌈 Ω", "quo'te", "dou\"ble", "'; DROP TABLE asynq_task; --", "%_*?[a]", "{}",
        "a:b",
        "line\nbreak\r\ttab", "back\\slash", "é", "e\u{301}", "123", "1e5", "0x10", "NULL", "\u{FEFF}bom", "\u{10FFFF}",
        String(repeating: "long", count: 10_000),
    ].map(OddText.init)

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Strings are equal if they look alike; these must have the same bytes.
    private func same(_ one: String, _ other: String) -> Bool { Array(one.utf8) == Array(other.utf8) }

    @Test(arguments: texts)
    func `odd texts go through every transition unchanged`(odd: OddText) async throws {
        let text = odd.text
        try await folder.withBroker { broker in
            let client = AsynqClient(broker)
            let task = AsynqTask(
                text,
                payload: Array(text.utf8),
                .queue(text),
                .taskID(text),
                .unique(for: .seconds(60))
            )
            try await client.enqueue(task, .header(text, text))
            let conflict = await #expect(throws: AsynqError.self) { try await client.enqueue(task) }
            #expect(conflict?.code == .taskIDConflict)
            let duplicate = await #expect(throws: AsynqError.self) { try await client.enqueue(task, .taskID("other")) }
            #expect(duplicate?.code == .duplicateTask)

            for attempt in 0...1 {
                let leased = try #require(try await broker.take(10, queue: text).first)
                let message = leased.message
                #expect(same(message.id, text) && same(message.type, text) && same(message.queue, text))
                #expect(message.payload == Array(text.utf8))
                #expect(message.headers.count == 1)
                #expect(message.headers.allSatisfy { same($0, text) && same($1, text) })
                #expect(same(message.errorMessage, attempt == 0 ? "" : text))
                #expect(try await broker.extendLeases([leased]) == [true])
                try await broker.writeResult(Array(text.utf8), of: leased)
                try await broker.cancel(taskID: text)
                let outcome: FinishRequest.Outcome =
                    attempt == 0 ? .retry(delay: .zero, error: text, countsAsFailure: true) : .done
                #expect(await broker.finish([FinishRequest(task: leased, outcome: outcome)])[0].isFinished)
                #expect(try await broker.forward(queues: [text], limit: 10).moved == (attempt == 0 ? 1 : 0))
            }
            #expect(try folder.ids() == [])
            // The lock is free again.
            try await client.enqueue(task)
        }
    }

    @Test(arguments: texts)
    func `a group keeps its name`(odd: OddText) async throws {
        let text = odd.text
        try await folder.withBroker { broker in
            try await AsynqClient(broker).enqueue(AsynqTask("t"), .group(text))
            let outside = try folder.connection()
            let bytes = try await outside.read {
                try Data.fetchOne($0, sql: "SELECT CAST(task_group AS BLOB) FROM asynq_task WHERE state = 8")
            }
            #expect(bytes == Data(text.utf8))
        }
    }

    @Test func `names that look alike stay apart in one batch`() async throws {
        let names = ["\u{E9}", "e\u{301}", "\u{C5}", "A\u{30A}", "\u{212B}"]
        try await folder.withBroker { broker in
            let tasks = names.enumerated().map { AsynqTask("t", .taskID("\($0)"), .queue($1)) }
            for result in await AsynqClient(broker).enqueue(batch: tasks) { _ = try result.get() }
            var leased: [LeasedTask] = []
            for (number, name) in names.enumerated() {
                let found = try await broker.take(10, queue: name)
                #expect(found.map(\.message.id) == ["\(number)"])
                leased += found
            }
            let results = await broker.finish(leased.map { FinishRequest(task: $0, outcome: .archive(error: "e")) })
            #expect(results.allSatisfy { $0.isFinished })
            let outside = try folder.connection()
            let failed = try await outside.read { try Int.fetchAll($0, sql: "SELECT failed FROM asynq_queue") }
            #expect(failed == [1, 1, 1, 1, 1])
        }
    }

    @Test func `a payload is any bytes, and none is not the same as an empty one`() async throws {
        let payloads: [[UInt8]?] = [
            nil, [], [0], Array(0...255), [0xFF, 0xFE, 0xC0, 0x80], Array("{\"a\":1}".utf8), [0xED, 0xA0, 0x80],
        ]
        try await folder.withBroker { broker in
            for (number, payload) in payloads.enumerated() {
                await broker.put(["\(number)"], payload: payload)
            }
            let stored = try await broker.take(100).map { $0.message.payload }
            #expect(stored == payloads)
            // Nor for uniqueness.
            for payload in payloads {
                let message = TaskMessage(type: "u", payload: payload, id: UUID().uuidString, queue: "q")
                let request = EnqueueRequest(message: message, uniqueFor: .seconds(60))
                #expect(await broker.enqueue([request])[0].failure == nil)
                var equal = request
                equal.message.id = UUID().uuidString
                #expect(await broker.enqueue([equal])[0].failure?.code == .duplicateTask)
            }
        }
    }

    /// As quick as a comparison of so many bytes can be, in a debug build too.
    private func isWhole(_ task: LeasedTask, _ payload: [UInt8]) -> Bool {
        task.message.payload.map { Data($0) } == Data(payload)
    }

    @Test(arguments: [1 << 20, 100 << 20])
    func `a large payload comes back whole`(size: Int) async throws {
        try await folder.withBroker { broker in
            var payload = [UInt8](repeating: 0x5A, count: size)
            for position in stride(from: 0, to: size, by: 4093) {
                payload[position] = UInt8(truncatingIfNeeded: position)
            }
            #expect(await broker.put(["large"], payload: payload)[0].failure == nil)
            await broker.put(["small"])
            let task = try #require(try await broker.take(1).first)
            #expect(isWhole(task, payload))
            let retry = FinishRequest.Outcome.retry(delay: .zero, error: "e", countsAsFailure: true)
            #expect(await broker.finish([FinishRequest(task: task, outcome: retry)])[0].isFinished)
            #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 1)
            let again = try #require(try await broker.take(10).last)
            #expect(again.message.id == "large" && isWhole(again, payload))
        }
    }

    @Test func `many large tasks come in several answers`() async throws {
        try await folder.withBroker { broker in
            let ids = (0..<40).map { "task-\($0)" }
            await broker.put(ids, payload: Array(repeating: 7, count: 1 << 20))
            var seen: [String] = []
            var answers = 0
            while case let tasks = try await broker.take(100), !tasks.isEmpty {
                seen += tasks.map(\.message.id)
                answers += 1
                #expect(tasks.count <= 16)
            }
            #expect(seen == ids)
            #expect(answers == 3)
        }
    }

    @Test func `a payload that SQLite cannot hold is refused, and nothing beside it`() async throws {
        try await folder.withBroker { broker in
            let large = [UInt8](repeating: 0, count: 1_000_000_000)
            let requests = ["a", "large", "b"].map { id in
                let payload = id == "large" ? large : nil
                return EnqueueRequest(message: TaskMessage(type: "t", payload: payload, id: id, queue: "default"))
            }
            let codes = await broker.enqueue(requests).map { $0.failure?.code }
            #expect(codes == [nil, .invalidArgument, nil])
            let ids = try folder.ids()
            #expect(ids == ["a", "b"])
        }
    }

    @Test func `ten thousand queues are served`() async throws {
        let names = (0..<10_000).map { "queue-\($0)" }
        try await folder.withBroker { broker in
            let now = names.map { AsynqTask("t", .queue($0)) }
            let later = names.map { AsynqTask("t", .queue($0), .processIn(.milliseconds(1))) }
            for result in await AsynqClient(broker).enqueue(batch: now + later) { _ = try result.get() }
            var moved = 0
            while moved < 10_000 { moved += try await broker.forward(queues: names, limit: 10).moved }
            let tasks = try await broker.dequeue(names.map { DequeueRequest(queue: $0, limit: 10) })
            #expect(tasks.count == 20_000)
            #expect(Set(tasks.map(\.message.queue)).count == 10_000)
            let results = await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .done) })
            #expect(results.allSatisfy { $0.isFinished })
            #expect(try await broker.expiredLeases(queues: names, limit: 10).isEmpty)
            #expect(try folder.ids() == [])
        }
    }
}
