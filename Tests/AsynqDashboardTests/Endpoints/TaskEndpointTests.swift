import Asynq
import AsynqDashboard
import AsynqTesting
import Foundation
import Testing

@Suite struct TaskEndpointTests {
    private static let common: Set<String> = [
        "id", "type", "payload", "queue", "max_retry", "retried", "error_message",
    ]
    private static let more: [TaskState: Set<String>] = [
        .active: ["start_time", "deadline", "is_orphaned"], .pending: [], .scheduled: ["next_process_at"],
        .retry: ["next_process_at"], .archived: ["last_failed_at"],
        .completed: ["completed_at", "result", "ttl_seconds"],
        .aggregating: ["group"],
    ]

    @Test(arguments: Store.allCases)
    func `lists of all states have the keys of asynqmon`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.putOneInEachState()
            for state in TaskState.allCases {
                let answer = try await site.get("/api/queues/default/\(state.rawValue)_tasks")
                let task = try #require(try answer.list("tasks").first, "\(state)")
                #expect(Set(task.keys) == Self.common.union(Self.more[state] ?? []), "\(state)")
                #expect(task["id"] as? String == state.rawValue && task["queue"] as? String == "default")
                #expect(task["payload"] as? String == "p" && task["type"] as? String == "t")
                #expect(Set(try answer.json().keys) == ["tasks", "stats"])
            }
            let completed = try await site.get("/api/queues/default/completed_tasks").list("tasks")[0]
            #expect(completed["result"] as? String == "fine")
            let left = try #require(completed["ttl_seconds"] as? Int)
            #expect(left > 3000 && left <= 3600)
            let retry = try await site.get("/api/queues/default/retry_tasks").list("tasks")[0]
            #expect(retry["error_message"] as? String == "it failed" && retry["retried"] as? Int == 1)
            // Nobody has said since when it runs.
            let active = try await site.get("/api/queues/default/active_tasks").list("tasks")[0]
            #expect(active["start_time"] as? String == "-" && active["deadline"] as? String == "-")
        }
    }

    @Test(arguments: Store.allCases)
    func `a running task shows when it began and when it must end`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.enqueue("a")
            let task = try await broker.take()[0]
            let start = Date(timeIntervalSince1970: 1_800_000_000)
            let state = ServerState(
                identity: ServerIdentity(host: "h", pid: 7, id: "s"),
                concurrency: 10,
                queues: ["default": 2, "low": 1],
                strictPriority: true,
                status: "active",
                startedAt: start,
                workers: [.init(task: task, startedAt: start, deadline: start + 60)]
            )
            try await broker.writeServerState(state, ttl: .seconds(60))
            let active = try await site.get("/api/queues/default/active_tasks").list("tasks")[0]
            #expect(active["start_time"] as? String == "2027-01-15T08:00:00Z")
            #expect(active["deadline"] as? String == "2027-01-15T08:01:00Z" && active["is_orphaned"] as? Bool == false)
            let server = try await site.get("/api/servers").list("servers")[0]
            #expect(
                Set(server.keys) == [
                    "id", "host", "pid", "concurrency", "queue_priorities", "strict_priority_enabled", "start_time",
                    "status", "active_workers",
                ]
            )
            #expect(server["queue_priorities"] as? [String: Int] == ["default": 2, "low": 1])
            #expect(server["pid"] as? Int == 7 && server["strict_priority_enabled"] as? Bool == true)
            let worker = try #require((server["active_workers"] as? [[String: Any]])?.first)
            #expect(Set(worker.keys) == ["task_id", "queue", "task_type", "task_payload", "start_time"])
            #expect(worker["task_id"] as? String == "a")
        }
    }

    @Test(arguments: Store.allCases)
    func `a task in full has all there is to know`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.putOneInEachState()
            let actions: [TaskState: [String]] = [
                .active: ["cancel"], .pending: ["archive", "delete"], .scheduled: ["run", "archive", "delete"],
                .retry: ["run", "archive", "delete"], .archived: ["run", "delete"],
                .completed: ["run", "archive", "delete"], .aggregating: ["run", "archive", "delete"],
            ]
            for state in TaskState.allCases {
                let task = try await site.get("/api/queues/default/tasks/\(state.rawValue)").json()
                #expect(
                    Set(task.keys) == [
                        "id", "queue", "type", "payload", "state", "max_retry", "retried", "error_message",
                        "last_failed_at", "timeout_seconds", "deadline", "next_process_at", "completed_at", "result",
                        "ttl_seconds", "headers", "group", "payload_base64", "result_base64", "is_orphaned", "actions",
                    ]
                )
                #expect(task["state"] as? String == state.rawValue && task["actions"] as? [String] == actions[state])
                #expect(task["payload_base64"] as? String == "cA==")
            }
            let pending = try await site.get("/api/queues/default/tasks/pending").json()
            #expect(pending["timeout_seconds"] as? Int == 90 && pending["headers"] as? [String: String] == ["h": "v"])
            #expect(pending["deadline"] as? String == "" && pending["completed_at"] as? String == "")
            let missing = try await site.get("/api/queues/default/tasks/none")
            #expect(missing.status == 404 && missing.text == "there is no task \"none\" in queue \"default\"")
        }
    }

    @Test func `pages go through a list`() async throws {
        try await Store.memory.withSite { site, broker in
            for index in 0..<25 { try await broker.enqueue("\(index)") }
            let list = "/api/queues/default/pending_tasks"
            #expect(try await site.get(list).list("tasks").count == 20)
            #expect(try await site.get(list + "?page=2").values("id", of: "tasks") == ["20", "21", "22", "23", "24"])
            #expect(try await site.get(list + "?page=3&size=10").values("id", of: "tasks").count == 5)
            #expect(try await site.get(list + "?page=99").list("tasks").isEmpty)
            #expect(try await site.get(list + "?page=9223372036854775807").list("tasks").isEmpty)
            for query in ["page=0", "page=x", "size=0", "size=1001", "size=-1"] {
                let answer = try await site.get("\(list)?\(query)")
                #expect(answer.status == 400 && answer.text.contains("must be a whole number"), "\(query)")
            }
        }
    }

    @Test func `long payloads are cut in lists, and bytes that are no text are shown as such`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a", payload: String(repeating: "é", count: 50), .retention(.hours(1)))
        try await AsynqClient(broker).enqueue(AsynqTask("t", payload: [0, 255, 65], .taskID("b")))
        let task = try await broker.take()[0]
        try await broker.writeResult(Array("a long result".utf8), of: task)
        try await withDashboard(broker) {
            $0.maxPayloadLength = 10
            $0.maxResultLength = 6
        } _: { site in
            let cut = String(repeating: "é", count: 10) + "…"
            #expect(try await site.get("/api/queues/default/active_tasks").values("payload", of: "tasks") == [cut])
            #expect(
                try await site.get("/api/queues/default/pending_tasks").values("payload", of: "tasks") == [
                    "\\x00\\xffA"
                ]
            )
            let full = try await site.get("/api/queues/default/tasks/b").json()
            #expect(full["payload_base64"] as? String == "AP9B" && full["payload"] as? String == "\\x00\\xffA")
            _ = await broker.finish([FinishRequest(task: task, outcome: .done)])
            #expect(
                try await site.get("/api/queues/default/completed_tasks").values("result", of: "tasks") == ["a long…"]
            )
            let whole = try await site.get("/api/queues/default/tasks/a").json()
            #expect(whole["payload"] as? String == String(repeating: "é", count: 50))
            #expect(whole["result"] as? String == "a long result")
        }
    }

    @Test func `a formatter decides how bytes are shown`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a", type: "image", payload: "abcdef")
        try await withDashboard(broker) {
            $0.payloadFormatter = { type, bytes in "\(type) of \(bytes.count) bytes" }
            $0.maxPayloadLength = 8
        } _: { site async throws in
            #expect(
                try await site.get("/api/queues/default/pending_tasks").values("payload", of: "tasks") == ["image of…"]
            )
            #expect(
                try await site.get("/api/queues/default/tasks/a").json()["payload"] as? String == "image of 6 bytes"
            )
        }
    }

    @Test(arguments: Store.allCases)
    func `names and ids of any characters find their way`(_ store: Store) async throws {
        let names = [
            "a/b", "a:run", "é日本", "with space", "100%", "?q=1&b#c", "<img src=x onerror=alert(1)>", "{brace}", "**",
            "\"quotes'", "a\nb", "..x", "+plus",
        ]
        try await store.withSite { site, broker in
            for name in names {
                try await broker.enqueue(name, type: name, payload: name, .queue(name))
                let path = try #require(name.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
                let list = try await site.get("/api/queues/\(path)/pending_tasks")
                #expect(try list.values("id", of: "tasks") == [name], "\(name)")
                #expect(try list.values("type", of: "tasks") == [name], "\(name)")
                #expect(try await site.get("/api/queues/\(path)/tasks/\(path)").json()["payload"] as? String == name)
                #expect(
                    try await site.post("/api/queues/\(path)/pending_tasks/\(path):archive").status == 204,
                    "\(name)"
                )
                #expect(try await site.post("/api/queues/\(path)/archived_tasks/\(path):run").status == 204, "\(name)")
                let found = try await site.get("/api/queues/\(path)/search?state=pending&id=\(path)")
                #expect(try found.values("id", of: "tasks") == [name], "\(name)")
                #expect(try await site.delete("/api/queues/\(path)/pending_tasks/\(path)").status == 204, "\(name)")
                #expect(try await site.post("/api/queues/\(path):pause").status == 204, "\(name)")
                #expect(try await site.delete("/api/queues/\(path)").status == 204, "\(name)")
            }
            #expect(try await broker.queueNames().isEmpty)
        }
    }
}
