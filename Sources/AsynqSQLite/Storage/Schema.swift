internal import Asynq
internal import GRDB

/// The tables, and how those of older versions become those of this one. All names begin with `asynq_`, so that they can
/// live in an application's own file.
enum Schema {
    /// Each step is run once for each file, in order; what has been released is never changed.
    private static let migrations: [String] = [
        """
        -- A name for each queue, and its counters for all time. Times here and below are Unix microseconds unless said otherwise.
        CREATE TABLE asynq_queue (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          name TEXT NOT NULL UNIQUE,
          paused_at INTEGER,
          processed INTEGER NOT NULL DEFAULT 0,
          failed INTEGER NOT NULL DEFAULT 0
        );
        -- One row a task. Its place is its state and its order there: `position` is the order among the pending, the end
        -- of the lease, the due time, the time of archiving or the end of the retention. What changes comes first and keeps
        -- its size, so that SQLite overwrites it and leaves a large payload behind it alone.
        CREATE TABLE asynq_task (
          seq INTEGER PRIMARY KEY,
          queue INTEGER NOT NULL,
          state INTEGER NOT NULL,
          position INTEGER NOT NULL,
          pending_since INTEGER NOT NULL,
          is_unique INTEGER NOT NULL,
          retried INTEGER NOT NULL,
          max_retry INTEGER NOT NULL,
          timeout INTEGER NOT NULL, -- seconds
          deadline INTEGER NOT NULL, -- Unix seconds
          retention INTEGER NOT NULL, -- seconds
          last_failed_at INTEGER NOT NULL, -- Unix seconds
          completed_at INTEGER NOT NULL, -- Unix seconds
          id TEXT NOT NULL,
          type TEXT NOT NULL,
          task_group TEXT,
          headers TEXT, -- JSON
          error TEXT,
          payload BLOB,
          result BLOB,
          UNIQUE (queue, id)
        );
        CREATE INDEX asynq_task_place ON asynq_task (queue, state, position);
        -- Uniqueness: at most one task for each type and payload of a queue. A missing payload is the byte 0, another one
        -- follows a byte 1.
        CREATE TABLE asynq_lock (
          queue INTEGER NOT NULL,
          type TEXT NOT NULL,
          payload BLOB NOT NULL,
          task TEXT NOT NULL, -- its id
          ends_at INTEGER NOT NULL,
          PRIMARY KEY (queue, type, payload)
        ) WITHOUT ROWID;
        CREATE INDEX asynq_lock_task ON asynq_lock (queue, task);
        CREATE INDEX asynq_lock_end ON asynq_lock (ends_at);
        -- Counters of each UTC day, as days since 1970.
        CREATE TABLE asynq_day (
          queue INTEGER NOT NULL,
          day INTEGER NOT NULL,
          processed INTEGER NOT NULL DEFAULT 0,
          failed INTEGER NOT NULL DEFAULT 0,
          PRIMARY KEY (queue, day)
        ) WITHOUT ROWID;
        -- Running servers, as JSON.
        CREATE TABLE asynq_server (
          id TEXT PRIMARY KEY NOT NULL,
          state TEXT NOT NULL,
          ends_at INTEGER NOT NULL
        ) WITHOUT ROWID;
        -- Cancellations for the servers of other processes; kept for a minute.
        CREATE TABLE asynq_cancellation (
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          task TEXT NOT NULL,
          at INTEGER NOT NULL
        );
        """,
        counts,
        """
        -- Places that are held in semaphores.
        CREATE TABLE asynq_permit (
          scope TEXT NOT NULL,
          holder TEXT NOT NULL, -- a task's id
          deadline INTEGER NOT NULL, -- the last Unix second in which it is held
          PRIMARY KEY (scope, holder)
        ) WITHOUT ROWID;
        """,
        schedule,
        groups,
    ]

    private static let groups = """
        -- Groups: a task that waits in one is in state 8, and its position is the time at which it came there. One that was
        -- taken out to be aggregated is in state 9, keeps its position, and names its set.
        ALTER TABLE asynq_task ADD COLUMN set_id INTEGER;
        CREATE INDEX IF NOT EXISTS asynq_task_group ON asynq_task (queue, state, task_group, position) WHERE state = 8;
        CREATE INDEX asynq_task_set ON asynq_task (set_id) WHERE state = 9;
        -- Tasks that a server has taken to aggregate them. A number is never used again, so that whoever is late does no harm.
        CREATE TABLE asynq_aggregation_set (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          queue INTEGER NOT NULL,
          task_group TEXT NOT NULL,
          ends_at INTEGER NOT NULL, -- it is stale; or, once it has been replaced by a task, it is forgotten
          task TEXT -- the id of the task that it was replaced by
        );
        CREATE INDEX asynq_aggregation_set_end ON asynq_aggregation_set (queue, ends_at);
        -- Groups that are left alone for a while, because they could not be aggregated.
        CREATE TABLE asynq_group_hold (
          queue INTEGER NOT NULL,
          task_group TEXT NOT NULL,
          ends_at INTEGER NOT NULL,
          PRIMARY KEY (queue, task_group)
        ) WITHOUT ROWID;
        """

    /// How many tasks are in each state: to count a million takes a tenth of a second, and inspectors ask again and again.
    private static let counts = """
        CREATE TABLE asynq_count (
          queue INTEGER NOT NULL,
          state INTEGER NOT NULL,
          tasks INTEGER NOT NULL,
          PRIMARY KEY (queue, state)
        ) WITHOUT ROWID;
        INSERT INTO asynq_count SELECT queue, state, count(*) FROM asynq_task GROUP BY queue, state;
        CREATE TRIGGER asynq_task_inserted AFTER INSERT ON asynq_task BEGIN
          INSERT INTO asynq_count VALUES (NEW.queue, NEW.state, 1) ON CONFLICT DO UPDATE SET tasks = tasks + 1;
        END;
        CREATE TRIGGER asynq_task_moved AFTER UPDATE OF state ON asynq_task WHEN OLD.state <> NEW.state BEGIN
          UPDATE asynq_count SET tasks = tasks - 1 WHERE queue = OLD.queue AND state = OLD.state;
          INSERT INTO asynq_count VALUES (NEW.queue, NEW.state, 1) ON CONFLICT DO UPDATE SET tasks = tasks + 1;
        END;
        CREATE TRIGGER asynq_task_deleted AFTER DELETE ON asynq_task BEGIN
          UPDATE asynq_count SET tasks = tasks - 1 WHERE queue = OLD.queue AND state = OLD.state;
        END;
        -- The groups of a queue, and the tasks of each in their order.
        CREATE INDEX IF NOT EXISTS asynq_task_group ON asynq_task (queue, state, task_group, position) WHERE state = 8;
        """

    /// Brings a file up to this version. Within a transaction that may write.
    ///
    /// - Throws: ``AsynqError`` if the file is of a newer version.
    static func migrate(_ db: Database) throws {
        let version = try version(db)
        guard version <= migrations.count else {
            throw AsynqError(
                .brokerFailure,
                "the tables in \(try SQLiteFile.realPath(db)) were made by a newer swift-asynq "
                    + "(their version is \(version), this one knows \(migrations.count)): update this program too"
            )
        }
        guard version < migrations.count else { return }
        for migration in migrations[version...] { try db.execute(sql: migration) }
        try db.execute(sql: "CREATE TABLE IF NOT EXISTS asynq_schema (version INTEGER NOT NULL)")
        try db.execute(sql: "DELETE FROM asynq_schema")
        try db.execute(sql: "INSERT INTO asynq_schema VALUES (?)", arguments: [migrations.count])
    }

    /// Whether nothing is left to be done.
    static func isCurrent(_ db: Database) throws -> Bool { try version(db) == migrations.count }

    private static func version(_ db: Database) throws -> Int {
        // Not `tableExists`: GRDB remembers its answers, and another process may have made the tables since.
        let hasTable = try Bool.fetchOne(
            db,
            sql: "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'asynq_schema')"
        )
        guard hasTable == true else { return 0 }
        return try Int.fetchOne(db, sql: "SELECT version FROM asynq_schema") ?? 0
    }
}

/// How states are stored. None is 0 or 1, which SQLite stores in fewer bytes than the others.
enum StoredState: Int64 {
    case pending = 2
    case active, scheduled, retry, archived, completed, aggregating
    /// Aggregating, and taken out of its group.
    case staged
}
