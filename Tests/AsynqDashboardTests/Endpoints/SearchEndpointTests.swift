import Asynq
import AsynqDashboard
import AsynqTesting
import Foundation
import TestSupport
import Testing

@Suite struct SearchEndpointTests {
    /// Enqueues so many tasks, of which each hundredth has a needle in its payload.
    private func fill(_ broker: any Broker, _ count: Int) async {
        let client = AsynqClient(broker)
        for start in stride(from: 0, to: count, by: 1000) {
            let tasks = (start..<min(start + 1000, count)).map { index in
                let payload = index % 100 == 0 ? "{\"n\":\"Needle\"}" : "{\"n\":\(index)}"
                return AsynqTask("t\(index % 3)", payload: Array(payload.utf8), .taskID("id-\(index)"))
            }
            _ = await client.enqueue(batch: tasks)
        }
    }

    @Test(arguments: Store.allCases)
    func `many tasks are searched step by step, and each is found once`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            await fill(broker, 12_345)
            var found: [String] = []
            var cursor: String?
            var steps = 0
            repeat {
                let more = cursor.map { "&cursor=\($0)" } ?? ""
                let answer = try await site.get("/api/queues/default/search?state=pending&text=needle&limit=30\(more)")
                found += try answer.values("id", of: "tasks")
                let json = try answer.json()
                #expect(Set(json.keys) == ["tasks", "scanned", "total", "cursor"] && json["total"] as? Int == 12_345)
                cursor = json["cursor"] as? String
                #expect(cursor != nil || json["scanned"] as? Int == 12_345)
                steps += 1
            } while cursor != nil
            #expect(found == (0...123).map { "id-\($0 * 100)" })
            // 30 at a time, and no more than 5000 looked at.
            #expect(steps == 5)
        }
    }

    @Test func `type, id and text go together`() async throws {
        try await Store.memory.withSite { site, broker async throws in
            await fill(broker, 1000)
            let base = "/api/queues/default/search?state=pending"
            #expect(try await site.get(base + "&text=needle&type=T0&limit=1000").list("tasks").count == 4)
            #expect(try await site.get(base + "&id=id-77").values("id", of: "tasks") == ["id-77"])
            #expect(try await site.get(base + "&id=d-77").list("tasks").count == 11)
            #expect(try await site.get(base + "&id=id-77&type=other").list("tasks").isEmpty)
            #expect(try await site.get("/api/queues/default/search?state=retry&id=id-77").list("tasks").isEmpty)
            #expect(try await site.get(base + "&newer_than=60").list("tasks").isEmpty)
        }
    }

    @Test(arguments: ["", "?state=odd", "?state=pending&group=g", "?state=pending&limit=0", "?state=pending&cursor=x"])
    func `a search that makes no sense is refused`(_ query: String) async throws {
        try await Store.memory.withSite { site, broker in
            try await broker.enqueue("a")
            #expect(try await site.get("/api/queues/default/search\(query)").status == 400)
        }
    }

    @Test(arguments: Store.allCases)
    func `groups are searched one by one or all together`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            for index in 0..<6 { try await broker.enqueue("\(index)", .group(index < 4 ? "one" : "two")) }
            let base = "/api/queues/default/search?state=aggregating"
            #expect(try await site.get(base).list("tasks").count == 6)
            #expect(try await site.get(base + "&group=two").values("id", of: "tasks") == ["4", "5"])
        }
    }

    @Test(arguments: Store.allCases)
    func `errors are counted by their messages`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            for index in 0..<9 { try await broker.enqueue("\(index)", type: index < 5 ? "a" : "b") }
            try await broker.end(.archive(error: "no route"), count: 6)
            try await broker.end(.retry(delay: .hours(1), error: "too slow", countsAsFailure: true), count: 3)
            let answer = try await site.get("/api/queues/default/errors?state=archived")
            #expect(Set(try answer.json().keys) == ["errors", "scanned", "total", "cursor"])
            let errors = try answer.list("errors")
            #expect(
                errors.count == 1 && errors[0]["message"] as? String == "no route" && errors[0]["count"] as? Int == 6
            )
            #expect(Set(errors[0].keys) == ["message", "count", "last_failed_at", "task_types", "sample_task_ids"])
            #expect(errors[0]["task_types"] as? [String] == ["a", "b"])
            #expect((errors[0]["sample_task_ids"] as? [String])?.count == 5)
            let retry = try await site.get("/api/queues/default/errors?state=retry").list("errors")
            #expect(retry.map { $0["count"] as? Int } == [3])
            #expect(try await site.get("/api/queues/default/errors?state=pending").status == 400)
        }
    }

    // MARK: Bulk jobs

    private func finished(_ site: Site, _ body: String) async throws -> [String: Any] {
        let begun = try await site.post("/api/queues/default/bulk", body)
        #expect(begun.status == 202, "\(begun.text)")
        let id = try #require(try begun.json()["id"] as? String)
        var report: [String: Any] = [:]
        try await eventually("the bulk job ends") {
            report = try await site.get("/api/bulk/\(id)").json()
            return report["finished"] as? Bool == true
        }
        return report
    }

    @Test(arguments: Store.allCases)
    func `a bulk job counts, and then does it`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            await fill(broker, 5200)
            let filter = #""state":"pending","filter":{"text":"needle"}"#
            let preview = try await finished(site, #"{"action":"preview",\#(filter)}"#)
            #expect(
                Set(preview.keys) == [
                    "id", "action", "queue", "state", "scanned", "total", "matched", "done", "failed", "finished",
                    "stopped", "error",
                ]
            )
            #expect(preview["matched"] as? Int == 52 && preview["done"] as? Int == 0)
            #expect(preview["scanned"] as? Int == 5200 && preview["total"] as? Int == 5200)
            let archive = try await finished(site, #"{"action":"archive",\#(filter)}"#)
            #expect(archive["matched"] as? Int == 52 && archive["done"] as? Int == 52 && archive["failed"] as? Int == 0)
            #expect(archive["stopped"] as? Bool == false && archive["error"] is NSNull)
            let queue = try #require(try await broker.snapshots(of: ["default"])[0])
            #expect(queue.archived == 52 && queue.pending == 5148)
            let run = try await finished(site, #"{"action":"run","state":"archived"}"#)
            #expect(run["done"] as? Int == 52)
            let deleted = try await finished(site, #"{"action":"delete","state":"pending","filter":{"type":"t0"}}"#)
            #expect(deleted["done"] as? Int == 1734)
            let actions = try await site.get("/api/audit").values("action", of: "entries")
            #expect(actions.first == "bulk delete pending" && !actions.contains("bulk preview pending"))
        }
    }

    @Test func `tasks that share an error are run again`() async throws {
        try await Store.memory.withSite { site, broker in
            for index in 0..<4 { try await broker.enqueue("\(index)") }
            try await broker.end(.archive(error: "no route"), count: 3)
            try await broker.end(.archive(error: "no route at all"), count: 1)
            let report = try await finished(site, #"{"action":"run","state":"archived","filter":{"error":"no route"}}"#)
            #expect(report["done"] as? Int == 3)
            #expect(try await broker.state("3") == .archived)
        }
    }

    @Test func `a bulk job ends although others go on changing the queue`() async throws {
        let broker = MemoryBroker()
        await fill(broker, 4000)
        try await withDashboard(broker) { site in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Takes from the front and adds behind.
                    var next = 0
                    while !Task.isCancelled {
                        try await broker.end(.done, count: 5)
                        for _ in 0..<5 {
                            try await broker.enqueue("new-\(next)", type: "new")
                            next += 1
                        }
                        await Task.yield()
                    }
                }
                let report = try await finished(site, #"{"action":"archive","state":"pending","filter":{"type":"t1"}}"#)
                group.cancelAll()
                while await group.nextResult() != nil {}
                let done = try #require(report["done"] as? Int)
                // What others took at the last moment could not be moved.
                let failed = try #require(report["failed"] as? Int)
                #expect(done > 0 && done + failed == report["matched"] as? Int)
                #expect((report["error"] is NSNull) == (failed == 0))
                #expect(try await broker.snapshots(of: ["default"])[0]?.archived == done)
            }
        }
    }

    @Test(arguments: [
        #"{"action":"run","state":"pending"}"#, #"{"action":"cancel","state":"retry"}"#,
        #"{"action":"delete","state":"active"}"#, #"{"action":"odd","state":"retry"}"#,
        #"{"action":"run","state":"retry","group":"g"}"#, #"{"action":"run"}"#, "",
    ])
    func `a bulk job that makes no sense is refused`(_ body: String) async throws {
        try await Store.memory.withSite { site, broker in
            try await broker.enqueue("a")
            #expect(try await site.post("/api/queues/default/bulk", body).status == 400)
        }
    }

    @Test func `a job that is not known is not found`() async throws {
        try await Store.memory.withSite { site, _ async throws in
            #expect(try await site.get("/api/bulk/none").status == 404)
            #expect(try await site.delete("/api/bulk/none").status == 404)
        }
    }

    @Test func `a job is stopped between two steps, and no more than four run at once`() async throws {
        let memory = MemoryBroker()
        await fill(memory, 2000)
        let looks = Recorder<Void>()
        let broker = WatchedBroker(memory) { call in
            guard call == "tasks" else { return }
            looks.add(())
            // For ever, if nobody stops it.
            try await Task.sleep(for: .seconds(3600))
        }
        try await withDashboard(broker) { site in
            var ids: [String] = []
            for _ in 0..<4 {
                let begun = try await site.post("/api/queues/default/bulk", #"{"action":"archive","state":"pending"}"#)
                ids.append(try #require(try begun.json()["id"] as? String))
                await looks.wait(for: ids.count)
            }
            let fifth = try await site.post("/api/queues/default/bulk", #"{"action":"preview","state":"pending"}"#)
            #expect(fifth.status == 429 && fifth.headers["retry-after"] != nil)
            for id in ids { #expect(try await site.delete("/api/bulk/\(id)").status == 204) }
            for id in ids {
                try await eventually("the job ends") {
                    try await site.get("/api/bulk/\(id)").json()["finished"] as? Bool == true
                }
                #expect(try await site.get("/api/bulk/\(id)").json()["stopped"] as? Bool == true)
            }
            #expect(try await memory.snapshots(of: ["default"])[0]?.pending == 2000)
            let again = try await site.post("/api/queues/default/bulk", #"{"action":"preview","state":"pending"}"#)
            #expect(again.status == 202)
        }
    }
}
