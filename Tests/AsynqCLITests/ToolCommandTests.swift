import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

@testable import AsynqCLI

/// `doctor`, `watch`, `metrics`, `bench`, and what the program prints of itself.
@Suite struct ToolCommandTests {
    private func checks(_ outcome: Program.Outcome) throws -> [String: [String: Any]] {
        let checks = try #require(try outcome.json()["checks"] as? [[String: Any]])
        return Dictionary(uniqueKeysWithValues: checks.map { ($0["check"] as? String ?? "", $0) })
    }

    @Test func `doctor finds nothing wrong where nothing is`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes"]) { server in
            let outcome = try await Program.run(["doctor", "-u", server.uri])
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(outcome.lines.filter { !$0.isEmpty }.allSatisfy { $0.hasPrefix("ok ") })
            let names = try checks(try await Program.run(["doctor", "-u", server.uri, "--json"])).keys
            #expect(
                Set(names).isSuperset(of: [
                    "version", "eviction", "memory", "persistence", "replication", "clock", "scripts", "leases",
                    "servers",
                    "keys",
                ])
            )
        }
    }

    @Test func `doctor says what is wrong, and what to do`() async throws {
        try await RedisServer.withServer(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]) { server in
            let place = Place(uri: server.uri, broker: try Store.broker(server.uri))
            try await place.client.enqueue(AsynqTask("a"), .taskID("one"))
            _ = try await place.broker.dequeue([DequeueRequest(queue: "default", limit: 1)])
            try server.cli("DEL", "asynq:{default}:lease")
            try await place.client.enqueue(AsynqTask("a"))
            try await place.inspector.pause("default")
            try server.cli("SET", "asynq:other", "1")
            try server.cli("SET", "asynq:{deleted}:pending", "1")
            let outcome = try await place.run("doctor", "--json")
            #expect(outcome.status == 1 && outcome.errors.hasPrefix("asynq: 1 of "))
            let found = try checks(outcome)
            #expect(found["eviction"]?["status"] as? String == "fail")
            #expect((found["eviction"]?["advice"] as? String)?.contains("noeviction") == true)
            for name in ["persistence", "leases", "servers", "paused", "keys"] {
                #expect(found[name]?["status"] as? String == "warn", "\(name)")
                #expect(found[name]?["advice"] is String, "\(name)")
            }
            #expect((found["leases"]?["message"] as? String)?.contains("one in default") == true)
            #expect((found["keys"]?["message"] as? String)?.hasPrefix("2 of ") == true)
            await place.broker.shutdown()
        }
    }

    @Test func `doctor tells of a replica that takes no writes`() async throws {
        try await RedisServer.withServer { master in
            try await RedisServer.withServer(["--replicaof", "127.0.0.1 \(master.port)"]) { server in
                let place = Place(uri: master.uri, broker: try Store.broker(master.uri))
                try await place.client.enqueue(AsynqTask("a"))
                await place.broker.shutdown()
                try await eventually("it has the data") { try server.cli("EXISTS", "asynq:queues") == "1" }
                let outcome = try await Program.run(["doctor", "-u", server.uri, "--json"])
                let found = try checks(outcome)
                #expect(outcome.status == 1)
                #expect(found["role"]?["status"] as? String == "fail")
                #expect(found["role"]?["advice"] as? String == "name the master in --uri")
                #expect(found["servers"]?["status"] as? String == "fail")
                #expect(found["keys"]?["status"] as? String == "ok")
                let refused = try await Program.run(["queue", "pause", "default", "-u", server.uri])
                #expect(
                    refused.errors == "asynq: this Redis is a replica, and takes no writes: name the master in --uri\n"
                )
            }
        }
    }

    @Test func `doctor tells of a user who may run no scripts`() async throws {
        try await RedisServer.withServer { server in
            try server.cli("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-evalsha", "-eval")
            let place = Place(uri: server.uri, broker: try Store.broker(server.uri))
            try await place.client.enqueue(AsynqTask("a"))
            await place.broker.shutdown()
            let uri = server.uri.replacing("redis://", with: "redis://limited:secret@")
            let outcome = try await Program.run(["doctor", "-u", uri, "--json"])
            let found = try checks(outcome)
            #expect(outcome.status == 1)
            #expect(found["version"]?["status"] as? String == "ok")
            #expect(found["scripts"]?["status"] as? String == "fail")
            #expect((found["scripts"]?["message"] as? String)?.contains("NOPERM") == true)
            #expect(!outcome.output.contains("secret"))
        }
    }

    @Test func `what an option has made wrong names the option`() async throws {
        try await RedisServer.withServer { server in
            let database = try await Program.run(["stats", "-u", server.uri, "--db", "99"])
            #expect(database.status == 1 && database.errors.hasSuffix("see --db\n"), "\(database.errors)")
            let cluster = try await Program.run(["stats", "-u", "127.0.0.1:\(server.port)", "--cluster"])
            #expect(cluster.status == 1 && cluster.errors.contains("leave out --cluster"), "\(cluster.errors)")
        }
        try await RedisServer.withServer(["--requirepass", "secret"]) { server in
            #expect(try await Program.run(["stats", "-u", server.uri, "-psecret"]).status == 0)
            let wrong = try await Program.run(["stats", "-u", server.uri, "-pguess"])
            #expect(wrong.status == 1 && wrong.errors.contains("check --username and --password"), "\(wrong.errors)")
            #expect(!wrong.errors.contains("guess"))
        }
    }

    @Test func `doctor looks through the keys of all masters of a Cluster`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            let broker = try Store.broker(set.uri)
            for number in 0..<20 { try await AsynqClient(broker).enqueue(AsynqTask("a"), .queue("q\(number)")) }
            await broker.shutdown()
            for (index, uri) in set.masters.enumerated() {
                // A key that lies on this one.
                let port = try #require(uri.split(separator: ":").last.flatMap { Int($0) })
                let server = try #require(set.servers.first { $0.port == port })
                let name = (0..<1000).lazy.map { "asynq:other:\(index):\($0)" }.first { name in
                    (try? server.cli("SET", name, "1")) == "OK"
                }
                try #require(name != nil)
            }
            let keys = try checks(try await Program.run(["doctor", "-u", set.uri, "--json"]))["keys"]
            #expect((keys?["message"] as? String)?.hasPrefix("3 of ") == true, "\(keys ?? [:])")
        }
    }

    @Test func `doctor knows a SQLite file`() async throws {
        try await Store.sqlite.with { place in
            let outcome = try await place.run("doctor")
            #expect(outcome.status == 0 && outcome.words("ok")?.prefix(3) == ["ok", "store:", "SQLite"])
        }
    }

    @Test(arguments: Store.allCases)
    func `watch prints a line each time, and ends when all is done`(_ store: Store) async throws {
        try await store.with { place in
            try await place.client.enqueue(AsynqTask("a"))
            let twice = try await place.run("watch", "--count", "2", "--refresh", "100ms")
            #expect(twice.status == 0 && twice.lines.count == 3)
            #expect(twice.lines[0].contains(" active=0 pending=1 "))
            let json = try await place.run("watch", "default", "--count", "1", "--json").json()
            #expect(json["pending"] as? Int == 1 && json["processed_per_second"] is NSNull)
            try await place.end("default", .done)
            #expect(try await place.run("watch", "--until-empty").lines.count == 2)
        }
    }

    @Test(arguments: Store.allCases)
    func `bench measures, and leaves nothing behind`(_ store: Store) async throws {
        try await store.with { place in
            try await place.client.enqueue(AsynqTask("mine"))
            let json = try await place.run("bench", "--tasks", "500", "--json").json()
            #expect(json["tasks"] as? Int == 500)
            #expect(try #require(json["processed_per_second"] as? Int) > 0)
            let refused = try await place.run("bench", "--tasks", "5", "--queue", "default")
            #expect(refused.status == 1 && refused.errors.contains("there is a queue \"default\""))
            #expect(try await place.run("bench", "--tasks", "5").words("process")?[1] == "5")
            #expect(try await place.inspector.queues() == ["default"])
            #expect(try await place.inspector.snapshot(of: "default").pending == 1)
        }
    }

    @Test(arguments: Store.allCases)
    func `bench lets a paused queue go on, and deletes its own at Ctrl-C`(_ store: Store) async throws {
        try await store.with { place in
            try await place.client.enqueue(AsynqTask("mine"), .queue("used"))
            try await place.inspector.pause("used")
            let used = try await place.run("bench", "--tasks", "50", "-q", "used", "--yes")
            #expect(used.words("process")?[1] == "50", "\(used.errors)")
            try await withFolder { folder in
                let errors = folder.appendingPathComponent("errors")
                _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
                let process = try ChildProcess(
                    try Program.path,
                    ["bench", "--tasks", "10000000", "-u", place.uri],
                    errors: try FileHandle(forWritingTo: errors)
                )
                try await eventually("it enqueues") { try await place.inspector.queues() == ["asynq-bench"] }
                process.signal(SIGINT)
                try await eventually("it ends") { !process.isRunning }
                #expect(process.waitUntilExit() == 130)
                let text = try String(contentsOf: errors, encoding: .utf8)
                #expect(text == "asynq: interrupted; the queue \"asynq-bench\" is deleted\n")
            }
            #expect(try await place.inspector.queues() == [])
        }
    }

    @Test func `watch that has seen enough, and tasks, has failed`() async throws {
        try await Store.sqlite.with { place in
            try await place.client.enqueue(AsynqTask("a"))
            let outcome = try await place.run("watch", "--until-empty", "--count", "1")
            #expect(outcome.status == 1 && outcome.errors == "asynq: there are still tasks after 1 look\n")
        }
    }

    @Test func `metrics are served to Prometheus until a signal comes`() async throws {
        try await RedisServer.withServer { server in
            try await withFolder { folder in
                let place = Place(uri: server.uri, broker: try Store.broker(server.uri))
                try await place.client.enqueue(AsynqTask("a"), .queue("low"))
                let log = folder.appendingPathComponent("log")
                _ = FileManager.default.createFile(atPath: log.path, contents: nil)
                let process = try ChildProcess(
                    try Program.path,
                    ["metrics", "--port", "0", "--host", "127.0.0.1", "-u", server.uri],
                    environment: [:],
                    output: try FileHandle(forWritingTo: log)
                )
                func address() -> String? {
                    let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
                    return text.hasSuffix("\n")
                        ? text.split(separator: " ").last?.trimmingCharacters(in: .newlines) : nil
                }
                try await eventually("the exporter listens") { address() != nil }
                let port = try #require(
                    address()?.split(separator: ":").last?.split(separator: "/").first.flatMap { Int($0) }
                )
                let answer = try HTTP.get(port: port, "/metrics")
                #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains("asynq_queue_size{queue=\"low\"} 1"))
                #expect(answer.contains("text/plain; version=0.0.4"))
                #expect(try HTTP.get(port: port, "/other").hasPrefix("HTTP/1.1 404"))
                #expect(try HTTP.get(port: port, "/metrics", method: "POST").hasPrefix("HTTP/1.1 405"))
                server.kill()
                #expect(try HTTP.get(port: port, "/metrics").hasPrefix("HTTP/1.1 503"))
                process.signal(SIGTERM)
                try await eventually("the exporter ends") { !process.isRunning }
                #expect(process.waitUntilExit() == 0)
                await place.broker.shutdown()
            }
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func `completions are printed for each shell`(_ shell: String) async throws {
        let outcome = try await Program.run(["completions", shell])
        #expect(outcome.status == 0 && outcome.output.contains("asynq") && outcome.output.contains("deleteall"))
        if shell == "bash" {
            try await withFolder { folder in
                let script = folder.appendingPathComponent("completions")
                try outcome.output.write(to: script, atomically: true, encoding: .utf8)
                let process = try ChildProcess("/bin/bash", ["-n", script.path])
                try await eventually("bash ends") { !process.isRunning }
                #expect(process.waitUntilExit() == 0)
            }
        }
    }

    @Test func `the page in docs is the one that the program prints`() async throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/cli.md")
        let printed = try await Program.run(["manual", "--markdown"]).output
        let isSame = try String(contentsOf: page, encoding: .utf8) == printed
        #expect(isSame, "docs/cli.md is out of date: run `make cli`")
    }

    @Test func `the manual page names all commands`() async throws {
        let page = try await Program.run(["manual"]).output
        #expect(page.hasPrefix(".TH ASYNQ 1"))
        for name in ["stats", "queue ls", "task deleteall", "dash"] { #expect(page.contains(".B asynq \(name)\n")) }
    }

    @Test func `the documented keys of JSON are those that are printed`() throws {
        func keys(_ value: JSONValue) -> [String] {
            if case .object(let members) = value { members.map(\.key) } else { [] }
        }
        let message = TaskMessage(type: "a", payload: nil, id: "i", queue: "q")
        #expect(keys(JSONValue(QueueSnapshot(queue: "q", time: Date()))) == JSONDocumentation.queue.fields.map(\.key))
        #expect(keys(JSONValue(TaskInfo(message, state: .pending))) == JSONDocumentation.task.fields.map(\.key))
        let server = ServerInfo(
            identity: ServerIdentity(host: "h", pid: 1, id: "i"),
            concurrency: 1,
            queues: [:],
            strictPriority: false,
            status: "active",
            startedAt: Date(),
            workers: []
        )
        #expect(keys(JSONValue(server)) == JSONDocumentation.server.fields.map(\.key))
        let entry = SchedulerEntry(id: "i", spec: "s", taskType: "t", payload: [])
        #expect(keys(JSONValue(entry)) == JSONDocumentation.entry.fields.map(\.key))
    }
}
