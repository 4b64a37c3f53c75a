import Asynq
import Foundation
import GRDB
import GRDBSQLite
import Synchronization
import TestSupport
import Testing

@testable import AsynqSQLite

/// That the cost of an operation does not grow with what is stored.
struct GrowthTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs each operation in each of its ways, and returns the statements that this took.
    private func statements() async throws -> Set<String> {
        let texts = Recorder<String>()
        let seconds = Mutex<Int64>(1_800_000_000)
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent) { seconds.withLock { $0 * 1_000_000 } }
        for connection in [broker.file.reader, broker.file.writer] {
            try await connection.writeWithoutTransaction { db in
                db.trace { if case .statement(let statement) = $0 { texts.add(statement.sql) } }
            }
        }
        let signals = Recorder<BrokerSignal>()
        let watch = broker.makeWatch(queues: ["default"]) { signals.add($0) }
        watch.listenForPending(in: "default", after: .zero)
        await watch.listenForDue(in: ["default"])
        try await broker.ping()

        let client = AsynqClient(broker)
        let tasks = (0..<8).map {
            AsynqTask("t", payload: [UInt8($0)], .unique(for: .hours(1)), .retention(.seconds($0)))
        }
        for result in await client.enqueue(batch: tasks) { _ = try result.get() }
        try await client.enqueue(AsynqTask("t"), .processIn(.seconds(1)))
        try await client.enqueue(AsynqTask("t"), .group("g"))
        // As another process does.
        try await SQLiteBroker(path: folder.file(), logger: .silent).cancel(taskID: "elsewhere")
        await signals.wait(for: 4)

        let outcomes: [FinishRequest.Outcome] = [
            .done, .done, .archive(error: "e"), .retry(delay: .zero, error: "e", countsAsFailure: true),
            .retry(delay: .zero, error: "e", countsAsFailure: false), .requeue,
        ]
        let leased = try await broker.take(10)
        #expect(leased.count == 8)
        #expect(try await broker.extendLeases([leased[0]]) == [true])
        try await broker.writeResult([1], of: leased[0])
        let results = await broker.finish(zip(leased, outcomes).map { FinishRequest(task: $0, outcome: $1) })
        #expect(results.allSatisfy { $0.isFinished })
        seconds.withLock { $0 += 100 }
        #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 3)
        let expired = try await broker.expiredLeases(queues: ["default"], limit: 10)
        #expect(expired.count == 2)
        let recovered = await broker.finish(
            expired.map { FinishRequest(task: $0, outcome: .archive(error: "e"), condition: .isLeaseExpired) }
        )
        #expect(recovered.allSatisfy { $0.isFinished })
        #expect(try await broker.deleteExpiredCompleted(queue: "default", limit: 10) == 1)
        // So that the archive is trimmed.
        seconds.withLock { $0 += 91 * 86_400 }
        let old = try await broker.take(1)
        #expect(await broker.finish(old.map { FinishRequest(task: $0, outcome: .archive(error: "e")) })[0].isFinished)
        let identity = ServerIdentity(host: "h", pid: 1, id: "s")
        try await broker.writeServerState(
            ServerState(
                identity: identity,
                concurrency: 1,
                queues: ["default": 1],
                strictPriority: false,
                status: "active",
                startedAt: Date(timeIntervalSince1970: 0),
                workers: []
            ),
            ttl: .seconds(10)
        )
        try await broker.clearServerState(identity)
        await watch.close()
        await broker.shutdown()
        return Set(texts.elements)
    }

    @Test func `every statement finds its rows by an index`() async throws {
        let words = ["SELECT", "INSERT", "UPDATE", "DELETE"]
        let statements = try await statements().filter { text in words.contains { text.hasPrefix($0) } }
        #expect(statements.count >= 30)
        let outside = try folder.connection()
        try await outside.read { db in
            for text in statements.sorted() {
                let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN \(text)")
                statement.setUncheckedArguments(StatementArguments())
                for row in try Row.fetchAll(statement) {
                    let step: String = row["detail"]
                    for table in ["task", "lock", "queue", "day"] {
                        #expect(!step.hasPrefix("SCAN asynq_\(table)"), "\(step): \(text)")
                    }
                    #expect(!step.contains("TEMP B-TREE"), "\(step): \(text)")
                }
            }
        }
    }

    /// How many pages an operation reads is what it costs, whatever the machine is doing.
    @Test func `the pages that a task costs do not grow with the backlog`() async throws {
        try await folder.withBroker { broker in
            var costs: [Int] = []
            for backlog in [1000, 100_000] {
                let waiting = try folder.ids().count
                for start in stride(from: waiting, to: backlog, by: 1000) {
                    await broker.put(
                        (start..<start + 1000).map { "task-\($0)" },
                        payload: Array(repeating: 7, count: 100)
                    )
                }
                let before = try await pages(broker, [SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS])
                let tasks = try await broker.take(100)
                #expect(tasks.count == 100)
                let done = await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .done) })
                #expect(done.allSatisfy { $0.isFinished })
                await broker.put((0..<100).map { "new-\(backlog)-\($0)" }, payload: Array(repeating: 7, count: 100))
                let after = try await pages(broker, [SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS])
                costs.append(after - before)
            }
            // The trees become one level deeper.
            #expect(costs[1] < costs[0] * 2, "\(costs)")
        }
    }

    /// Ids that are made at random would each be on a page of its own.
    @Test func `the pages that the end of a task writes do not grow with the backlog`() async throws {
        try await folder.withBroker { broker in
            let client = AsynqClient(broker)
            var costs: [Int] = []
            for backlog in [1000, 100_000] {
                let waiting = try folder.ids().count
                let tasks = (0..<1000).map { _ in AsynqTask("t") }
                for _ in stride(from: waiting, to: backlog, by: 1000) {
                    for result in await client.enqueue(batch: tasks) { _ = try result.get() }
                }
                let leased = try await broker.take(500)
                let before = try await pages(broker, [SQLITE_DBSTATUS_CACHE_WRITE])
                let done = await broker.finish(leased.map { FinishRequest(task: $0, outcome: .done) })
                #expect(done.count == 500 && done.allSatisfy { $0.isFinished })
                costs.append(try await pages(broker, [SQLITE_DBSTATUS_CACHE_WRITE]) - before)
            }
            #expect(costs[0] > 0 && costs[1] < costs[0] * 2, "\(costs)")
        }
    }

    @Test func `9: the pages that the end of a task costs do not grow with the tasks that are active`() async throws {
        try await folder.withBroker { broker in
            var (costs, active): ([Int], Int) = ([], 0)
            for count in [1000, 30_000] {
                for start in stride(from: active, to: count, by: 1000) {
                    await broker.put((start..<start + 1000).map { "task-\($0)" })
                    #expect(try await broker.take(1000).count == 1000)
                }
                active = count
                await broker.put((0..<100).map { "own-\(count)-\($0)" })
                let own = try await broker.take(100)
                let before = try await pages(broker, [SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS])
                let done = await broker.finish(own.map { FinishRequest(task: $0, outcome: .done) })
                #expect(done.count == 100 && done.allSatisfy { $0.isFinished })
                costs.append(
                    try await pages(broker, [SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS]) - before
                )
            }
            #expect(costs[0] > 0 && costs[1] < costs[0] * 2, "\(costs)")
        }
    }

    /// What the writer's counters of pages say in all.
    private func pages(_ broker: SQLiteBroker, _ counters: [Int32]) async throws -> Int {
        try await broker.file.writer.writeWithoutTransaction { db in
            try counters.reduce(0) { sum, counter in
                var (current, highest): (Int32, Int32) = (0, 0)
                let code = sqlite3_db_status(db.sqliteConnection, counter, &current, &highest, 0)
                guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
                return sum + Int(current)
            }
        }
    }
}
