internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What inspectors see.
extension TaskStore {
    /// How many tasks at each end of a state are weighed.
    private static let weighed = 5
    /// What a row and its entries in the indexes take beside its texts, about.
    private static let rowOverhead = 200

    func queueNames() throws -> [String] {
        try Row.fetchAll(try statement("SELECT name FROM asynq_queue")).map { try $0.text(0) }
    }

    func snapshot(_ name: String) throws -> QueueSnapshot? {
        let queueRow = try Row.fetchOne(
            try statement("SELECT id, paused_at, processed, failed FROM asynq_queue WHERE name = ?"),
            arguments: [stored(name)]
        )
        guard let queueRow else { return nil }
        let id: Int64 = queueRow[0]
        var snapshot = QueueSnapshot(queue: name, time: Date(microseconds: now))
        snapshot.pausedAt = (queueRow[1] as Int64?).map { Date(microseconds: $0) }
        (snapshot.processed, snapshot.failed) = (queueRow[2], queueRow[3])
        let today = try Row.fetchOne(
            try statement("SELECT processed, failed FROM asynq_day WHERE queue = ? AND day = ?"),
            arguments: [id, now / (86_400 * second)]
        )
        if let today { (snapshot.processedToday, snapshot.failedToday) = (today[0], today[1]) }
        var memory = 0.0
        for count in try counts(id) where count.tasks > 0 {
            snapshot[TaskState(stored: count.state)] += count.tasks
            memory += try weight(id, count.state) * Double(count.tasks)
        }
        snapshot.memoryUsage = Int(memory)
        if snapshot.aggregating > 0 { snapshot.groups = try groups(Queue(id: id, name: name, isPaused: false)).count }
        let oldest = try Int64.fetchOne(
            try statement(
                "SELECT pending_since FROM asynq_task WHERE queue = ? AND state = 2 ORDER BY position LIMIT 1"
            ),
            arguments: [id]
        )
        if let oldest { snapshot.latency = .microseconds(max(0, now - oldest)) }
        return snapshot
    }

    func counts(_ queue: Int64) throws -> [(state: Int64, tasks: Int)] {
        try Row.fetchAll(
            try statement("SELECT state, tasks FROM asynq_count WHERE queue = ?"),
            arguments: [queue]
        ).map { ($0[0], $0[1]) }
    }

    /// How many bytes a task in this state takes, by a sample.
    private func weight(_ queue: Int64, _ state: Int64) throws -> Double {
        let sizes = """
            length(id) + length(type) + coalesce(length(payload), 0) + coalesce(length(result), 0)
              + coalesce(length(headers), 0) + coalesce(length(error), 0) AS size
            FROM asynq_task WHERE queue = ?1 AND state = ?2
            """
        let average = try Double.fetchOne(
            try statement(
                """
                SELECT avg(size) FROM (
                  SELECT * FROM (SELECT \(sizes) ORDER BY position LIMIT ?3)
                  UNION ALL SELECT * FROM (SELECT \(sizes) ORDER BY position DESC LIMIT ?3))
                """
            ),
            arguments: [queue, state, Self.weighed]
        )
        return (average ?? 0) + Double(Self.rowOverhead)
    }

    func history(_ name: String, days: Int) throws -> [DailyCounts] {
        let today = now / (86_400 * second)
        var counts: [Int64: (processed: Int, failed: Int)] = [:]
        if let queue = try queue(name) {
            let rows = try Row.fetchAll(
                try statement("SELECT day, processed, failed FROM asynq_day WHERE queue = ? AND day > ?"),
                arguments: [queue.id, today - Int64(days)]
            )
            for row in rows { counts[row[0]] = (row[1], row[2]) }
        }
        return (0..<Int64(days)).map { ago in
            let count = counts[today - ago] ?? (0, 0)
            return DailyCounts(
                day: Date(timeIntervalSince1970: Double(today - ago) * 86_400),
                processed: count.processed,
                failed: count.failed
            )
        }
    }

    func groups(_ queue: Int64) throws -> [GroupSize] {
        try Row.fetchAll(
            try statement(
                "SELECT task_group, count(*) FROM asynq_task WHERE queue = ? AND state = 8 GROUP BY task_group"
            ),
            arguments: [queue]
        ).map { GroupSize(group: try $0.text(0), size: $0[1]) }
    }

    // MARK: Servers

    func servers() throws -> [ServerInfo] {
        try Row.fetchAll(try statement("SELECT state FROM asynq_server WHERE ends_at > ?"), arguments: [now]).map {
            row in
            let server = try JSONDecoder().decode(StoredServer.self, from: Data(try row.bytes(0) ?? []))
            return ServerInfo(
                identity: ServerIdentity(host: server.host, pid: server.pid, id: server.id),
                concurrency: server.concurrency,
                queues: server.queues,
                strictPriority: server.strictPriority,
                status: server.status,
                startedAt: Date(timeIntervalSince1970: server.startedAt),
                workers: try server.workers.compactMap { try worker($0) }
            )
        }
    }

    /// - Returns: `nil` if its task has ended since.
    private func worker(_ worker: StoredServer.Worker) throws -> ServerInfo.Worker? {
        guard let queue = try queue(worker.queue) else { return nil }
        return try Row.fetchOne(
            try statement("SELECT type, substr(payload, 1, ?) FROM asynq_task WHERE queue = ? AND id = ?"),
            arguments: [ServerInfo.maxPayload, queue.id, stored(worker.task)]
        ).map { row in
            ServerInfo.Worker(
                taskID: worker.task,
                queue: worker.queue,
                taskType: try row.text(0),
                taskPayload: try row.bytes(1) ?? [],
                startedAt: Date(timeIntervalSince1970: worker.startedAt),
                deadline: worker.deadline.map { Date(timeIntervalSince1970: $0) }
            )
        }
    }

    func info(address: String, path: String) throws -> BrokerInfo {
        func text(_ sql: String) throws -> String { try String.fetchOne(try statement(sql)) ?? "" }
        let version = try text("SELECT sqlite_version()")
        let (pages, size) = (try text("PRAGMA page_count"), try text("PRAGMA page_size"))
        let bytes = (Int(pages) ?? 0) * (Int(size) ?? 0)
        return BrokerInfo(
            kind: "sqlite",
            address: address,
            version: version,
            sections: [
                .init(
                    "SQLite",
                    [
                        .init("sqlite_version", version),
                        .init("journal_mode", try text("PRAGMA journal_mode")),
                        .init("schema_version", try text("SELECT version FROM asynq_schema")),
                    ]
                ),
                .init(
                    "File",
                    [
                        .init("path", path),
                        .init("bytes", "\(bytes)"),
                        .init("page_size", size),
                        .init("page_count", pages),
                        .init("freelist_count", try text("PRAGMA freelist_count")),
                    ]
                ),
                .init(
                    "Tasks",
                    [
                        .init("queues", try text("SELECT count(*) FROM asynq_queue")),
                        .init("tasks", try text("SELECT coalesce(sum(tasks), 0) FROM asynq_count")),
                    ]
                ),
            ]
        )
    }
}

extension StoredState {
    init(_ state: TaskState) {
        self =
            switch state {
            case .pending: .pending
            case .active: .active
            case .scheduled: .scheduled
            case .retry: .retry
            case .archived: .archived
            case .completed: .completed
            case .aggregating: .aggregating
            }
    }
}

extension TaskState {
    init(stored state: Int64) {
        let states: [TaskState] = [.pending, .active, .scheduled, .retry, .archived, .completed]
        let index = Int(state - StoredState.pending.rawValue)
        self = states.indices.contains(index) ? states[index] : .aggregating
    }
}
