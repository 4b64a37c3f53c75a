import Asynq
import Foundation
import TestSupport

/// What is in the store when a run has ended.
struct Leftovers {
    var archived: [String: String] = [:]
    /// In words.
    var found: [String] = []

    /// Whether nothing waits or runs in any queue.
    static func isDrained(_ broker: any Broker) async throws -> Bool {
        try await AsynqInspector(broker).snapshots().allSatisfy { $0.size == $0.archived }
    }

    static func look(_ broker: any Broker, _ nodes: any Nodes) async throws -> Leftovers {
        var leftovers = Leftovers()
        let inspector = AsynqInspector(broker)
        for snapshot in try await inspector.snapshots() {
            for state in TaskState.allCases where state != .archived {
                let page = try await inspector.tasks(in: state, queue: snapshot.queue, pageSize: 5).tasks
                for task in page {
                    leftovers.found.append("\(task.id) of kind \(task.type) is still \(state) in \(snapshot.queue)")
                }
                if page.isEmpty, snapshot[state] > 0 {
                    leftovers.found.append("\(snapshot[state]) tasks are counted as \(state) in \(snapshot.queue)")
                }
            }
            var page = 1
            while true {
                let tasks = try await inspector.tasks(in: .archived, queue: snapshot.queue, page: page, pageSize: 500)
                    .tasks
                if tasks.isEmpty { break }
                for task in tasks { leftovers.archived[task.id] = task.lastError ?? "" }
                page += 1
            }
        }
        if let server = try await inspector.servers().first {
            leftovers.found.append("server \(server.identity.id) is still listed")
        }
        let archived = leftovers.archived
        for master in try await blocking({ try nodes.masters() }) {
            leftovers.found += try await blocking { try Self.oddKeys(of: master, archived: archived) }
        }
        return leftovers
    }

    /// Keys that belong to no task in the archive.
    private static func oddKeys(of server: RedisServer, archived: [String: String]) throws -> [String] {
        var odd: [String] = []
        var cursor = "0"
        repeat {
            let lines = try server.cli("SCAN", cursor, "COUNT", "1000").split(separator: "\n").map(String.init)
            cursor = lines.first ?? "0"
            for key in lines.dropFirst() {
                if let text = try oddity(key, server, archived) { odd.append(text) }
            }
        } while cursor != "0"
        return odd
    }

    /// What is wrong with a key; `nil`: nothing.
    private static func oddity(_ key: String, _ server: RedisServer, _ archived: [String: String]) throws -> String? {
        if ["asynq:queues", "asynq:servers", "asynq:workers"].contains(key) { return nil }
        if key == "asynq:sema:\(ChaosTask.scope)" {
            let held = try server.cli("ZRANGEBYSCORE", key, server.time(), "+inf")
            return held.isEmpty ? nil : "places in the semaphore are held by \(held.split(separator: "\n"))"
        }
        guard key.hasPrefix("asynq:{"), let end = key.range(of: "}:") else { return "key \(key)" }
        let name = key[end.upperBound...]
        switch name.split(separator: ":").first {
        // A group that could not be aggregated is left alone for a while.
        case "processed", "failed", "archived", "group_holds": return nil
        case "t": return archived[String(name.dropFirst(2))] == nil ? "a hash without a place: \(key)" : nil
        case "unique":
            let owner = try server.cli("GET", key)
            return archived[owner] == nil ? "a lock of \(owner), which is gone: \(key)" : nil
        default: return "key \(key)"
        }
    }
}

extension RedisServer {
    /// In Unix seconds.
    fileprivate func time() throws -> String {
        try cli("TIME").split(separator: "\n").first.map(String.init) ?? "0"
    }
}
