/// A file as the first version made it, with a task in each state. Never to be changed.
let versionOne = """
    CREATE TABLE asynq_queue (
      id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, paused_at INTEGER,
      processed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE asynq_task (
      seq INTEGER PRIMARY KEY, queue INTEGER NOT NULL, state INTEGER NOT NULL, position INTEGER NOT NULL,
      pending_since INTEGER NOT NULL, is_unique INTEGER NOT NULL, retried INTEGER NOT NULL,
      max_retry INTEGER NOT NULL, timeout INTEGER NOT NULL, deadline INTEGER NOT NULL, retention INTEGER NOT NULL,
      last_failed_at INTEGER NOT NULL, completed_at INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
      task_group TEXT, headers TEXT, error TEXT, payload BLOB, result BLOB, UNIQUE (queue, id)
    );
    CREATE INDEX asynq_task_place ON asynq_task (queue, state, position);
    CREATE TABLE asynq_lock (
      queue INTEGER NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL, task TEXT NOT NULL,
      ends_at INTEGER NOT NULL, PRIMARY KEY (queue, type, payload)
    ) WITHOUT ROWID;
    CREATE INDEX asynq_lock_task ON asynq_lock (queue, task);
    CREATE INDEX asynq_lock_end ON asynq_lock (ends_at);
    CREATE TABLE asynq_day (
      queue INTEGER NOT NULL, day INTEGER NOT NULL, processed INTEGER NOT NULL DEFAULT 0,
      failed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (queue, day)
    ) WITHOUT ROWID;
    CREATE TABLE asynq_server (
      id TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, ends_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE asynq_cancellation (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, at INTEGER NOT NULL
    );
    CREATE TABLE asynq_schema (version INTEGER NOT NULL);
    INSERT INTO asynq_schema VALUES (1);
    INSERT INTO asynq_queue (name, processed, failed) VALUES ('default', 12, 3);
    INSERT INTO asynq_task (queue, state, position, pending_since, is_unique, retried, max_retry, timeout, deadline,
      retention, last_failed_at, completed_at, id, type, task_group, headers, error, payload, result) VALUES
      (1, 2, 1690000000000000, 1690000000000000, 1, 0, 25, 1800, 0, 0, 0, 0,
        'pending', 't', NULL, '{"trace":"1"}', NULL, CAST('payload' AS BLOB), NULL),
      (1, 3, 1690000000000001, 1690000000000000, 0, 0, 25, 1800, 0, 0, 0, 0,
        'leased', 't', NULL, NULL, NULL, NULL, NULL),
      (1, 4, 1690000000000002, 1690000000000000, 0, 0, 25, 1800, 0, 0, 0, 0,
        'late', 't', NULL, NULL, NULL, NULL, NULL),
      (1, 5, 1690000000000003, 1690000000000000, 0, 1, 25, 1800, 0, 0, 1790000000, 0,
        'failed', 't', NULL, NULL, 'no luck', NULL, NULL),
      (1, 6, 1690000000000004, 1690000000000000, 0, 25, 25, 1800, 0, 0, 1790000000, 0,
        'dead', 't', NULL, NULL, 'no luck', NULL, NULL),
      (1, 7, 4600000000000000, 1690000000000000, 0, 0, 25, 1800, 0, 3600, 0, 1790000000,
        'kept', 't', NULL, NULL, NULL, NULL, CAST('result' AS BLOB)),
      (1, 8, 1690000000000006, 1690000000000000, 0, 0, 25, 1800, 0, 0, 0, 0,
        'grouped', 't', 'g', NULL, NULL, NULL, NULL);
    INSERT INTO asynq_lock VALUES (1, 't', CAST(x'00' AS BLOB), 'leased', 4600000000000000);
    """
