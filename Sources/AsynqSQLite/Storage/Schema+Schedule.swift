extension Schema {
    /// What schedulers keep. Times in milliseconds are named so.
    static let schedule = """
        -- The last occurrence of each scheduler's entry that was settled, in Unix milliseconds.
        CREATE TABLE asynq_mark (
          queue INTEGER NOT NULL,
          entry TEXT NOT NULL,
          mark INTEGER NOT NULL, -- milliseconds
          PRIMARY KEY (queue, entry)
        ) WITHOUT ROWID;
        CREATE INDEX asynq_mark_mark ON asynq_mark (mark);
        -- Which of the schedulers with the same entries is at work.
        CREATE TABLE asynq_scheduler_lease (
          name TEXT PRIMARY KEY NOT NULL,
          holder TEXT NOT NULL,
          ends_at INTEGER NOT NULL
        ) WITHOUT ROWID;
        -- The entries of running schedulers, as JSON.
        CREATE TABLE asynq_scheduler (
          id TEXT PRIMARY KEY NOT NULL,
          entries TEXT NOT NULL,
          ends_at INTEGER NOT NULL
        ) WITHOUT ROWID;
        -- What entries have enqueued.
        CREATE TABLE asynq_scheduler_event (
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          entry TEXT NOT NULL,
          task TEXT NOT NULL,
          at INTEGER NOT NULL
        );
        CREATE INDEX asynq_scheduler_event_entry ON asynq_scheduler_event (entry, at, seq);
        CREATE INDEX asynq_scheduler_event_at ON asynq_scheduler_event (at);
        """
}
