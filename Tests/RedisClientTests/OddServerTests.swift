import RedisClient
import Synchronization
import TestSupport
import Testing

/// Servers that do not behave.
struct OddServerTests {
    @Test func `a server that is too old is refused, and told why`() async throws {
        let old = "%2\r\n+server\r\n+redis\r\n+version\r\n+6.0.16\r\n"
        for (hello, text) in [(old, "6.0.16"), ("-ERR unknown command `HELLO`\r\n", "too old")] {
            try await FakeServer.withServer { _ in
                .bytes(hello)
            } _: { server async throws in
                try await withClient(server.uri) { redis async throws in
                    let error = try #require(await redis.failure())
                    #expect(error.code == .unsupportedServer)
                    #expect(error.message.contains(text) && error.message.contains("127.0.0.1:\(server.port)"))
                }
            }
        }
    }

    @Test(
        arguments: [
            FakeServer.Answer.bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), .close(after: ""), .close(after: "%2\r\n+ser"),
        ]
    )
    func `what is not Redis is told from it`(answer: FakeServer.Answer) async throws {
        try await FakeServer.withServer { _ in
            answer
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .connectionFailed || error.code == .protocolError)
                #expect("\(error)".contains("127.0.0.1:\(server.port)") || error.code == .protocolError)
            }
        }
    }

    @Test func `a server that says nothing is given up after the dial time-out`() async throws {
        try await FakeServer.withServer { _ in
            .silence
        } _: { server async throws in
            try await withClient("redis://:hunter2@127.0.0.1:\(server.port)") {
                $0.dialTimeout = .milliseconds(100)
            } _: { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .connectionFailed)
                #expect(error.message.contains("127.0.0.1:\(server.port)") && !"\(error)".contains("hunter2"))
            }
        }
    }

    @Test func `a server that stops answering is given up, and tried again`() async throws {
        let isSilent = Atomic<Bool>(false)
        try await FakeServer.withServer { command in
            switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            default: isSilent.load(ordering: .relaxed) ? .silence : .bytes("+PONG\r\n")
            }
        } _: { server async throws in
            try await withClient(server.uri) {
                $0.readTimeout = .milliseconds(100)
            } _: { redis async throws in
                // The log-in has no more time than a command.
                try await redis.runEventually("PING")
                isSilent.store(true, ordering: .relaxed)
                async let first = redis.failure(of: "GET", "hunter2")
                async let second = redis.failure(of: "SET", "hunter2", "x")
                let errors = [await first, await second].compactMap { $0 }
                // The one that was sent first has waited that long; nobody knows of the other.
                #expect(Set(errors.map(\.code)).isSubset(of: [.commandTimedOut, .connectionLost]))
                #expect(errors.count == 2 && errors.contains { $0.code == .commandTimedOut })
                #expect(errors.allSatisfy { !"\($0)".contains("hunter2") })
                isSilent.store(false, ordering: .relaxed)
                try await eventually("it answers again") { (try? await redis.run("PING").string) == "PONG" }
            }
        }
    }

    @Test func `a server that takes nothing more is given up`() async throws {
        // The kernel takes what fits its buffers, and no more.
        try await FakeServer.withServer(readsAfterHello: false) { _ in
            .bytes(FakeServer.hello)
        } _: {
            server async throws in
            try await withClient(server.uri) {
                $0.writeTimeout = .milliseconds(100)
                $0.readTimeout = .seconds(3600)
            } _: { redis in
                var builder = RESPCommandBuilder(name: "SET", argumentCount: 2)
                builder.append("k")
                builder.append([UInt8](repeating: 1, count: 64 << 20))
                let reply = await redis.execute([builder.finish()], to: .any)[0]
                let error = #expect(throws: RedisError.self) { try reply.get() }
                #expect(error?.code == .commandTimedOut && error?.message.contains("taken nothing") == true)
            }
        }
    }

    @Test func `what was answered before a connection broke stays answered`() async throws {
        try await FakeServer.withServer { command in
            switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            case "GET": .bytes("+1\r\n")
            case "DEL": .bytes("-ERR no\r\n")
            default: .close(after: "")
            }
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                let names = ["GET", "DEL", "INCR", "GET"]
                let replies = await redis.execute(names.map { RESPCommand($0, "k") }, to: .any)
                let outcomes = replies.map { reply in
                    switch reply {
                    case .success(let value): value.string ?? ""
                    case .failure(let error): "\(error.code) of \(error.command ?? "")"
                    }
                }
                #expect(outcomes == ["1", "serverError of DEL", "connectionLost of INCR", "connectionLost of GET"])
            }
        }
    }

    @Test func `a connection that breaks in the middle of a reply fails that command, and not the next`() async throws {
        try await FakeServer.withServer { command in
            switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            case "GET": .close(after: "$10\r\nhalf")
            default: .bytes("+PONG\r\n")
            }
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                #expect(await redis.failure(of: "GET", "k")?.code == .connectionLost)
                #expect(try await redis.run("PING").string == "PONG")
            }
        }
    }

    @Test func `a reply that nothing was asked for ends the connection`() async throws {
        try await FakeServer.withServer { command in
            command[0] == "HELLO" ? .bytes(FakeServer.hello) : .bytes("+one\r\n+two\r\n")
        } _: { server async throws in
            let log = LogRecorder()
            try await withClient(server.uri, logger: log.logger) { redis async throws in
                #expect(try await redis.run("PING").string == "one")
                try await eventually("it is seen") { log.lines.contains { $0.contains("nothing was asked for") } }
            }
        }
    }

    @Test func `a server that refuses connections is named, and its password is not`() async throws {
        let port = try RedisServer.freePort()
        try await withClient("redis://:hunter2@127.0.0.1:\(port)") { redis async throws in
            let error = await #expect(throws: RedisError.self) { try await redis.connect() }
            #expect(error?.code == .connectionFailed)
            let text = try #require(error?.description)
            #expect(
                text.contains("127.0.0.1:\(port)") && text.contains("connection refused") && !text.contains("hunter2")
            )
        }
        try await withClient("redis-socket:///nowhere/redis.sock") { redis async throws in
            #expect(await redis.failure()?.message.contains("/nowhere/redis.sock") == true)
        }
        try await withClient("redis://no-such-host.invalid:1") { redis async throws in
            #expect(await redis.failure()?.message.contains("no-such-host.invalid:1") == true)
        }
    }
}
