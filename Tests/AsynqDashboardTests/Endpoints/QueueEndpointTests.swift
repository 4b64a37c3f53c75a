import Asynq
import Foundation
import Testing

@testable import AsynqDashboard

@Suite struct QueueEndpointTests {
    static let snapshot: Set<String> = [
        "queue", "memory_usage_bytes", "size", "groups", "latency_msec", "display_latency", "active", "pending",
        "aggregating", "scheduled", "retry", "archived", "completed", "processed", "succeeded", "failed", "paused",
        "timestamp",
    ]
    static let daily: Set<String> = ["queue", "processed", "succeeded", "failed", "date"]

    @Test(arguments: Store.allCases)
    func `queues are shown with the figures of all states`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            #expect(try await site.get("/api/queues").list("queues").isEmpty)
            try await broker.putOneInEachState()
            try await broker.enqueue("other", .queue("low"))
            let queues = try await site.get("/api/queues").list("queues")
            #expect(queues.map { $0["queue"] as? String } == ["default", "low"])
            let queue = queues[0]
            #expect(Set(queue.keys) == Self.snapshot)
            for state in TaskState.allCases { #expect(queue[state.rawValue] as? Int == 1, "\(state)") }
            #expect(queue["size"] as? Int == 7 && queue["groups"] as? Int == 1 && queue["paused"] as? Bool == false)
            #expect(queue["processed"] as? Int == 3 && queue["failed"] as? Int == 2 && queue["succeeded"] as? Int == 1)
            let time = try #require(queue["timestamp"] as? String)
            #expect(abs((Times.date(time) ?? .distantPast).timeIntervalSinceNow) < 600)
        }
    }

    @Test(arguments: Store.allCases)
    func `a queue is shown with ten days, and all queues with ninety`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.putOneInEachState()
            let answer = try await site.get("/api/queues/default").json()
            #expect(Set(answer.keys) == ["current", "history"])
            #expect(Set((answer["current"] as? [String: Any] ?? [:]).keys) == Self.snapshot)
            let history = try #require(answer["history"] as? [[String: Any]])
            #expect(history.count == 10 && Set(history[0].keys) == Self.daily)
            #expect(history[0]["processed"] as? Int == 3 && (history[0]["date"] as? String)?.count == 10)
            let stats = try await site.get("/api/queue_stats").json()["stats"] as? [String: [[String: Any]]]
            #expect(stats?["default"]?.count == 90 && stats?["default"]?[0]["failed"] as? Int == 2)
        }
    }

    @Test(arguments: Store.allCases)
    func `a queue is paused, resumed and deleted when it is empty`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.enqueue("a")
            func isPaused() async throws -> Bool? {
                try await site.get("/api/queues").list("queues").first?["paused"] as? Bool
            }
            for _ in 0..<2 {
                #expect(try await site.post("/api/queues/default:pause").status == 204)
                #expect(try await isPaused() == true)
            }
            #expect(try await site.post("/api/queues/default:resume").status == 204)
            #expect(try await isPaused() == false)
            let refusal = try await site.delete("/api/queues/default")
            #expect(refusal.status == 400 && refusal.text.contains("holds 1 tasks"))
            #expect(try await site.delete("/api/queues/default/pending_tasks:delete_all").text == "{\"deleted\":1}")
            #expect(try await site.delete("/api/queues/default").status == 204)
            #expect(try await broker.queueNames().isEmpty)
        }
    }

    @Test(arguments: Store.allCases)
    func `groups are shown with their sizes`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.enqueue("a", .group("one"))
            try await broker.enqueue("b", .group("two"))
            try await broker.enqueue("c", .group("two"))
            let answer = try await site.get("/api/queues/default/groups")
            #expect(try answer.values("group", of: "groups") == ["one", "two"])
            #expect(try answer.list("groups").map { $0["size"] as? Int } == [1, 2])
            #expect(Set((try answer.json()["stats"] as? [String: Any] ?? [:]).keys) == Self.snapshot)
            let tasks = try await site.get("/api/queues/default/groups/two/aggregating_tasks")
            #expect(try tasks.values("id", of: "tasks") == ["b", "c"])
            #expect(try tasks.values("group", of: "tasks") == ["two", "two"])
            #expect(Set(try tasks.json().keys) == ["tasks", "stats", "groups"])
        }
    }

    @Test(arguments: Store.allCases)
    func `a queue that does not exist is not found`(_ store: Store) async throws {
        try await store.withSite { site, _ in
            for path in ["", "/pending_tasks", "/groups", "/tasks/x", "/search?state=pending", "/errors?state=retry"] {
                let answer = try await site.get("/api/queues/none" + path)
                #expect(answer.status == 404 && answer.text == "there is no queue \"none\"", "\(path)")
            }
            for path in [":pause", ":resume", "/retry_tasks:run_all", "/retry_tasks/x:run"] {
                #expect(try await site.post("/api/queues/none" + path).status == 404, "\(path)")
            }
            #expect(try await site.delete("/api/queues/none").status == 404)
            let bulk = try await site.post("/api/queues/none/bulk", #"{"action":"preview","state":"retry"}"#)
            #expect(bulk.status == 404)
        }
    }
}
