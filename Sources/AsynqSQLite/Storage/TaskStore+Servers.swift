internal import Asynq
internal import GRDB

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A running server, as it is stored. The tasks of its workers are in their own table.
struct StoredServer: Codable {
    struct Worker: Codable {
        var queue: String
        var task: String
        var startedAt: Double
        var deadline: Double?
    }

    var host: String
    var pid: Int32
    var id: String
    var concurrency: Int
    var queues: [String: Int]
    var strictPriority: Bool
    var status: String
    var startedAt: Double
    var workers: [Worker]

    init(_ state: ServerState) {
        host = state.identity.host
        pid = state.identity.pid
        id = state.identity.id
        concurrency = state.concurrency
        queues = state.queues
        strictPriority = state.strictPriority
        status = state.status
        startedAt = state.startedAt.timeIntervalSince1970
        workers = state.workers.map { worker in
            Worker(
                queue: worker.task.message.queue,
                task: worker.task.message.id,
                startedAt: worker.startedAt.timeIntervalSince1970,
                deadline: worker.deadline?.timeIntervalSince1970
            )
        }
    }
}

extension TaskStore {
    func writeServerState(_ state: ServerState, ttl: Duration) throws {
        let json = String(decoding: try JSONEncoder().encode(StoredServer(state)), as: UTF8.self)
        try execute(
            "INSERT OR REPLACE INTO asynq_server VALUES (?, ?, ?)",
            [stored(state.identity.key), json, now.addingClamped(ttl.microsecondsRoundedUp)]
        )
        try execute("DELETE FROM asynq_server WHERE ends_at <= ?", [now])
    }

    func clearServerState(_ server: ServerIdentity) throws {
        try execute("DELETE FROM asynq_server WHERE id = ?", [stored(server.key)])
    }

    func cancel(_ id: String) throws {
        try execute("INSERT INTO asynq_cancellation (task, at) VALUES (?, ?)", [stored(id), now])
        try execute("DELETE FROM asynq_cancellation WHERE at < ?", [now - 60 * second])
    }

    /// The number of the last cancellation that there ever was.
    func lastCancellation() throws -> Int64 {
        try Int64.fetchOne(
            try statement("SELECT seq FROM sqlite_sequence WHERE name = 'asynq_cancellation'")
        ) ?? 0
    }

    func cancellations(after number: Int64) throws -> [(number: Int64, task: String)] {
        try cancellations("seq > ?", number)
    }

    func cancellations(since time: Int64) throws -> [(number: Int64, task: String)] {
        try cancellations("at > ?", time)
    }

    private func cancellations(_ condition: String, _ argument: Int64) throws -> [(number: Int64, task: String)] {
        let rows = try Row.fetchAll(
            try statement("SELECT seq, task FROM asynq_cancellation WHERE \(condition) ORDER BY seq"),
            arguments: [argument]
        )
        return try rows.map { ($0[0], try $0.text(1)) }
    }
}

extension ServerIdentity {
    fileprivate var key: String { "\(host):\(pid):\(id)" }
}
