import Asynq
import Foundation
import GRDB
import Logging
import Testing

@testable import AsynqSQLite

/// What is asked of a file, and what is said of one that will not do.
struct FileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func refusal(_ path: String) throws -> AsynqError {
        try #require(throws: AsynqError.self) { try SQLiteBroker(path: path, logger: .silent) }
    }

    @Test(arguments: ["", " ", "\n"])
    func `a blank path is refused`(path: String) throws {
        #expect(try refusal(path).code == .invalidArgument)
    }

    @Test func `a file in a folder that does not exist is refused, and nothing is made`() throws {
        let error = try refusal(folder.file("missing/tasks.db"))
        #expect(error.code == .brokerFailure)
        #expect(
            error.message
                == "the file \(folder.path)/missing/tasks.db cannot be opened: does its folder exist, and may this user write there?"
        )
        #expect(!FileManager.default.fileExists(atPath: folder.file("missing")))
    }

    @Test func `a folder in place of a file is refused`() throws {
        let error = try refusal(folder.path)
        #expect(error.code == .brokerFailure)
        #expect(error.message.hasPrefix("the file \(folder.path) cannot be opened"))
    }

    @Test func `a file of another kind is refused, and left as it is`() throws {
        let text = Data(repeating: UInt8(ascii: "x"), count: 10_000)
        try text.write(to: URL(fileURLWithPath: folder.file()))
        let error = try refusal(folder.file())
        #expect(error.code == .brokerFailure)
        #expect(error.message == "the file \(folder.file()) is no SQLite database")
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file())) == text)
    }

    @Test func `an empty file becomes a broker's`() async throws {
        try Data().write(to: URL(fileURLWithPath: folder.file()))
        try await folder.withBroker { broker in #expect(await broker.put(["a"])[0].failure == nil) }
        #expect(try folder.ids() == ["a"])
    }

    @Test func `a damaged file fails with a clear error, and takes no task that it would lose`() async throws {
        try await folder.withBroker { broker in
            for start in stride(from: 0, to: 5000, by: 1000) {
                await broker.put((start..<start + 1000).map { "task-\($0)" }, payload: Array(repeating: 1, count: 200))
            }
        }
        // All but the first pages, which hold the names of the tables.
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: folder.file()))
        let size = try handle.seekToEnd()
        #expect(size > 500_000)
        try handle.seek(toOffset: 8 * 4096)
        try handle.write(contentsOf: Data(repeating: 0xA5, count: Int(size) - 8 * 4096))
        try handle.close()
        do {
            try await folder.withBroker { broker in
                let error = try #require(await broker.put(["new"])[0].failure)
                #expect(error.code == .brokerFailure)
                #expect(error.message.hasPrefix("the file \(folder.file()) is damaged: "))
                let failure = await #expect(throws: AsynqError.self) { try await broker.take(10) }
                #expect(failure?.message.hasPrefix("the file \(folder.file()) is damaged: ") == true)
            }
        } catch let error as AsynqError {
            // It may be seen when the file is opened already.
            #expect(error.message.hasPrefix("the file \(folder.file()) is damaged: "))
        }
    }

    @Test func `a file of a newer version is refused, and left as it is`() async throws {
        try await folder.withBroker { broker in _ = await broker.put(["a"]) }
        let outside = try folder.connection()
        try await outside.write { try $0.execute(sql: "UPDATE asynq_schema SET version = 1000") }
        let error = try refusal(folder.file())
        #expect(error.code == .brokerFailure)
        #expect(error.message.contains("\(folder.file()) were made by a newer swift-asynq (their version is 1000, "))
        #expect(error.message.hasSuffix("update this program too"))
        #expect(try await outside.read { try Int.fetchOne($0, sql: "SELECT version FROM asynq_schema") } == 1000)
        #expect(try folder.ids() == ["a"])
    }

    @Test func `the tasks of a file of version 1 are all there, and can be worked on`() async throws {
        let outside = try folder.connection()
        try await outside.write { try $0.execute(sql: versionOne) }
        try await folder.withBroker { broker in
            try await outside.read { db in
                #expect(try Schema.isCurrent(db))
                let rows = try Row.fetchAll(db, sql: "SELECT id, state FROM asynq_task ORDER BY seq")
                #expect(rows.map { $0["id"] } == ["pending", "leased", "late", "failed", "dead", "kept", "grouped"])
                #expect(rows.map { $0["state"] } == [2, 3, 4, 5, 6, 7, 8])
                #expect(try Int.fetchOne(db, sql: "SELECT processed FROM asynq_queue") == 12)
            }
            // Everything that is due after all this time.
            #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 2)
            let tasks = try await broker.take(10)
            #expect(tasks.map(\.message.id) == ["pending", "late", "failed"])
            #expect(tasks[0].message.payload == Array("payload".utf8))
            #expect(tasks[0].message.headers == ["trace": "1"])
            #expect(tasks[2].message.retried == 1 && tasks[2].message.errorMessage == "no luck")
            #expect(
                await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .done) }).allSatisfy { $0.isFinished }
            )
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).map(\.message.id) == ["leased"])
            // The lock of the unique task holds.
            let equal = TaskMessage(type: "t", payload: nil, id: "equal", queue: "default")
            let refused = await broker.enqueue([EnqueueRequest(message: equal, uniqueFor: .seconds(60))])
            #expect(refused[0].failure?.code == .duplicateTask)
        }
    }

    @Test func `an application's own tables stay as they are`() async throws {
        let outside = try folder.connection()
        try await outside.write { db in
            try db.execute(sql: "CREATE TABLE shop_order (id INTEGER PRIMARY KEY); INSERT INTO shop_order VALUES (7)")
        }
        try await folder.withBroker { broker in _ = await broker.put(["a"]) }
        try await outside.read { db in
            #expect(try Int.fetchAll(db, sql: "SELECT id FROM shop_order") == [7])
            let tables = try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
            #expect(tables.allSatisfy { $0 == "shop_order" || $0.hasPrefix("asynq_") || $0.hasPrefix("sqlite_") })
        }
    }

    @Test(arguments: [(SQLiteConfiguration.Durability.normal, 1), (.full, 2)])
    func `durability is what the writer does`(durability: SQLiteConfiguration.Durability, synchronous: Int) async throws
    {
        try await folder.withBroker({ $0.durability = durability }) { broker in
            let (level, mode) = try await broker.file.writer.writeWithoutTransaction { db in
                try (Int.fetchOne(db, sql: "PRAGMA synchronous"), String.fetchOne(db, sql: "PRAGMA journal_mode"))
            }
            #expect(level == synchronous)
            #expect(mode == "wal")
        }
    }

    @Test func `who only looks writes nothing`() async throws {
        func data(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.file(name))) }
        try await folder.withBroker { broker in _ = await broker.put(["a"]) }
        let before = try data("tasks.db")
        try await folder.withBroker { broker in
            let pending = TaskSelection(queue: "default", state: .pending)
            let listing = try await broker.tasks(pending, offset: 0, limit: 9)
            #expect(listing.tasks.map(\.id) == ["a"])
            let log = try data("tasks.db-wal")
            #expect(log.isEmpty)
        }
        let after = try data("tasks.db")
        #expect(after == before)
    }

    @Test func `many brokers that open a new file at once make its tables once`() async throws {
        let folder = folder
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    try await folder.withBroker { broker in
                        #expect(await broker.put(["task-\(number)"])[0].failure == nil)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try Set(folder.ids()) == Set((0..<16).map { "task-\($0)" }))
    }

    @Test func `of several that make the same file at the same moment none is refused`() async throws {
        let folder = folder
        for number in 0..<60 {
            // On threads of their own, which begin together: tasks would take turns.
            let (outcomes, input) = AsyncStream<Result<SQLiteBroker, any Error>>.makeStream()
            let start = DispatchSemaphore(value: 0)
            let count = 6
            for _ in 0..<count {
                Thread.detachNewThread {
                    start.wait()
                    input.yield(
                        Result {
                            var configuration = SQLiteConfiguration()
                            configuration.busyTimeout = .seconds(60)
                            let path = folder.file("\(number).db")
                            return try SQLiteBroker(path: path, configuration: configuration, logger: .silent)
                        }
                    )
                }
            }
            for _ in 0..<count { start.signal() }
            for await outcome in outcomes.prefix(count) { await (try outcome.get()).shutdown() }
        }
    }

    @Test func `a broker that has been shut down refuses everything`() async throws {
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent)
        let watch = broker.makeWatch(queues: ["default"]) { _ in }
        await broker.shutdown()
        await broker.shutdown()
        #expect(await broker.put(["a"])[0].failure?.code == .brokerUnavailable)
        await #expect(throws: AsynqError.self) { try await broker.take(1) }
        await #expect(throws: AsynqError.self) { try await broker.ping() }
        // Returns, though nobody looks any more.
        await watch.listenForDue(in: ["default"])
        await watch.close()
    }
}
