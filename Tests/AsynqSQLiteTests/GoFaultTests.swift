import Asynq
import Foundation
import GRDB
import Synchronization
import Testing

@testable import AsynqSQLite

/// Faults of the Go system (spec 1, "Faults of the Go system"), by their numbers, where a file needs more of a look than the
/// rules take that all brokers have in common.
struct GoFaultTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A clock that a test sets, in Unix microseconds.
    private final class Clock: Sendable {
        private let microseconds = Mutex<Int64>(1_800_000_000_000_000)

        var now: Int64 { microseconds.withLock { $0 } }
        func advance(microseconds: Int64) { self.microseconds.withLock { $0 += microseconds } }
    }

    private func withBroker(_ body: (SQLiteBroker, Clock) async throws -> Void) async throws {
        let clock = Clock()
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent) { clock.now }
        do {
            try await body(broker, clock)
        } catch {
            await broker.shutdown()
            throw error
        }
        await broker.shutdown()
    }

    private func request(
        _ id: String,
        group: String = "",
        retention: Int64 = 0,
        start: EnqueueRequest.Start = .now
    ) -> EnqueueRequest {
        var message = TaskMessage(type: "t", payload: Array(id.utf8), id: id, queue: "default")
        (message.group, message.retention) = (group, retention)
        return EnqueueRequest(message: message, start: start, uniqueFor: .hours(1))
    }

    private func put(_ requests: [EnqueueRequest], _ broker: SQLiteBroker) async throws {
        for result in await broker.enqueue(requests) { _ = try result.get() }
    }

    /// How many rows each table has that knows queues.
    private func rows() async throws -> [String: Int] {
        let outside = try folder.connection()
        defer { try? outside.close() }
        return try await outside.read { db in
            let tables = try String.fetchAll(
                db,
                sql: """
                    SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                    WHERE m.type = 'table' AND c.name = 'queue' AND m.name LIKE 'asynq_%'
                    """
            )
            return try (tables + ["asynq_queue"]).reduce(into: [:]) { rows, table in
                rows[table] = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)")
            }
        }
    }

    @Test func `6: nothing is left in any table of a queue that is removed`() async throws {
        try await withBroker { broker, clock in
            let inspector = AsynqInspector(broker)
            try await put([request("done", retention: 60), request("failed")], broker)
            let tasks = try await broker.take(2)
            let outcomes: [FinishRequest.Outcome] = [.done, .archive(error: "e")]
            let ends = await broker.finish(zip(tasks, outcomes).map { FinishRequest(task: $0, outcome: $1) })
            #expect(ends.allSatisfy { $0.isFinished })
            try await put(["a", "b", "c"].map { request($0, group: $0) }, broker)
            let policy = GroupPolicy(gracePeriod: .seconds(30), maxSize: 1)
            let groups = ["a", "b", "c"].map { GroupReference(queue: "default", name: $0) }
            let sets = await broker.stageGroups(groups, policy: policy, limit: 3).compactMap { try? $0.get().set }
            #expect(sets.count == 3)
            try await broker.releaseAggregation(sets[0], retryIn: .hours(1))
            _ = try await broker.completeAggregation(sets[1], with: request("sum")).get()
            let occurrence = EntryOccurrence(entryID: "e", time: clock.now / 1000, request: request("occurrence"))
            _ = try await broker.enqueueOccurrences([occurrence])[0].get()
            try await put([request("later", start: .after(milliseconds: 60_000))], broker)
            try await inspector.pause("default")

            // There is something to be left behind in each of them.
            let before = try await rows()
            #expect(before.count >= 8 && before.values.allSatisfy { $0 > 0 }, "\(before)")
            #expect(try await inspector.deleteQueue("default", force: true) == 7)
            let left = try await rows().filter { $0.value > 0 }
            #expect(left == [:])
        }
    }

    /// A task and its place are one row, so that no id can lie in a list without its task. A row may be deleted all the same.
    @Test func `7: a task that somebody has deleted from the table holds up nobody, whatever it was doing`()
        async throws
    {
        try await withBroker { broker, clock in
            let policy = GroupPolicy(gracePeriod: .seconds(30), maxSize: 1)
            let group = GroupReference(queue: "default", name: "g")
            try await put([request("active")], broker)
            let active = try await broker.take(1)
            try await put(
                [
                    request("pending"), request("other"), request("later", start: .after(milliseconds: 1000)),
                    request("staged", group: "g"),
                ],
                broker
            )
            let set = try #require(try await broker.stageGroups([group], policy: policy, limit: 1)[0].get().set)
            let outside = try folder.connection()
            try await outside.write { try $0.execute(sql: "DELETE FROM asynq_task WHERE id <> 'other'") }
            try outside.close()

            #expect(try await broker.take(10).map(\.message.id) == ["other"])
            #expect(try await broker.extendLeases(active) == [false])
            #expect(await !broker.finish([FinishRequest(task: active[0], outcome: .done)])[0].isFinished)
            clock.advance(microseconds: 200_000_000)
            #expect(try await broker.forward(queues: ["default"], limit: 10) == ForwardResult(moved: 0, nextDueIn: nil))
            #expect(try await broker.expiredLeases(queues: ["default"], limit: 10).map(\.message.id) == ["other"])
            #expect(try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: 10) == 0)
            let late = await broker.completeAggregation(set, with: request("sum"))
            #expect(late.failure?.code == .leaseExpired)
            let snapshot = try await AsynqInspector(broker).snapshot(of: "default")
            #expect(snapshot.size == 1 && snapshot.active == 1 && snapshot.groups == 0)
            // Their ids and, once these have ended, their locks are free.
            clock.advance(microseconds: 3_600_000_000)
            try await put(["active", "pending", "later", "staged"].map { request($0) }, broker)
        }
    }

    @Test func `8: what one transaction does is bounded, whatever the call asks for`() async throws {
        try await withBroker { broker, clock in
            let most = SQLiteBroker.maxTasks
            let ids = (0..<2 * most + 1).map { "t\($0)" }
            try await put(ids.map { request($0, retention: 1, start: .after(milliseconds: 1000)) }, broker)
            clock.advance(microseconds: 1_000_000)
            for moved in [most, most, 1] {
                let result = try await broker.forward(queues: ["default"], limit: .max)
                #expect(result == ForwardResult(moved: moved, nextDueIn: moved == most ? .zero : nil))
            }
            let tasks = try await broker.take(.max)
            #expect(tasks.count == most)
            clock.advance(microseconds: 61_000_000)
            #expect(try await broker.take(.max).count == most)
            #expect(try await broker.expiredLeases(queues: ["default"], limit: .max).count == most)
            let ends = await broker.finish(tasks.map { FinishRequest(task: $0, outcome: .done) })
            #expect(ends.allSatisfy { $0.isFinished })
            try await put((0..<2 * most).map { request("more \($0)") }, broker)
            clock.advance(microseconds: 1_000_000)
            #expect(try await broker.deleteExpiredCompleted(queue: "default", limit: .max) == most)
            let pending = TaskSelection(queue: "default", state: .pending)
            let batch = try await broker.moveSome(pending, .archive, limit: .max)
            #expect(batch == MoveBatch(moved: most, remaining: most + 1))
            clock.advance(microseconds: 60_000_000)
            let deletion = try await broker.deleteQueue("default", force: true, limit: .max)
            #expect(deletion.deleted == most && !deletion.isDone)
        }
    }

    @Test func `10: no task starts before its time, which is kept to the millisecond`() async throws {
        try await withBroker { broker, clock in
            try await put([request("a", start: .at(milliseconds: clock.now / 1000 + 250))], broker)
            try await put([request("b")], broker)
            let retry = FinishRequest.Outcome.retry(delay: .milliseconds(1250), error: "e", countsAsFailure: true)
            let task = try await broker.take(1)[0]
            #expect(await broker.finish([FinishRequest(task: task, outcome: retry)])[0].isFinished)
            for (id, milliseconds) in [("a", 250), ("b", 1000)] as [(String, Int64)] {
                clock.advance(microseconds: milliseconds * 1000 - 1)
                let early = try await broker.forward(queues: ["default"], limit: 10)
                #expect(early == ForwardResult(moved: 0, nextDueIn: .microseconds(1)), "\(id)")
                clock.advance(microseconds: 1)
                #expect(try await broker.forward(queues: ["default"], limit: 10).moved == 1)
                #expect(try await broker.take(10).map(\.message.id) == [id])
            }
        }
    }
}
