import Foundation
import Logging
import NIOCore
import RedisClient
import TestSupport
import Testing

/// The client against a real Redis.
struct RealServerTests {
    @Test func `callers that share a connection each get their own answers`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<100 {
                        group.addTask {
                            for turn in 0..<100 {
                                let answer = try await redis.run("ECHO", "\(caller)-\(turn)").string
                                #expect(answer == "\(caller)-\(turn)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                // All of them on one connection.
                #expect(try await redis.run("CLIENT", "LIST").string?.split(separator: "\n").count == 1)
            }
        }
    }

    @Test(arguments: [1, 3])
    func `commands go over as many connections as the pool has`(size: Int) async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri, { $0.poolSize = size }) { redis async throws in
                var ids: Set<String> = []
                for _ in 0..<12 { ids.insert("\(try await redis.run("CLIENT", "ID"))") }
                #expect(ids.count == size)
                #expect(try await redis.run("CLIENT", "LIST").string?.split(separator: "\n").count == size)
            }
        }
    }

    @Test func `cancelled callers never put the others' answers out of step`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<3000 {
                        group.addTask {
                            let caller = Task { try await redis.run("ECHO", "\(number)").string }
                            if number.isMultiple(of: 3) { caller.cancel() }
                            switch await caller.result {
                            case .success(let answer): #expect(answer == "\(number)")
                            case .failure(let error): #expect((error as? RedisError)?.code == .cancelled)
                            }
                        }
                    }
                }
                #expect(try await redis.run("ECHO", "last").string == "last")
                #expect(try await redis.run("CLIENT", "LIST").string?.split(separator: "\n").count == 1)
            }
        }
    }

    @Test func `an error is its command's alone`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                let commands = [RESPCommand("SET", "k", "v"), RESPCommand("LLEN", "k"), RESPCommand("GET", "k")]
                let replies = await redis.execute(commands, to: .any)
                #expect(try replies[0].get().string == "OK" && replies[2].get().string == "v")
                let error = #expect(throws: RedisError.self) { try replies[1].get() }
                #expect(error?.serverCode == "WRONGTYPE" && error?.command == "LLEN" && error?.code == .serverError)
            }
        }
    }

    @Test func `users, passwords and databases are those of the URI`() async throws {
        try await RedisServer.withServer([
            "--requirepass", "hunter2", "--user", "app", "on", ">pa@ss", "~*", "&*", "+@all",
        ]) {
            server in
            let place = "127.0.0.1:\(server.port)"
            try await withClient("redis://:hunter2@\(place)/3") { redis async throws in
                #expect(try await redis.run("ACL", "WHOAMI").string == "default")
                #expect(try await redis.run("CLIENT", "INFO").string?.contains(" db=3 ") == true)
            }
            try await withClient("redis://app:pa%40ss@\(place)") { redis async throws in
                #expect(try await redis.run("ACL", "WHOAMI").string == "app")
            }
            let refused = [
                ("redis://:wrong-secret@\(place)", RedisError.Code.authenticationFailed, "wrong user or password"),
                ("redis://\(place)", .authenticationFailed, "asks for a password"),
                ("redis://:hunter2@\(place)/99", .connectionFailed, "database 99"),
            ]
            for (uri, code, text) in refused {
                try await withClient(uri) { redis async throws in
                    let error = try #require(await redis.failure())
                    #expect(error.code == code && error.message.contains(text) && error.message.contains(place))
                    #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("wrong-secret"))
                }
            }
        }
    }

    @Test func `a password where none is asked for is told`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient("redis://app:hunter2@127.0.0.1:\(server.port)") { redis async throws in
                #expect(await redis.failure()?.code == .authenticationFailed)
            }
        }
    }

    @Test func `a Unix socket serves as well`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient("redis-socket://\(server.socketPath)?db=2") { redis async throws in
                #expect(try await redis.run("CLIENT", "INFO").string?.contains(" db=2 ") == true)
            }
        }
    }

    @Test func `commands that wait survive a restart of the server`() async throws {
        try await RedisServer.withServer { server async throws in
            let log = LogRecorder()
            try await withClient(server.uri, logger: log.logger) {
                $0.dialTimeout = .seconds(3600)
            } _: { redis async throws in
                try await redis.connect()
                server.kill()
                // What is on its way until then fails; from then on commands wait.
                try await eventually("the end of the connection is seen") {
                    log.lines.contains { $0.contains("no connection to Redis") }
                }
                let answers = Recorder<Result<RESPValue, RedisError>>()
                redis.submit([RESPCommand("ECHO", "patience")], to: .any) { answers.add($0[0]) }
                try await server.start()
                await answers.wait(for: 1)
                #expect(try answers.elements[0].get().string == "patience")
            }
        }
    }

    @Test func `a killed connection fails what was on its way and is made again`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                try await redis.connect()
                // Blocks until the connection is killed by somebody else.
                async let blocked = redis.failure(of: "BLPOP", "nothing", "0")
                try await eventually("it blocks") { try server.cli("CLIENT", "LIST").contains("cmd=blpop") }
                try server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                #expect(await blocked?.code == .connectionLost)
                #expect(try await redis.run("PING").string == "PONG")
            }
        }
    }

    @Test func `messages and invalidations come on the connection that asked for them`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                let pushes = Recorder<RedisPush>()
                let states = Recorder<RedisLane.ConnectionState>()
                let lane = redis.makeListener(for: .any) {
                    pushes.add($0)
                } onState: {
                    states.add($0)
                }
                lane.open()
                await states.wait(for: 1)
                let ready = Recorder<Int>()
                lane.submit([
                    RESPCommand("CLIENT", "TRACKING", "ON"), RESPCommand("LLEN", "list"),
                    RESPCommand("SUBSCRIBE", "a", "b"),
                ]) {
                    ready.add($0.count)
                }
                await ready.wait(for: 1)
                #expect(ready.elements == [3])
                _ = try await redis.run("LPUSH", "list", "x")
                await pushes.wait(for: 1)
                _ = try await redis.run("PUBLISH", "b", "hello")
                await pushes.wait(for: 2)
                #expect(
                    pushes.elements == [
                        .invalidate(keys: [ByteBuffer(string: "list")]),
                        .message(channel: ByteBuffer(string: "b"), payload: ByteBuffer(string: "hello")),
                    ]
                )
                await lane.shutdown()
            }
        }
    }

    @Test func `a refused subscription leaves the answers in step`() async throws {
        try await RedisServer.withServer(["--user", "app", "on", ">pw", "~*", "resetchannels", "+@all"]) {
            server async throws in
            try await withClient("redis://app:pw@127.0.0.1:\(server.port)") { redis async throws in
                let commands = [RESPCommand("SUBSCRIBE", "secret"), RESPCommand("ECHO", "next")]
                let replies = await redis.execute(commands, to: .any)
                #expect(throws: RedisError.self) { try replies[0].get() }
                #expect(try replies[1].get().string == "next")
            }
        }
    }

    /// Sends commands, and notes what becomes of each.
    private struct Outcomes {
        let redis: any RedisTopology
        let answers = Recorder<String>()
        let errors = Recorder<RedisError>()

        func submit(_ name: String, _ arguments: String...) {
            redis.submit([RESPCommand(name, arguments: arguments)], to: .any) { [answers, errors] replies in
                switch replies[0] {
                case .success(let value): answers.add(value.string ?? "array")
                case .failure(let error): errors.add(error)
                }
            }
        }
    }

    @Test func `what is answered makes room for what waits, and no more waits than has a place`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.maxInFlight = 2
                // None waits for so long that it is given up.
                $0.dialTimeout = .seconds(3600)
                $0.readTimeout = .seconds(3600)
            } _: { redis async throws in
                // Answered ones count no longer.
                for _ in 0..<5 { #expect(try await redis.run("PING").string == "PONG") }
                let outcomes = Outcomes(redis: redis)
                outcomes.submit("BLPOP", "list", "0")
                for text in ["second", "third", "fourth"] { outcomes.submit("ECHO", text) }
                #expect(outcomes.answers.count == 0 && outcomes.errors.count == 0)
                // No more wait than may be on their way.
                outcomes.submit("ECHO", "fifth")
                #expect(outcomes.errors.elements.map(\.code) == [.tooManyRequests])
                try server.cli("LPUSH", "list", "x")
                await outcomes.answers.wait(for: 4)
                #expect(outcomes.answers.elements == ["array", "second", "third", "fourth"])

                outcomes.submit("BLPOP", "list", "0")
                outcomes.submit("ECHO", "sixth")
                outcomes.submit("ECHO", "seventh")
                // One whose caller has given up takes no place.
                redis.submit([RESPCommand("ECHO", "none")], to: .any) { _ in }.cancel()
                try server.cli("LPUSH", "list", "x")
                await outcomes.answers.wait(for: 7)
                #expect(outcomes.answers.elements.dropFirst(4) == ["array", "sixth", "seventh"])
                for _ in 0..<4 { redis.submit([RESPCommand("PING")], to: .any) { _ in }.cancel() }
                try await eventually("none waits") { await redis.failure() == nil }
                #expect(outcomes.errors.count == 1)
            }
        }
    }

    @Test func `more commands than allowed wait for a place, and are refused when none becomes free`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.maxInFlight = 2
                // One waits for a place as long as for a connection.
                $0.dialTimeout = .milliseconds(200)
                $0.readTimeout = .seconds(3600)
            } _: { redis async throws in
                try await redis.runEventually("PING")
                let outcomes = Outcomes(redis: redis)
                outcomes.submit("BLPOP", "list", "0")
                for text in ["second", "third", "fourth"] { outcomes.submit("ECHO", text) }
                await outcomes.errors.wait(for: 2)
                // They have made room for another one, which waits in vain, too.
                outcomes.submit("ECHO", "fifth")
                await outcomes.errors.wait(for: 3)
                for error in outcomes.errors.elements {
                    #expect(error.code == .tooManyRequests)
                    // Not at once, for want of room.
                    #expect(error.message.contains("none has been answered for"), "\(error)")
                }
                #expect(outcomes.answers.count == 0)
                try server.cli("LPUSH", "list", "x")
                await outcomes.answers.wait(for: 2)
                #expect(outcomes.answers.elements == ["array", "second"])
                try await eventually("there are places again") { await redis.failure() == nil }
            }
        }
    }

    @Test func `100 MiB go there and back`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                var builder = RESPCommandBuilder(name: "SET", argumentCount: 2)
                builder.append("big")
                builder.append(ByteBuffer(repeating: 0xAB, count: 100 << 20))
                #expect(try await redis.execute(builder.finish(), to: .any).string == "OK")
                let value = try await redis.run("GET", "big").buffer
                #expect(value == ByteBuffer(repeating: 0xAB, count: 100 << 20))
            }
        }
    }

    @Test func `a client that is shut down refuses, and fails what waits`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                try await redis.connect()
                async let blocked = redis.failure(of: "BLPOP", "nothing", "0")
                try await eventually("it blocks") { try server.cli("CLIENT", "LIST").contains("cmd=blpop") }
                await redis.shutdown()
                #expect(await blocked?.code == .closed)
                #expect(await redis.failure()?.code == .closed)
                try await eventually("the connection is closed") {
                    try !server.cli("CLIENT", "LIST").contains("swift-asynq")
                }
            }
        }
    }

    @Test func `a client that is dropped closes its connection`() async throws {
        try await RedisServer.withServer { server async throws in
            do {
                var configuration = try RedisConfiguration(server.uri)
                configuration.dialTimeout = .seconds(60)
                configuration.readTimeout = .seconds(60)
                let redis = try configuration.makeTopology(logger: Logger(label: "test"))
                try await redis.connect()
                #expect(try server.cli("CLIENT", "LIST").contains("swift-asynq"))
            }
            try await eventually("the connection is closed") {
                try !server.cli("CLIENT", "LIST").contains("swift-asynq")
            }
        }
    }
}
