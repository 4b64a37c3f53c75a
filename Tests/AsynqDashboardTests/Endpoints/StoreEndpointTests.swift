import Asynq
import AsynqDashboard
import AsynqRedis
import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct StoreEndpointTests {
    @Test(arguments: Store.allCases)
    func `schedulers are shown with what they enqueue and have enqueued`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            let next = Date(timeIntervalSince1970: 1_800_000_000)
            var entry = SchedulerEntry(
                id: "e/1",
                spec: "@every 1m",
                taskType: "t",
                payload: Array("p".utf8),
                options: ["Queue(\"low\")"],
                nextEnqueueAt: next
            )
            try await broker.writeSchedulerEntries([entry], of: "s", ttl: .seconds(60))
            let shown = try await site.get("/api/scheduler_entries").list("entries")[0]
            #expect(Set(shown.keys) == ["id", "spec", "task_type", "task_payload", "options", "next_enqueue_at"])
            #expect(
                shown["next_enqueue_at"] as? String == "2027-01-15T08:00:00Z" && shown["task_payload"] as? String == "p"
            )
            #expect(shown["options"] as? [String] == ["Queue(\"low\")"])
            entry.previousEnqueueAt = next - 60
            try await broker.writeSchedulerEntries([entry], of: "s", ttl: .seconds(60))
            let later = try await site.get("/api/scheduler_entries").list("entries")[0]
            #expect(later["prev_enqueue_at"] as? String == "2027-01-15T07:59:00Z")
            let now = Date()
            try await broker.recordEnqueueEvents(
                (0..<3).map { SchedulerEnqueueEvent(entryID: "e/1", taskID: "t\($0)", enqueuedAt: now + Double($0)) }
            )
            let events = try await site.get("/api/scheduler_entries/e%2F1/enqueue_events?size=2")
            #expect(try events.values("task_id", of: "events") == ["t2", "t1"])
            #expect(Set(try events.list("events")[0].keys) == ["task_id", "enqueued_at"])
            #expect(try await site.get("/api/scheduler_entries/none/enqueue_events").list("events").isEmpty)
        }
    }

    @Test(arguments: Store.allCases)
    func `the store says what it is`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.enqueue("a")
            let info = try await site.get("/api/redis_info").json()
            #expect(Set(info.keys) == ["address", "info", "raw_info", "cluster"])
            #expect(info["address"] as? String == broker.name && info["cluster"] as? Bool == false)
            let values = try #require(info["info"] as? [String: String])
            if store == .redis { #expect(values["redis_version"] != nil) }
            #expect((info["raw_info"] as? String)?.contains("\n") == true && !values.isEmpty)
            let session = try await site.get("/api/session").json()
            #expect(
                Set(session.keys) == [
                    "user", "role", "authentication", "read_only", "version", "broker", "metrics", "refresh_seconds",
                    "csrf",
                ]
            )
            let place = try #require(session["broker"] as? [String: String])
            #expect(place == ["kind": store.rawValue, "address": broker.name])
            #expect(session["role"] as? String == "admin" && session["metrics"] as? String == "own")
            #expect(session["refresh_seconds"] as? Double == 2 && session["user"] is NSNull)
        }
    }

    @Test func `a cluster says where its queues are`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            let broker = try Store.broker(set.uri)
            try await broker.enqueue("a")
            try await withDashboard(broker) { site in
                let info = try await site.get("/api/redis_info").json()
                #expect(info["cluster"] as? Bool == true)
                let place = try #require((info["queue_locations"] as? [[String: Any]])?.first)
                #expect(
                    place["queue"] as? String == "default" && place["keyslot"] as? Int == broker.keySlot(of: "default")
                )
                let nodes = try #require(place["nodes"] as? [String])
                // As CLUSTER NODES has them: all nodes, with their ids and slots.
                let lines = try #require(info["raw_cluster_nodes"] as? String).split(separator: "\n")
                #expect(!nodes.isEmpty && lines.contains { $0.contains(" \(nodes[0])@") })
                #expect(lines.count == set.servers.count)
                let known = try ClusterSet.view(of: set.servers[0])
                #expect(Set(lines.map { String($0.prefix(40)) }) == Set(known.map(\.id)))
            }
            await broker.shutdown()
        }
    }

    @Test func `the history is sampled without anybody looking, and shown as Prometheus would`() async throws {
        let looks = Recorder<Void>()
        let memory = MemoryBroker()
        let broker = WatchedBroker(memory) { if $0 == "snapshots" { looks.add(()) } }
        try await memory.enqueue("a")
        try await withDashboard(broker) {
            $0.historyInterval = .seconds(1)
        } _: { site in
            await looks.wait(for: 2)
            let answer = try await site.get("/api/metrics?duration=600&queues=default,other").json()
            #expect(
                Set(answer.keys) == [
                    "queue_size", "queue_latency_seconds", "queue_memory_usage_approx_bytes",
                    "tasks_processed_per_second", "tasks_failed_per_second", "error_rate", "pending_tasks_by_queue",
                    "retry_tasks_by_queue", "archived_tasks_by_queue",
                ]
            )
            let size = try #require(answer["queue_size"] as? [String: Any])
            #expect(size["status"] as? String == "success")
            let data = try #require(size["data"] as? [String: Any])
            #expect(data["resultType"] as? String == "matrix")
            let series = try #require((data["result"] as? [[String: Any]])?.first)
            #expect(series["metric"] as? [String: String] == ["queue": "default"])
            let point = try #require((series["values"] as? [[Any]])?.last)
            #expect(point[0] is Double && point[1] as? String == "1")
            #expect(try await site.get("/api/metrics?duration=x").status == 400)
            let none = try await site.get("/api/metrics?queues=other").json()["queue_size"] as? [String: Any]
            #expect(((none?["data"] as? [String: Any])?["result"] as? [Any])?.isEmpty == true)
        }
    }

    @Test func `nothing is read while nobody looks if no history is kept`() async throws {
        let looks = Recorder<String>()
        let broker = WatchedBroker(MemoryBroker()) { looks.add($0) }
        try await withDashboard(broker) {
            $0.historyInterval = nil
            $0.refreshInterval = .milliseconds(100)
        } _: { site in
            try await Task.sleep(for: .milliseconds(300))
            #expect(looks.elements.isEmpty)
            #expect(try await site.get("/api/queues").status == 200)
            #expect(looks.elements == ["queueNames", "snapshots"])
        }
    }

    @Test func `metrics are exported when asked for`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) { site in
            let answer = try await site.get("/metrics")
            #expect(answer.status == 404 && answer.text.contains("exporter is off"))
        }
        try await withDashboard(broker) {
            $0.exportsMetrics = true
        } _: { site in
            let answer = try await site.get("/metrics")
            #expect(answer.status == 200 && answer.text.contains("asynq_queue_size{queue=\"default\"} 1"))
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    @Test func `a broker that is away is said to be, and nothing else is`() async throws {
        let isAway = Mutex(false)
        let memory = MemoryBroker()
        try await memory.enqueue("a")
        let broker = WatchedBroker(memory) { _ in
            if isAway.withLock({ $0 }) { throw AsynqError(.brokerUnavailable, "cannot reach it") }
        }
        try await withDashboard(broker) { site in
            #expect(try await site.get("/healthz").text == "ok\n")
            isAway.withLock { $0 = true }
            let health = try await site.get("/healthz")
            #expect(health.status == 503 && health.text == "the broker cannot be reached")
            for path in ["/api/queues", "/api/queues/default/pending_tasks", "/api/servers", "/api/redis_info"] {
                let answer = try await site.get(path)
                #expect(answer.status == 503 && answer.text == "cannot reach it", "\(path)")
            }
            #expect(try await site.post("/api/queues/default:pause").status == 503)
            #expect(try await site.get("/").status == 200)
            isAway.withLock { $0 = false }
            #expect(try await site.get("/api/queues").status == 200)
        }
    }

    @Test func `an error that is not foreseen says nothing of itself`() async throws {
        struct Odd: Error { let secret = "hunter2" }
        let log = LogRecorder()
        let broker = WatchedBroker(MemoryBroker()) { _ in throw Odd() }
        try await withDashboard(broker, logger: log.logger) { site in
            let answer = try await site.get("/api/queues")
            #expect(answer.status == 500 && !answer.text.contains("hunter2"))
        }
        #expect(!log.lines.contains { $0.contains("hunter2") })
    }
}
