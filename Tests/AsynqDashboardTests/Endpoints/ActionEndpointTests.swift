import Asynq
import AsynqDashboard
import AsynqTesting
import Foundation
import Testing

@Suite struct ActionEndpointTests {
    @Test(arguments: Store.allCases)
    func `one task is run, archived and deleted`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.putOneInEachState()
            for state in ["scheduled", "retry", "archived", "aggregating"] {
                let list = state == "aggregating" ? "groups/g/aggregating_tasks" : "\(state)_tasks"
                #expect(try await site.post("/api/queues/default/\(list)/\(state):run").status == 204, "\(state)")
                #expect(try await broker.state(state) == .pending, "\(state)")
                #expect(try await site.post("/api/queues/default/pending_tasks/\(state):archive").status == 204)
                #expect(try await broker.state(state) == .archived, "\(state)")
                #expect(try await site.delete("/api/queues/default/archived_tasks/\(state)").status == 204)
                #expect(try await broker.state(state) == nil, "\(state)")
            }
            #expect(try await site.delete("/api/queues/default/completed_tasks/completed").status == 204)
            #expect(try await broker.state("completed") == nil)
        }
    }

    @Test(arguments: Store.allCases)
    func `what a state does not allow is refused`(_ store: Store) async throws {
        try await store.withSite { site, broker async throws in
            try await broker.putOneInEachState()
            let queue = "/api/queues/default"
            for path in ["active_tasks/active:run", "active_tasks/active:archive", "pending_tasks/pending:run"] {
                #expect(try await site.post("\(queue)/\(path)").status == 400, "\(path)")
            }
            #expect(try await site.delete("\(queue)/active_tasks/active").status == 400)
            #expect(try await site.delete("\(queue)/active_tasks:delete_all").status == 400)
            #expect(try await site.post("\(queue)/pending_tasks/pending:cancel").status == 400)
            #expect(try await site.post("\(queue)/completed_tasks:run_all").status == 400)
            // In another state than the path says.
            let conflict = try await site.post("\(queue)/retry_tasks/active:run")
            #expect(conflict.status == 409 && conflict.text.contains("it is running"))
            #expect(try await site.post("\(queue)/retry_tasks/none:run").status == 404)
            for state in [TaskState.active, .pending] { #expect(try await broker.state(state.rawValue) == state) }
        }
    }

    @Test(arguments: Store.allCases)
    func `many tasks are moved, with what became of each`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.putOneInEachState()
            let queue = "/api/queues/default"
            let ids = #"{"task_ids":["scheduled","none","active"]}"#
            let run = try await site.post("\(queue)/scheduled_tasks:batch_run", ids).json()
            #expect(run["pending_ids"] as? [String] == ["scheduled"])
            #expect(run["error_ids"] as? [String] == ["none", "active"])
            let archive = try await site.post("\(queue)/pending_tasks:batch_archive", ids).json()
            #expect(archive["archived_ids"] as? [String] == ["scheduled"] && Set(archive.keys).contains("error_ids"))
            let delete = try await site.post("\(queue)/archived_tasks:batch_delete", ids).json()
            #expect(delete["deleted_ids"] as? [String] == ["scheduled"])
            #expect(delete["failed_ids"] as? [String] == ["none", "active"])
            let cancel = try await site.post("\(queue)/active_tasks:batch_cancel", #"{"task_ids":["active"]}"#).json()
            #expect(cancel["canceled_ids"] as? [String] == ["active"] && cancel["error_ids"] as? [String] == [])
            let none = try await site.post("\(queue)/retry_tasks:batch_run", #"{"task_ids":[]}"#)
            #expect(none.text == #"{"pending_ids":[],"error_ids":[]}"#)
        }
    }

    @Test(arguments: Store.allCases)
    func `all tasks of a state are moved, and counted`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            for index in 0..<5 {
                try await broker.enqueue("s\(index)", .processIn(.hours(1)))
                try await broker.enqueue("g\(index)", .group(index < 3 ? "one" : "two"))
            }
            let queue = "/api/queues/default"
            let one = "\(queue)/groups/one/aggregating_tasks"
            #expect(try await site.post("\(one):run_all").text == #"{"scheduled":3}"#)
            #expect(try await site.post("\(queue)/groups/two/aggregating_tasks:archive_all").text == #"{"archived":2}"#)
            #expect(try await site.post("\(queue)/scheduled_tasks:archive_all").text == #"{"archived":5}"#)
            #expect(try await site.post("\(queue)/archived_tasks:run_all").text == #"{"scheduled":7}"#)
            #expect(try await site.delete("\(queue)/pending_tasks:delete_all").text == #"{"deleted":10}"#)
            #expect(try await site.post("\(queue)/active_tasks:cancel_all").status == 204)
        }
    }

    @Test func `a cancellation reaches the handler`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        let (starts, input) = AsyncStream<String>.makeStream()
        var router = TaskRouter()
        try router.handle("t") { _, _ in
            input.yield("start")
            do {
                try await Task.sleep(for: .seconds(600))
            } catch {
                input.yield("cancelled")
                throw AsynqError.skipRetry("it was cancelled")
            }
        }
        let server = AsynqServer(broker, handler: router)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await withDashboard(broker) { site async throws in
                var events = starts.makeAsyncIterator()
                #expect(await events.next() == "start")
                #expect(try await site.post("/api/queues/default/active_tasks/a:cancel").status == 204)
                #expect(await events.next() == "cancelled")
            }
            group.cancelAll()
            while await group.nextResult() != nil {}
        }
    }

    @Test(arguments: ["", "[]", "{", "{\"task_ids\":1}", "{\"task_ids\":[1]}", "null", "{}"])
    func `a body that is something else is a bad request`(_ body: String) async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) { site in
            let answer = try await site.post("/api/queues/default/pending_tasks:batch_archive", body)
            #expect(answer.status == 400 && !answer.text.isEmpty, "\(answer.text)")
        }
    }

    @Test func `a body that is too large is refused with its limit`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) {
            $0.maxBodySize = 2000
        } _: { site in
            let body = "{\"task_ids\":[\"\(String(repeating: "x", count: 3000))\"]}"
            let answer = try await site.post("/api/queues/default/pending_tasks:batch_archive", body)
            #expect(answer.status == 413 && answer.text.contains("larger than 2000 bytes"))
        }
    }

    @Test func `who did what is kept, newest first and without payloads`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a", payload: "private")
        try await withDashboard(broker) { site in
            #expect(try await site.get("/api/audit").text == #"{"entries":[]}"#)
            _ = try await site.post("/api/queues/default/pending_tasks/a:archive")
            _ = try await site.post("/api/queues/default/archived_tasks:run_all")
            _ = try await site.delete("/api/queues/default")
            let answer = try await site.get("/api/audit")
            let entries = try answer.list("entries")
            #expect(
                Set(entries[0].keys) == ["at", "who", "address", "action", "queue", "task_id", "count", "outcome"]
            )
            #expect(try answer.values("action", of: "entries") == ["delete queue", "run all archived", "archive"])
            #expect((entries[0]["outcome"] as? String)?.contains("holds 1 tasks") == true)
            #expect(entries[1]["count"] as? Int == 1 && entries[2]["task_id"] as? String == "a")
            #expect(entries[2]["address"] as? String == "127.0.0.1" && !answer.text.contains("private"))
            #expect(try await site.get("/api/audit?limit=1").list("entries").count == 1)
        }
    }
}
