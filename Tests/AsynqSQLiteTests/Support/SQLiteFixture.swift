import Asynq
import AsynqSQLite
import AsynqTesting
import Foundation
import GRDB
import Logging
import Synchronization

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// A folder that is deleted with its holder.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String = "tasks.db") -> String { "\(path)/\(name)" }
}

/// A broker on a file of its own, for the conformance suite. Its time is the test's.
final class SQLiteFixture: BrokerFixture {
    private let folder: TemporaryFolder
    private let clock = ManualClock()
    private let own: SQLiteBroker
    private let others = Mutex<[SQLiteBroker]>([])
    /// Looks at the tables from outside.
    private let outside: DatabaseQueue

    init() throws {
        folder = try TemporaryFolder()
        own = try Self.open(folder, clock)
        outside = try DatabaseQueue(path: folder.file())
    }

    private static func open(_ folder: TemporaryFolder, _ clock: ManualClock) throws -> SQLiteBroker {
        try SQLiteBroker(path: folder.file(), logger: .silent) {
            Int64((clock.date.timeIntervalSince1970 * 1_000_000).rounded())
        }
    }

    var broker: any Broker { own }

    func anotherBroker() async throws -> any Broker {
        let broker = try Self.open(folder, clock)
        others.withLock { $0.append(broker) }
        return broker
    }

    func now() async throws -> Date { clock.date }
    func advance(by duration: Duration) async throws { clock.advance(by: duration) }

    func tearDown() async {
        for broker in others.withLock({ $0 }) + [own] { await broker.shutdown() }
        try? outside.close()
    }

    func contents(of queue: String) async throws -> StoredQueue {
        let today = Int64(clock.date.timeIntervalSince1970) / 86_400
        return try await outside.read { db in
            var contents = StoredQueue()
            guard let row = try Row.fetchOne(db, sql: "SELECT * FROM asynq_queue WHERE name = ?", arguments: [queue])
            else { return contents }
            let id: Int64 = row["id"]
            contents.processed = row["processed"]
            contents.failed = row["failed"]
            if let day = try Row.fetchOne(
                db,
                sql: "SELECT processed, failed FROM asynq_day WHERE queue = ? AND day = ?",
                arguments: [id, today]
            ) {
                (contents.processedToday, contents.failedToday) = (day[0], day[1])
            }
            let states: [Int64: TaskState] = [
                2: .pending, 3: .active, 4: .scheduled, 5: .retry, 6: .archived, 7: .completed, 8: .aggregating,
                9: .aggregating,
            ]
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT * FROM asynq_task WHERE queue = ? ORDER BY position, seq",
                arguments: [id]
            )
            for row in rows {
                var message = TaskMessage(
                    type: row["type"],
                    payload: (row["payload"] as Data?).map(Array.init),
                    id: row["id"],
                    queue: queue
                )
                message.maxRetry = row["max_retry"]
                message.retried = row["retried"]
                message.errorMessage = row["error"] ?? ""
                message.timeout = row["timeout"]
                message.deadline = row["deadline"]
                message.lastFailedAt = row["last_failed_at"]
                message.retention = row["retention"]
                message.completedAt = row["completed_at"]
                message.group = row["task_group"] ?? ""
                if let headers = row["headers"] as String? {
                    message.headers = try JSONDecoder().decode([String: String].self, from: Data(headers.utf8))
                }
                guard let state = states[row["state"]] else {
                    contents.faults.append("\(message.id) is in no known state")
                    continue
                }
                contents.tasks[message.id] = .init(
                    message: message,
                    state: state,
                    hasPendingSince: state == .pending,
                    result: (row["result"] as Data?).map(Array.init)
                )
                contents.places[state, default: []].append(message.id)
            }
            let orphans = try Int.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM asynq_lock WHERE queue = ? AND ends_at > ? AND NOT EXISTS
                      (SELECT 1 FROM asynq_task WHERE queue = asynq_lock.queue AND id = asynq_lock.task)
                    """,
                arguments: [id, Int64(self.clock.date.timeIntervalSince1970 * 1_000_000)]
            )
            if let orphans, orphans > 0 { contents.faults.append("\(orphans) locks of tasks that do not exist") }
            return contents
        }
    }
}
