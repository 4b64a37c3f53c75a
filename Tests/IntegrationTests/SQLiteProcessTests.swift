import Asynq
import AsynqSQLite
import Foundation
import GRDB
import TestSupport
import Testing

/// Several processes on one file, and their deaths.
struct SQLiteProcessTests {
    /// A file in a folder of its own, looked at from outside.
    private final class TaskFile: Sendable {
        let folder: URL

        init() throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-test-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        var path: String { folder.appendingPathComponent("tasks.db").path }
        var uri: String { "sqlite:\(path)" }

        func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
            var settings = GRDB.Configuration()
            settings.busyMode = .timeout(60)
            let outside = try DatabaseQueue(path: path, configuration: settings)
            defer { try? outside.close() }
            return try outside.read(body)
        }

        func count(_ condition: String = "1") throws -> Int {
            try read { try Int.fetchOne($0, sql: "SELECT count(*) FROM asynq_task WHERE \(condition)") } ?? -1
        }

        func counter(_ name: String) throws -> Int {
            try read { try Int.fetchOne($0, sql: "SELECT sum(\(name)) FROM asynq_queue") } ?? -1
        }
    }

    @Test func `two workers and two producers on one file run each task once`() async throws {
        let file = try TaskFile()
        let workers = try (0..<2).map { _ in try WorkerProcess(file.uri, queue: "default", concurrency: 10) }
        for worker in workers { try await eventually("it is ready") { !worker.lines.elements.isEmpty } }
        let producers = try (0..<2).map { _ in try WorkerProcess(["produce", file.uri, "default", "20", "5000"]) }
        for producer in producers { #expect(try await producer.wait() == 0) }
        try await eventually("all have run") { workers.reduce(0) { $0 + $1.ids("end").count } >= 10_000 }
        for worker in workers { worker.signal(SIGTERM) }
        for worker in workers { #expect(try await worker.wait() == 0) }
        let started = workers.flatMap { $0.ids("start") }
        #expect(started.count == 10_000)
        #expect(Set(started).count == 10_000)
        #expect(workers.allSatisfy { !$0.ids("start").isEmpty })
        #expect(try file.count() == 0)
        #expect(try file.counter("processed") == 10_000)
        #expect(try file.counter("failed") == 0)
    }

    @Test func `a producer that is killed has lost nothing that was acknowledged`() async throws {
        let file = try TaskFile()
        var stored: Set<String> = []
        for _ in 0..<6 {
            let producer = try WorkerProcess(["produce", file.uri, "default", "20", "1000000"])
            await producer.lines.wait(for: Int.random(in: 1...3000))
            producer.signal(SIGKILL)
            #expect(try await producer.wait() == SIGKILL)
            stored.formUnion(producer.ids("stored"))
            let (check, ids) = try file.read { db in
                (
                    try String.fetchAll(db, sql: "PRAGMA integrity_check"),
                    try String.fetchSet(db, sql: "SELECT id FROM asynq_task WHERE state = 2")
                )
            }
            #expect(check == ["ok"])
            #expect(stored.subtracting(ids).isEmpty)
        }
        // Those that were stored without an acknowledgement too: all that is there is whole, and can be worked on.
        let waiting = try file.count()
        #expect(waiting >= stored.count)
        let worker = try WorkerProcess(file.uri, queue: "default", concurrency: 10)
        try await eventually("all have run") { worker.ids("end").count >= waiting }
        worker.signal(SIGTERM)
        #expect(try await worker.wait() == 0)
        #expect(stored.subtracting(worker.ids("start")).isEmpty)
        #expect(worker.ids("start").count == waiting)
        #expect(try file.count() == 0)
    }

    @Test func `the tasks of a worker that is killed are recovered when their leases are over`() async throws {
        let file = try TaskFile()
        let ids = (0..<20).map { "task-\($0)" }
        let producer = try SQLiteBroker(path: file.path, logger: .silent)
        for id in ids { try await AsynqClient(producer).enqueue(AsynqTask("hang", .taskID(id))) }
        await producer.shutdown()
        let worker = try WorkerProcess(file.uri, queue: "default", concurrency: 20)
        try await eventually("all run") { worker.ids("start").count == 20 }
        worker.signal(SIGKILL)
        _ = try await worker.wait()
        #expect(try file.count("state = 3") == 20)
        let ends = try file.read { db in
            try Int64.fetchAll(db, sql: "SELECT position FROM asynq_task WHERE state = 3 ORDER BY position")
        }

        let settings = configuration {
            $0.recovererInterval = .milliseconds(20)
            $0.retryDelay = { _, _, _ in .zero }
        }
        // 30 s after the end of a lease somebody else may have its task. By a clock that stands still.
        for (time, isOver) in [(ends[0] + 29_000_000, false), (ends[19] + 31_000_000, true)] {
            let broker = try SQLiteBroker(path: file.path, logger: .silent) { time }
            let runs = Recorder<String>()
            let handler = ClosureHandler { _, context in runs.add(context.taskID) }
            try await withServer(broker, settings, handler: handler) { _ in
                if isOver {
                    await runs.wait(for: 20)
                    try await eventually("all are stored") { try file.count() == 0 }
                } else {
                    try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("other")))
                    await runs.wait(for: 1)
                }
            }
            #expect(runs.elements.sorted() == (isOver ? ids.sorted() : ["other"]))
            await broker.shutdown()
        }
        // Each recovery counts as a failure, so that a task that kills its process ends in the archive.
        #expect(try file.counter("failed") == 20)
    }

    @Test func `a worker that ends hands back what it runs, and the next process goes on with it`() async throws {
        let file = try TaskFile()
        let broker = try SQLiteBroker(path: file.path, logger: .silent)
        for number in 0..<10 { try await AsynqClient(broker).enqueue(AsynqTask("hang", .taskID("\(number)"))) }
        let worker = try WorkerProcess(file.uri, queue: "default", concurrency: 5, shutdownMilliseconds: 50)
        try await eventually("five run") { worker.ids("start").count == 5 }
        worker.signal(SIGTERM)
        #expect(try await worker.wait() == 0)
        #expect(try file.count("state = 2") == 10)
        // Those that had begun come first.
        let next = try await broker.dequeue([DequeueRequest(queue: "default", limit: 5)]).map(\.message.id)
        #expect(Set(next) == Set(worker.ids("start")))
        await broker.shutdown()
    }

    /// What a user with few rights is told.
    private func tryOut(_ path: String) async throws -> String {
        let process = try WorkerProcess(["try", "sqlite:\(path)"])
        await process.lines.wait(for: 1)
        _ = try await process.wait()
        return process.lines.elements[0]
    }

    private func setMode(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test func `a file or a folder without the right to write is refused at the start, and says so`() async throws {
        let file = try TaskFile()
        let broker = try SQLiteBroker(path: file.path, logger: .silent)
        try await AsynqClient(broker).enqueue(AsynqTask("t"))
        await broker.shutdown()

        // Everybody may write: this shows that the others fail for want of the right alone.
        try setMode(0o777, file.folder.path)
        try setMode(0o666, file.path)
        #expect(try await tryOut(file.path).hasPrefix("stored "))
        #expect(try file.count() == 2)

        let refusal =
            "failed brokerFailure the file \(file.path) cannot be written: this user may only read the file or its folder"
        try setMode(0o444, file.path)
        #expect(try await tryOut(file.path) == refusal)
        try setMode(0o666, file.path)
        // SQLite has two more files beside it.
        try setMode(0o555, file.folder.path)
        #expect(try await tryOut(file.path) == refusal)
        let new = file.folder.appendingPathComponent("new.db").path
        #expect(
            try await tryOut(new)
                == "failed brokerFailure the file \(new) cannot be opened: does its folder exist, and may this user write there?"
        )
        try setMode(0o777, file.folder.path)
        #expect(try file.count() == 2)
    }
}
