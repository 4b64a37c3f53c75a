import Asynq
import Foundation
import Testing

@testable import AsynqCLI

/// Commands that look at tasks and move them, on each broker.
@Suite struct TaskCommandTests {
    private func tasks(_ outcome: Program.Outcome) throws -> [[String: Any]] {
        try #require(try outcome.json()["tasks"] as? [[String: Any]])
    }

    @Test(arguments: Store.allCases)
    func `a task is enqueued with all its options`(_ store: Store) async throws {
        try await store.with { place in
            let plain = try await place.run("task", "enqueue", "-t", "mail", "-l", #"{"to": 1}"#)
            #expect(plain.status == 0 && plain.output.hasSuffix(" in default (pending)\n"))
            let full = try await place.run(
                "task",
                "enqueue",
                "--type",
                "mail",
                "--payload",
                "-",
                "--queue",
                "low",
                "--retry",
                "3",
                "--timeout",
                "90s",
                "--deadline",
                "2100-01-01T00:00:00Z",
                "--unique",
                "1h",
                "--process-in",
                "1h30m",
                "--retention",
                "24h",
                "--id",
                "one",
                "--header",
                "trace=a=b",
                "--header",
                "user=7",
                input: "from a pipe"
            )
            #expect(
                full.status == 0 && full.output.hasPrefix("enqueued one in low (scheduled, in 1h"),
                "\(full.errors)"
            )
            let task = try await place.inspector.task("one", queue: "low")
            #expect(task.payload == Array("from a pipe".utf8) && task.maxRetry == 3 && task.timeout == .seconds(90))
            #expect(task.deadline == Date(timeIntervalSince1970: 4_102_444_800) && task.retention == .hours(24))
            #expect(task.headers == ["trace": "a=b", "user": "7"])
            let again = try await place.run("task", "enqueue", "-t", "mail", "-l", "x", "--queue", "low", "--id", "one")
            #expect(again.status == 1 && again.errors.contains("a task with the id \"one\" exists"))
            let grouped = try await place.run("task", "enqueue", "-t", "mail", "--group", "g", "--json").json()
            #expect((grouped["task"] as? [String: Any])?["state"] as? String == "aggregating")
            let past = try await place.run("task", "enqueue", "-t", "mail", "--process-at", "2001-01-01T00:00:00+01:00")
            #expect(past.output.hasSuffix("(pending)\n"))
            let both = try await place.run(
                "task",
                "enqueue",
                "-t",
                "a",
                "--process-in",
                "1s",
                "--process-at",
                "2001-01-01T00:00:00Z"
            )
            #expect(both.status == 64 && both.errors.contains("exclude each other"))
        }
    }

    @Test func `a payload comes from a file, byte by byte`() async throws {
        try await Store.sqlite.with { place in
            try await withFolder { folder in
                let file = folder.appendingPathComponent("payload")
                try Data([0, 0xFF, 10]).write(to: file)
                #expect(
                    try await place.run("task", "enqueue", "-t", "a", "-l", "@\(file.path)", "--id", "one").status == 0
                )
                #expect(try await place.inspector.task("one", queue: "default").payload == [0, 0xFF, 10])
                #expect(
                    try await place.run("task", "inspect", "-q", "default", "-i", "one").words("Payload") == [
                        "Payload", "\\x00\\xff\\n",
                    ]
                )
                let task = try tasks(try await place.run("task", "inspect", "-q", "default", "-i", "one", "--json"))[0]
                #expect(task["payload"] is NSNull && task["payload_base64"] as? String == "AP8K")
                let missing = try await place.run("task", "enqueue", "-t", "a", "-l", "@/nowhere")
                #expect(missing.status == 1 && missing.errors.contains("the file /nowhere cannot be read"))
            }
        }
    }

    @Test(arguments: Store.allCases)
    func `each state has its columns, and lists go page by page`(_ store: Store) async throws {
        try await store.with { place in
            for id in ["done", "retry", "bad", "run", "p1", "p2", "p3"] {
                try await place.client.enqueue(AsynqTask("t:\(id)"), .taskID(id), .retention(.hours(1)))
            }
            try await place.end("default", .done)
            try await place.end("default", .retry(delay: .hours(1), error: "no route", countsAsFailure: true))
            try await place.end("default", .archive(error: "bad address"))
            _ = try await place.broker.dequeue([DequeueRequest(queue: "default", limit: 1)])
            try await place.client.enqueue(AsynqTask("t:later"), .taskID("later"), .processIn(.hours(5)))
            try await place.client.enqueue(AsynqTask("t:g"), .taskID("g"), .group("daily"))
            let expected = [
                "active": "ID TYPE LEASE RETRIED DEADLINE PAYLOAD", "pending": "ID TYPE RETRIED PAYLOAD",
                "scheduled": "ID TYPE NEXT PAYLOAD", "retry": "ID TYPE NEXT RETRIED ERROR PAYLOAD",
                "archived": "ID TYPE FAILED RETRIED ERROR PAYLOAD",
                "completed": "ID TYPE COMPLETED EXPIRES RESULT PAYLOAD", "aggregating": "ID TYPE GROUP PAYLOAD",
            ]
            for (state, titles) in expected {
                let list = try await place.run("task", "ls", "-q", "default", "-s", state)
                #expect(list.words("ID")?.joined(separator: " ") == titles)
                let json = try tasks(try await place.run("task", "ls", "-q", "default", "-s", state, "--json"))
                #expect(
                    json.allSatisfy { $0["state"] as? String == state } && json.count == (state == "pending" ? 3 : 1)
                )
            }
            #expect(try await place.run("task", "ls", "-q", "default", "-s", "retry").output.contains("no route"))
            let page = try await place.run("task", "ls", "-q", "default", "-s", "pending", "--page", "2", "--size", "2")
            #expect(page.words("p3") != nil && page.words("p2") == nil && page.output.contains("page 2 of 2, 3 tasks"))
            #expect(
                try await place.run("task", "ls", "-q", "default", "-s", "aggregating", "-g", "other").output
                    == "No task waits in the group other.\n"
            )
            try await place.client.enqueue(AsynqTask("a"), .queue("fresh"))
            #expect(
                try await place.run("task", "ls", "-q", "fresh", "-s", "retry").output == "No task waits for a retry.\n"
            )
            #expect(try await place.run("task", "ls", "-q", "default", "-s", "pending", "--page", "0").status == 64)
            #expect(try await place.run("task", "ls", "-q", "nowhere", "-s", "pending").status == 1)
            let one = try await place.run("task", "inspect", "-q", "default", "-i", "retry")
            #expect(
                one.words("Error") == ["Error", "no", "route"] && one.words("Retried") == ["Retried", "1", "of", "25"]
            )
        }
    }

    @Test(arguments: Store.allCases)
    func `tasks are archived, run, cancelled and deleted by their ids`(_ store: Store) async throws {
        try await store.with { place in
            for id in ["a", "b"] { try await place.client.enqueue(AsynqTask("t"), .taskID(id)) }
            let archive = try await place.run("task", "archive", "-q", "default", "-i", "a", "-i", "nobody")
            #expect(archive.status == 1 && archive.output == "archived a\n")
            #expect(archive.errors.contains("there is no task \"nobody\""))
            #expect(try await place.inspector.task("a", queue: "default").state == .archived)
            let again = try await place.run("task", "archive", "-q", "default", "-i", "a")
            #expect(again.status == 1 && again.errors.contains("it is archived already"))
            #expect(try await place.run("task", "run", "-q", "default", "--id", "a").output == "pending a\n")
            #expect(
                try await place.run("task", "delete", "-q", "default", "-i", "a", "-i", "b").output
                    == "deleted a\ndeleted b\n"
            )
            #expect(try await place.inspector.snapshot(of: "default").size == 0)
            #expect(try await place.run("task", "cancel", "a", "b").output == "asked to cancel a\nasked to cancel b\n")
        }
    }

    @Test(arguments: Store.allCases)
    func `all tasks of a state are moved at once`(_ store: Store) async throws {
        try await store.with { place in
            _ = await place.client.enqueue(batch: (0..<25).map { AsynqTask("t", .taskID("\($0)")) })
            #expect(
                try await place.run("task", "archiveall", "-q", "default", "-s", "pending").output
                    == "25 tasks are archived\n"
            )
            #expect(
                try await place.run("task", "runall", "-q", "default", "-s", "archived", "--json").json()["run"] as? Int
                    == 25
            )
            #expect(
                try await place.run("task", "deleteall", "-q", "default", "-s", "pending", "--yes").output
                    == "25 tasks are deleted\n"
            )
            let refused = try await place.run("task", "runall", "-q", "default", "-s", "active")
            #expect(refused.status == 64 && refused.errors.contains("cannot run all active tasks: only those of"))
            for number in 0..<3 { try await place.client.enqueue(AsynqTask("t"), .group(number < 2 ? "x" : "y")) }
            let group = try await place.run("task", "deleteall", "-q", "default", "-s", "aggregating", "-g", "x")
            #expect(group.output == "2 tasks are deleted\n")
        }
    }
}
