import Foundation
import TestSupport
import Testing

@testable import AsynqCLI

/// How the program finds its broker, and what it says when it does not.
@Suite struct ConnectionTests {
    @Test func `an option goes before the environment, and that before the file`() async throws {
        try await RedisServer.withServer { server in
            let address = "127.0.0.1:\(server.port)"
            let cases: [(arguments: [String], environment: [String: String], database: Int)] = [
                (["stats"], [:], 3),
                (["stats"], ["ASYNQ_DB": "4"], 4),
                (["stats", "-n", "5"], ["ASYNQ_DB": "4"], 5),
                // What a URI says itself goes before what a weaker place says.
                (["stats", "-u", "redis://\(address)/6"], ["ASYNQ_DB": "4"], 6),
                (["-u", "redis://\(address)/6", "-n", "7", "stats"], [:], 7),
            ]
            for (arguments, environment, database) in cases {
                let outcome = try await Program.run(
                    arguments,
                    environment: environment,
                    files: [".asynq.yaml": "uri: \(address)\ndb: 3\n"]
                )
                #expect(outcome.lines[0].hasPrefix("redis://\(address)/\(database) "), "\(outcome.errors)")
            }
        }
    }

    @Test func `a file may be JSON, and its keys may be written with hyphens`() throws {
        let values = try ConfigurationFile.parse(
            #"{"uri": "host:1", "db": 2, "tls-server": "name", "cluster_addrs": ["a:1", "b:2"], "password": null}"#,
            path: "file"
        )
        #expect(values == [.uri: "host:1", .db: "2", .tlsServer: "name", .clusterAddresses: "a:1,b:2"])
    }

    @Test func `a file that is wrong is said to be so, without what is in it`() async throws {
        for (text, message) in [
            ("ury: x", "the key \"ury\" is not known; did you mean \"uri\"?"),
            ("secret", "must hold lines of the form"),
            ("a: [", "is no valid YAML or JSON"),
            ("tls: secret", "tls in the configuration file is neither true nor false"),
        ] {
            let outcome = try await Program.run(["stats"], files: [".asynq.yaml": text])
            #expect(outcome.status == 64)
            #expect(outcome.errors.contains(message), "\(outcome.errors)")
            #expect(!outcome.errors.contains("secret"))
            #expect(outcome.errors.split(separator: "\n").count == 1)
        }
        let missing = try await Program.run(["stats", "--config", "nowhere.yaml"])
        #expect(missing.status == 64 && missing.errors.contains("there is no configuration file nowhere.yaml"))
    }

    @Test func `the password comes from the environment, and is in no error`() async throws {
        try await RedisServer.withServer(["--requirepass", "tiger-secret"]) { server in
            let address = "127.0.0.1:\(server.port)"
            let right = try await Program.run(
                ["stats", "-u", address],
                environment: ["ASYNQ_PASSWORD": "tiger-secret"]
            )
            #expect(right.status == 0, "\(right.errors)")
            for arguments in [
                ["stats", "-u", address, "-p", "wrong-secret"], ["stats", "--uri", "redis://:wrong-secret@\(address)"],
                ["stats", "-u", address],
            ] {
                let outcome = try await Program.run(arguments)
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("check --username and --password, or ASYNQ_PASSWORD"))
                #expect(!outcome.errors.contains("secret"))
                #expect(outcome.errors.split(separator: "\n").count == 1)
            }
        }
    }

    @Test func `passwords are blotted out of the list of processes`() {
        let words = [
            "asynq", "-p", "one", "--password", "two", "--password=three", "-pfour", "redis://u:five@h:1", "--page",
        ]
        let hidden = ProcessArguments.secrets(in: words).map {
            String(words[$0.index].utf8.dropFirst($0.bytes.lowerBound).prefix($0.bytes.count))
        }
        #expect(hidden == ["one", "two", "three", "four", "u:five"])
    }

    @Test func `a broker that is not there is one line with the way out`() async throws {
        let port = try RedisServer.freePort()
        let redis = try await Program.run(["stats", "-u", "127.0.0.1:\(port)"])
        #expect(redis.status == 1)
        #expect(
            redis.errors
                == "asynq: cannot connect to 127.0.0.1:\(port): connection refused. Is Redis running there? If not, see --uri\n"
        )
        let scheme = try await Program.run(["stats", "-u", "http://host"])
        #expect(scheme.status == 64 && scheme.errors.contains("\"http://\" is not known"))
    }

    @Test func `a SQLite file that is not there is made by a task, and by nothing that only looks`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tasks.db").path
            for words in [
                ["stats"], ["queue", "ls"], ["queue", "pause", "a"], ["task", "ls", "-q", "a", "-s", "pending"],
                ["task", "runall", "-q", "a", "-s", "retry"], ["group", "ls", "-q", "a"], ["cron", "ls"],
                ["server", "ls"], ["dash"], ["watch"], ["doctor"], ["metrics", "--port", "0"], ["ui", "--port", "0"],
            ] {
                let outcome = try await Program.run(words + ["-u", "sqlite:\(path)"])
                #expect(outcome.status == 1, "\(words)")
                #expect(
                    outcome.errors
                        == "asynq: there is no file \(path): check --uri; 'asynq task enqueue' makes it\n",
                    "\(words)"
                )
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
            let enqueued = try await Program.run(["task", "enqueue", "-t", "a", "-u", "sqlite:\(path)"])
            #expect(enqueued.status == 0, "\(enqueued.errors)")
            #expect(try await Program.run(["stats", "-u", "sqlite:\(path)"]).status == 0)
            let nowhere = try await Program.run(["task", "enqueue", "-t", "a", "-u", "sqlite:\(path).d/tasks.db"])
            #expect(nowhere.status == 1 && nowhere.errors.contains("\(path).d"), "\(nowhere.errors)")
            #expect(nowhere.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func `options may be written as in Go's tool, and stand anywhere`() throws {
        let order = ArgumentOrder(AsynqTool.self)
        #expect(
            try order.ordered(["-u", "x", "queue", "--cluster_addrs=a_b", "ls", "--json"]) == [
                "queue", "ls", "-u", "x", "--cluster-addrs=a_b", "--json",
            ]
        )
        #expect(try order.ordered(["queue", "unpause", "my_queue"]) == ["queue", "unpause", "my_queue"])
        #expect(order.path(in: ["-n", "3", "task", "ls", "-q", "x"]) == ["task", "ls"])
    }
}
