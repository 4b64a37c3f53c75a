import ArgumentParser
import Foundation
import GRDB

/// What SQLite itself gives on this disk: rows with a unique text are inserted, then claimed and deleted, in transactions
/// of one size, by one connection in one thread.
struct RawSQLite: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "raw-sqlite")

    @Argument(help: "The file. It is made anew.")
    var path: String

    @Option(name: .shortAndLong, help: "Rows in all.")
    var n = 100_000

    @Option(help: "Rows in each transaction.")
    var batch = 1

    @Option(help: "Bytes of payload of each row.")
    var payloadBytes = 256

    @Flag(help: "Wait for the disk at each commit.")
    var full = false

    func run() throws {
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
        var configuration = Configuration()
        configuration.journalMode = .wal
        let database = try DatabaseQueue(path: path, configuration: configuration)
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = \(full ? "FULL" : "NORMAL")")
            // As the broker has it.
            try db.execute(sql: "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000")
            try db.execute(
                sql: """
                    CREATE TABLE task (seq INTEGER PRIMARY KEY, state INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, payload BLOB);
                    CREATE INDEX task_place ON task (state, seq);
                    """
            )
            try measure("raw-sqlite insert") { try insert(db) }
            try measure("raw-sqlite claim") { try claim(db) }
        }
        try database.close()
    }

    private func measure(_ name: String, _ body: () throws -> Void) throws {
        let duration = try ContinuousClock().measure { try body() }
        var report = Report(name)
        report.add("transaction", batch)
        report.add("payload_bytes", payloadBytes)
        report.add(tasks: n, in: duration)
        report.print()
    }

    private func insert(_ db: Database) throws {
        let payload = Data(repeating: UInt8(ascii: "x"), count: payloadBytes)
        let statement = try db.makeStatement(sql: "INSERT INTO task (state, id, payload) VALUES (2, ?, ?)")
        for start in stride(from: 0, to: n, by: batch) {
            try db.inTransaction(.immediate) {
                for _ in start..<min(start + batch, n) {
                    try statement.execute(arguments: [UUID().uuidString, payload])
                }
                return .commit
            }
        }
    }

    private func claim(_ db: Database) throws {
        let select = try db.makeStatement(
            sql: "SELECT seq, id, payload FROM task WHERE state = 2 ORDER BY seq LIMIT \(batch)"
        )
        let update = try db.makeStatement(sql: "UPDATE task SET state = 3 WHERE state = 2 AND seq <= ?")
        let delete = try db.makeStatement(sql: "DELETE FROM task WHERE id = ?")
        var left = n
        while left > 0 {
            var ids: [String] = []
            try db.inTransaction(.immediate) {
                var last: Int64 = 0
                let rows = try Row.fetchCursor(select)
                while let row = try rows.next() {
                    last = row[0]
                    ids.append(row[1])
                }
                try update.execute(arguments: [last])
                return .commit
            }
            guard !ids.isEmpty else { throw ValidationError("rows are missing") }
            try db.inTransaction(.immediate) {
                for id in ids { try delete.execute(arguments: [id]) }
                return .commit
            }
            left -= ids.count
        }
    }
}
