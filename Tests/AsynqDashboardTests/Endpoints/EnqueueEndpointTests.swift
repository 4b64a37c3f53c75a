import Asynq
import AsynqDashboard
import AsynqTesting
import Foundation
import Testing

@Suite struct EnqueueEndpointTests {
    @Test(arguments: Store.allCases)
    func `a task is enqueued with all its options`(_ store: Store) async throws {
        try await store.withSite { site, _ in
            let answer = try await site.post(
                "/api/queues/low/tasks",
                """
                {"type":"email:welcome","payload":"{\\"n\\":1}","id":"a","max_retry":3,"timeout_seconds":90,
                 "deadline":"2090-01-31T09:30:00Z","process_in_seconds":600,"retention_seconds":60,"headers":{"h":"v"}}
                """
            )
            #expect(answer.status == 201, "\(answer.text)")
            let task = try answer.json()
            #expect(task["id"] as? String == "a" && task["queue"] as? String == "low")
            #expect(task["state"] as? String == "scheduled" && task["payload"] as? String == "{\"n\":1}")
            #expect(task["max_retry"] as? Int == 3 && task["timeout_seconds"] as? Int == 90)
            #expect(task["deadline"] as? String == "2090-01-31T09:30:00Z")
            #expect(task["headers"] as? [String: String] == ["h": "v"])
            let same = try await site.get("/api/queues/low/tasks/a").json()
            #expect(same["deadline"] as? String == "2090-01-31T09:30:00Z" && same["state"] as? String == "scheduled")
        }
    }

    @Test(arguments: Store.allCases)
    func `an id or a lock that is taken is a conflict`(_ store: Store) async throws {
        try await store.withSite { site, _ in
            let path = "/api/queues/default/tasks"
            #expect(try await site.post(path, #"{"type":"t","id":"a","unique_seconds":60}"#).status == 201)
            let taken = try await site.post(path, #"{"type":"other","id":"a"}"#)
            #expect(taken.status == 409 && taken.text.contains("exists in queue"))
            let locked = try await site.post(path, #"{"type":"t","unique_seconds":60}"#)
            #expect(locked.status == 409 && locked.text.contains("the same payload"))
        }
    }

    @Test func `bytes, groups and times have their ways`() async throws {
        try await Store.memory.withSite { site, broker in
            let path = "/api/queues/default/tasks"
            let bytes = try await site.post(path, #"{"type":"t","payload_base64":"AP9B"}"#).json()
            #expect(bytes["payload_base64"] as? String == "AP9B" && bytes["state"] as? String == "pending")
            let grouped = try await site.post(path, #"{"type":"t","group":"g"}"#).json()
            #expect(grouped["state"] as? String == "aggregating" && grouped["group"] as? String == "g")
            let later = try await site.post(path, #"{"type":"t","process_at":"2090-01-31T09:30:00.5Z"}"#).json()
            #expect(later["next_process_at"] as? String == "2090-01-31T09:30:00.500Z")
        }
    }

    @Test(arguments: [
        ("{}", "type is missing"), (#"{"type":""}"#, "type is blank"), (#"{"type":1}"#, "type must be of type String"),
        (#"{"type":"t","payload":"a","payload_base64":"YQ=="}"#, "not both"),
        (#"{"type":"t","payload_base64":"?"}"#, "not valid base64"), (#"{"type":"t","deadline":"soon"}"#, "RFC 3339"),
        (#"{"type":"t","timeout_seconds":-1}"#, "timeout_seconds"),
        (#"{"type":"t","unique_seconds":0.5}"#, "at least 1"),
        ("nothing", "not valid JSON"),
    ])
    func `what makes no sense is refused with the reason`(_ body: String, _ reason: String) async throws {
        try await Store.memory.withSite { site, broker in
            let answer = try await site.post("/api/queues/default/tasks", body)
            #expect(answer.status == 400 && answer.text.contains(reason), "\(answer.text)")
            #expect(try await broker.queueNames().isEmpty)
        }
    }

    @Test(arguments: Store.allCases)
    func `a task is enqueued again with another payload`(_ store: Store) async throws {
        try await store.withSite { site, broker in
            try await broker.enqueue("a", payload: "old", .maxRetry(2), .timeout(.seconds(77)), .header("h", "v"))
            try await broker.end(.archive(error: "it broke"))
            let path = "/api/queues/default/tasks/a:enqueue_again"
            let answer = try await site.post(path, #"{"payload":"new"}"#)
            #expect(answer.status == 201)
            let task = try answer.json()
            #expect(task["payload"] as? String == "new" && task["id"] as? String != "a")
            #expect(task["type"] as? String == "t" && task["max_retry"] as? Int == 2 && task["retried"] as? Int == 0)
            #expect(task["timeout_seconds"] as? Int == 77 && task["headers"] as? [String: String] == ["h": "v"])
            #expect(try await broker.state("a") == .archived)
            let same = try await site.post(path, #"{"delete_original":true}"#).json()
            #expect(same["payload"] as? String == "old")
            #expect(try await broker.state("a") == nil)
            #expect(try await site.post(path, "{}").status == 404)
        }
    }

    @Test func `a running task is not deleted for its successor`() async throws {
        try await Store.memory.withSite { site, broker in
            try await broker.enqueue("a")
            try await broker.take()
            let answer = try await site.post("/api/queues/default/tasks/a:enqueue_again", #"{"delete_original":true}"#)
            #expect(answer.status == 409 && answer.text.contains("is running"))
            #expect(try await broker.snapshots(of: ["default"])[0]?.size == 1)
        }
    }
}
