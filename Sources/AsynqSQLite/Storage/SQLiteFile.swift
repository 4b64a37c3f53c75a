internal import Asynq
internal import Dispatch
internal import GRDB
internal import GRDBSQLite

/// The connections to one file: one that writes, one that reads beside it.
///
/// SQLite lets one connection write at a time, over all processes. So each process has one writer, which takes the lock
/// with BEGIN IMMEDIATE, holds it for a bounded number of tasks, and waits for the others no longer than
/// ``SQLiteConfiguration/busyTimeout``. Readers never wait and hold nobody up (WAL).
final class SQLiteFile: Sendable {
    let path: String
    /// Absolute, as SQLite itself has it.
    let realPath: String
    let writer: DatabaseQueue
    let reader: DatabaseQueue
    /// The reader's calls block, so they have a thread of their own.
    let readerQueue = DispatchQueue(label: "asynq.sqlite.reader")
    let time: @Sendable () -> Int64
    private let writerWait: LockWait

    /// Opens or makes the file, and its tables.
    init(path: String, configuration: SQLiteConfiguration, time: @escaping @Sendable () -> Int64) throws(AsynqError) {
        self.path = path
        self.time = time
        writerWait = LockWait(limit: configuration.busyTimeout)
        do {
            let settings = Self.settings(configuration, writerWait)
            // Makes the file, where another process may be doing the same: both wait for each other.
            writer = try DatabaseQueue(path: path, configuration: settings)
            let synchronous = configuration.durability == .full ? "FULL" : "NORMAL"
            let pages = configuration.maxPageCount
            try writer.writeWithoutTransaction { [writerWait] db in
                // SQLite opens what it may not write, and says so at the first task only.
                if sqlite3_db_readonly(db.sqliteConnection, "main") == 1 {
                    throw DatabaseError(resultCode: .SQLITE_READONLY)
                }
                try Self.turnLogOn(db, writerWait)
                try db.execute(sql: "PRAGMA synchronous = \(synchronous)")
                if let pages { try db.execute(sql: "PRAGMA max_page_count = \(pages)") }
                if try !Schema.isCurrent(db) {
                    try db.inTransaction(.immediate) {
                        try Schema.migrate(db)
                        return .commit
                    }
                }
            }
            realPath = try writer.writeWithoutTransaction { try Self.realPath($0) }
            var readerSettings = Self.settings(configuration, LockWait(limit: configuration.busyTimeout))
            readerSettings.prepareDatabase { db in
                try db.execute(sql: "PRAGMA query_only = 1")
                // Who reads a long list reads it once: memory that is used again is at hand, and new memory is not.
                try db.execute(sql: "PRAGMA cache_size = -1024")
            }
            reader = try DatabaseQueue(path: path, configuration: readerSettings)
        } catch {
            throw AsynqError(sqlite: error, path: path, busyTimeout: configuration.busyTimeout)
        }
    }

    /// Not by GRDB's setting, which writes to the file each time that it is the first to open it.
    private static func turnLogOn(_ db: Database, _ wait: LockWait) throws {
        var attempt = 0
        while true {
            do {
                guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                    throw DatabaseError(message: "no write-ahead log, which its file system may not support")
                }
                return
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY && wait.goOn(attempt) {
                // Of two that make the same file, SQLite refuses the second at once.
                attempt += 1
            }
        }
    }

    private static func settings(_ configuration: SQLiteConfiguration, _ wait: LockWait) -> Configuration {
        var settings = Configuration()
        settings.label = "asynq"
        settings.busyMode = .callback { wait.goOn($0) }
        settings.prepareDatabase { db in
            try db.execute(sql: "PRAGMA cache_size = -16384")
            // Checkpoints of 16 MiB: fewer of the writes that must wait for the disk.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 4000")
        }
        return settings
    }

    static func realPath(_ db: Database) throws -> String {
        try String.fetchOne(
            try db.cachedStatement(sql: "SELECT file FROM pragma_database_list WHERE name = 'main'")
        ) ?? ""
    }

    /// Reads what has been committed.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (TaskStore) throws -> Value
    ) async -> Result<Value, any Error> {
        await withCheckedContinuation { continuation in
            readerQueue.async { continuation.resume(returning: Result { try self.readNow(body) }) }
        }
    }

    /// Only on ``readerQueue``.
    func readNow<Value>(_ body: (TaskStore) throws -> Value) throws -> Value {
        try reader.writeWithoutTransaction { db in try body(TaskStore(db: db, now: time())) }
    }

    /// A number that changes when another connection commits. Only on ``readerQueue``.
    ///
    /// Every idle server asks for it a hundred times a second, so it takes the shortest way there is.
    func dataVersion() throws -> Int64 {
        try reader.writeWithoutTransaction { db in
            let statement = try db.cachedStatement(sql: "PRAGMA data_version").sqliteStatement
            defer { sqlite3_reset(statement) }
            guard sqlite3_step(statement) == SQLITE_ROW else {
                throw DatabaseError(resultCode: db.lastErrorCode, message: db.lastErrorMessage)
            }
            return sqlite3_column_int64(statement, 0)
        }
    }

    /// Does all that `body` does in one transaction. Blocks.
    ///
    /// - Parameter end: when to give up if somebody else holds the lock.
    func write<Value>(waitingUntil end: ContinuousClock.Instant, _ body: (TaskStore) throws -> Value) throws -> Value {
        writerWait.set(end: end)
        return try writer.writeWithoutTransaction { db in
            var value: Value?
            try db.inTransaction(.immediate) {
                // The time is read under the lock, so that it does not go back from one writer to the next.
                value = try body(TaskStore(db: db, now: time()))
                return .commit
            }
            guard let value else { throw AsynqError(.brokerFailure, "the transaction gave nothing") }
            return value
        }
    }

    func close() throws {
        try reader.close()
        try writer.close()
    }
}

extension AsynqError {
    /// A failure of SQLite in words that say what to do. Holds no values: they are private.
    init(sqlite error: any Error, path: String, busyTimeout: Duration) {
        if let error = error as? AsynqError {
            self = error
            return
        }
        guard let failure = error as? DatabaseError else {
            self.init(.brokerFailure, "\(path): \(Swift.type(of: error))", cause: error)
            return
        }
        let (code, text): (Code, String) =
            switch failure.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                (.brokerUnavailable, "is locked: another process has been writing for more than \(busyTimeout)")
            case .SQLITE_FULL: (.brokerFull, "cannot grow: the disk is full. Nothing was changed")
            case .SQLITE_READONLY:
                (.brokerFailure, "cannot be written: this user may only read the file or its folder")
            case .SQLITE_CANTOPEN:
                (.brokerFailure, "cannot be opened: does its folder exist, and may this user write there?")
            case .SQLITE_NOTADB: (.brokerFailure, "is no SQLite database")
            case .SQLITE_CORRUPT: (.brokerFailure, "is damaged: \(failure.message ?? "no more is known")")
            case .SQLITE_IOERR: (.brokerFailure, "cannot be read or written: the disk has failed or is full")
            case .SQLITE_TOOBIG: (.invalidArgument, "cannot hold a task of this size")
            default: (.brokerFailure, "failed: \(failure.message ?? "SQLite error \(failure.resultCode.rawValue)")")
            }
        self.init(code, "the file \(path) \(text)", cause: nil)
    }
}
