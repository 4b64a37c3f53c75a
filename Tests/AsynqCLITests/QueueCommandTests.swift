import Asynq
import Foundation
import Testing

@testable import AsynqCLI

/// Commands that look at queues and servers, on each broker.
@Suite struct QueueCommandTests {
    /// Two queues: `low` has a pending, a scheduled, a retried and an archived task, and one in a group.
    private func fill(_ place: Place) async throws {
        for id in ["r", "x", "p"] {
            try await place.client.enqueue(
                AsynqTask("mail:\(id)", payload: Array("hello".utf8)),
                .queue("low"),
                .taskID(id)
            )
        }
        try await place.end("low", .retry(delay: .hours(1), error: "no route", countsAsFailure: true))
        try await place.end("low", .archive(error: "bad address"))
        try await place.client.enqueue(AsynqTask("later"), .queue("low"), .taskID("s"), .processIn(.hours(2)))
        try await place.client.enqueue(AsynqTask("digest"), .queue("low"), .taskID("g"), .group("daily"))
        try await place.client.enqueue(AsynqTask("other"), .queue("high"))
    }

    @Test(arguments: Store.allCases)
    func `stats shows totals, queues and the broker`(_ store: Store) async throws {
        try await store.with { place in
            #expect(try await place.run("stats").output.contains("There are no queues yet."))
            try await fill(place)
            let text = try await place.run("stats")
            #expect(text.status == 0 && text.errors.isEmpty)
            #expect(text.words("pending") == ["pending", "2"])
            #expect(text.words("total") == ["total", "6"])
            #expect(text.words("low") == ["low", "0", "1", "1", "1", "1", "1", "0"])
            #expect(text.output.contains("Today (UTC): 2 processed, 2 failed, error rate 100.00%"))
            let json = try await place.run("stats", "--json").json()
            let totals = try #require(json["totals"] as? [String: Int])
            #expect(totals["size"] == 6 && totals["archived"] == 1 && totals["processed"] == 2 && totals["failed"] == 2)
            #expect((json["broker"] as? [String: Any])?["kind"] as? String == store.rawValue)
            #expect((json["queues"] as? [[String: Any]])?.compactMap { $0["queue"] as? String } == ["high", "low"])
        }
    }

    @Test(arguments: Store.allCases)
    func `queue ls, inspect and history show the same figures`(_ store: Store) async throws {
        try await store.with { place in
            #expect(try await place.run("queue", "ls").output.contains("There are no queues yet"))
            try await fill(place)
            let list = try await place.run("queue", "ls")
            #expect(list.words("low")?.prefix(3) == ["low", "running", "5"])
            let one = try await place.run("queue", "inspect", "low", "high")
            #expect(one.words("Size") == ["Size", "5"] && one.output.contains("Queue        high"))
            let queues = try #require(
                try await place.run("queue", "inspect", "low", "--json").json()["queues"] as? [[String: Any]]
            )
            #expect(
                queues[0]["retry"] as? Int == 1 && queues[0]["failed"] as? Int == 2
                    && queues[0]["paused"] as? Bool == false
            )
            let history = try await place.run("queue", "history", "low", "--days", "3")
            #expect(history.lines.filter { $0.hasPrefix("20") }.count == 3)
            let days = try #require(
                try await place.run("queue", "history", "low", "--json").json()["history"] as? [[String: Any]]
            )
            #expect(days.count == 10 && days[0]["processed"] as? Int == 2 && days[0]["failed"] as? Int == 2)
        }
    }

    @Test(arguments: Store.allCases)
    func `queues are paused, resumed and deleted`(_ store: Store) async throws {
        try await store.with { place in
            try await fill(place)
            let pause = try await place.run("queue", "pause", "low", "nowhere", "high")
            #expect(pause.status == 1 && pause.output == "paused low\npaused high\n")
            #expect(
                pause.errors == "asynq: there is no queue \"nowhere\"; 'asynq queue ls' lists those that there are\n"
            )
            #expect(try await place.inspector.snapshot(of: "low").isPaused)
            #expect(try await place.run("queue", "ls").words("low")?[1] == "paused")
            #expect(try await place.run("queue", "resume", "low").output == "resumed low\n")
            #expect(try await place.run("queue", "unpause", "high").output == "resumed high\n")
            #expect(try await place.inspector.snapshot(of: "low").isPaused == false)
            let refused = try await place.run("queue", "rm", "low")
            #expect(refused.status == 1 && refused.errors.contains("use --force"))
            #expect(try await place.run("queue", "rm", "low", "--force").output == "deleted low\n")
            #expect(try await place.inspector.queues() == ["high"])
        }
    }

    @Test(arguments: Store.allCases)
    func `groups are listed`(_ store: Store) async throws {
        try await store.with { place in
            try await fill(place)
            #expect(try await place.run("group", "ls", "-q", "low").words("daily") == ["daily", "1"])
            #expect(try await place.run("group", "ls", "-q", "high").output.contains("no groups"))
            let json = try await place.run("group", "ls", "-q", "low", "--json").json()
            #expect((json["groups"] as? [[String: Any]])?.first?["size"] as? Int == 1)
            #expect(try await place.run("group", "ls", "-q", "nowhere").status == 1)
        }
    }

    @Test(arguments: Store.allCases)
    func `servers are listed with what they run`(_ store: Store) async throws {
        try await store.with { place in
            #expect(try await place.run("server", "ls").output == "No server is running.\n")
            try await place.client.enqueue(AsynqTask("mail", payload: Array("hi\u{1B}[31m".utf8)), .taskID("one"))
            let task = try await place.broker.dequeue([DequeueRequest(queue: "default", limit: 1)])[0]
            let state = ServerState(
                identity: ServerIdentity(host: "host", pid: 7, id: "id"),
                concurrency: 10,
                queues: ["default": 1, "critical": 6],
                strictPriority: false,
                status: "active",
                startedAt: Date(),
                workers: [.init(task: task, startedAt: Date(), deadline: nil)]
            )
            try await place.broker.writeServerState(state, ttl: .minutes(5))
            #expect(
                try await place.run("server", "ls").words("host")?.prefix(6) == [
                    "host", "7", "active", "1/10", "critical:6", "default:1",
                ]
            )
            let workers = try await place.run("server", "ls", "--workers")
            #expect(workers.words("one")?.last == "hi\\x1b[31m")
            let servers = try #require(
                try await place.run("server", "ls", "--json").json()["servers"] as? [[String: Any]]
            )
            #expect(servers[0]["concurrency"] as? Int == 10)
            #expect((servers[0]["active_workers"] as? [[String: Any]])?.first?["task_id"] as? String == "one")
        }
    }

    @Test(arguments: Store.allCases)
    func `periodic tasks and their history are listed`(_ store: Store) async throws {
        try await store.with { place in
            #expect(try await place.run("cron", "ls").output == "No scheduler is running.\n")
            let entry = SchedulerEntry(
                id: "nightly",
                spec: "0 3 * * *",
                taskType: "report",
                payload: Array("all".utf8),
                options: ["Queue(\"low\")"],
                nextEnqueueAt: Date().addingTimeInterval(3600)
            )
            try await place.broker.writeSchedulerEntries([entry], of: "scheduler", ttl: .minutes(5))
            try await place.broker.recordEnqueueEvents([
                SchedulerEnqueueEvent(
                    entryID: "nightly",
                    taskID: "t1",
                    enqueuedAt: Date(timeIntervalSince1970: 1_700_000_000)
                ),
                SchedulerEnqueueEvent(
                    entryID: "nightly",
                    taskID: "t2",
                    enqueuedAt: Date(timeIntervalSince1970: 1_700_086_400)
                ),
            ])
            let list = try await place.run("cron", "ls")
            #expect(list.words("nightly")?.prefix(7) == ["nightly", "0", "3", "*", "*", "*", "report"])
            let entries = try #require(
                try await place.run("cron", "ls", "--json").json()["entries"] as? [[String: Any]]
            )
            #expect(entries[0]["spec"] as? String == "0 3 * * *" && entries[0]["prev_enqueue_at"] is NSNull)
            let history = try await place.run("cron", "history", "nightly", "--size", "1")
            #expect(history.output.contains("t2") && !history.output.contains("t1"))
            let events = try #require(
                try await place.run("cron", "history", "nightly", "--json").json()["events"] as? [[String: Any]]
            )
            #expect(events.map { $0["enqueued_at"] as? String } == ["2023-11-15T22:13:20Z", "2023-11-14T22:13:20Z"])
        }
    }
}
