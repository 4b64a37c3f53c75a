import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import RedisClient

/// What a lane promises whatever happens: each request is answered once, and counted until then.
struct LaneTests {
    @Test(arguments: 1...3)
    func `after any course of events exactly as many commands may wait as before`(seed: Int) async throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let limit = 8
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.maxInFlight = limit
            } _: { redis async throws in
                for _ in 0..<30 {
                    let answered = Recorder<RedisError.Code?>()
                    let isBlocked = Bool.random(using: &random)
                    let count = Int.random(in: 1...limit + 2, using: &random)
                    for number in 0..<count {
                        let command = isBlocked && number == 0 ? RESPCommand("BLPOP", "none", "0") : RESPCommand("PING")
                        let size = Int.random(in: 1...3, using: &random)
                        let commands = [RESPCommand](repeating: command, count: number == 0 ? 1 : size)
                        let request = redis.submit(commands, to: .any) { replies in
                            if case .failure(let error) = replies[0] {
                                answered.add(error.code)
                            } else {
                                answered.add(nil)
                            }
                        }
                        // The first stays, so that it can be seen at the server.
                        if number > 0, Bool.random(using: &random) { request.cancel() }
                    }
                    if isBlocked {
                        try await eventually("it blocks") { try server.cli("CLIENT", "LIST").contains("cmd=blpop") }
                        try server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    }
                    await answered.wait(for: count)
                    #expect(answered.count == count, "seed \(seed)")
                    // Cancelled ones count until their replies have come, which is before this one's.
                    try await eventually("all is answered") { await redis.failure() == nil }
                }
                let codes = Recorder<RedisError.Code?>()
                // So many on their way, and as many that wait for a place.
                for _ in 0...2 * limit {
                    redis.submit([RESPCommand("BLPOP", "none", "0")], to: .any) { replies in
                        if case .failure(let error) = replies[0] { codes.add(error.code) } else { codes.add(nil) }
                    }
                }
                #expect(codes.elements == [.tooManyRequests], "seed \(seed)")
            }
        }
    }

    @Test(arguments: 1...3)
    func `callers that go at any moment leave the answers of the others in step`(seed: Int) async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                let answers = Recorder<String>()
                await withTaskGroup(of: Void.self) { group in
                    for caller in 0..<150 {
                        group.addTask {
                            var random = SeededGenerator(seed: UInt64(seed * 1000 + caller))
                            for turn in 0..<10 {
                                let texts = (0..<Int.random(in: 1...3, using: &random)).map { part in
                                    let size = part == 2 ? 50_000 : 10
                                    return "\(caller)-\(turn)-\(part)-" + String(repeating: "x", count: size)
                                }
                                let call = Task {
                                    await redis.execute(texts.map { RESPCommand("ECHO", $0) }, to: .any)
                                }
                                if Bool.random(using: &random) {
                                    for _ in 0..<Int.random(in: 0...50, using: &random) { await Task.yield() }
                                    call.cancel()
                                }
                                let replies = await call.value
                                #expect(replies.count == texts.count)
                                for (reply, text) in zip(replies, texts) {
                                    switch reply {
                                    case .success(let value):
                                        answers.add(text)
                                        #expect(value.string == text, "seed \(seed)")
                                    case .failure(let error): #expect(error.code == .cancelled, "seed \(seed)")
                                    }
                                }
                            }
                        }
                    }
                }
                #expect(answers.count > 0)
                #expect(try await redis.run("ECHO", "last").string == "last")
                #expect(try await redis.run("CLIENT", "LIST").string?.split(separator: "\n").count == 1)
            }
        }
    }

    @Test func `a server that takes nothing more is given up, however long an answer before may take`() async throws {
        let hellos = Recorder<String>()
        try await FakeServer.withServer(readsAfterHello: false) { command in
            hellos.add(command[0])
            return .bytes(FakeServer.hello)
        } _: { server async throws in
            try await withClient(server.uri) {
                $0.writeTimeout = .milliseconds(100)
                $0.readTimeout = .seconds(3600)
            } _: { redis async throws in
                let answers = Recorder<RedisError.Code?>()
                @Sendable func note(_ replies: [Result<RESPValue, RedisError>]) {
                    if case .failure(let error) = replies[0] { answers.add(error.code) } else { answers.add(nil) }
                }
                // The kernel takes this one, and now an answer is awaited for an hour.
                redis.submit([RESPCommand("PING")], to: .any, completion: note)
                await hellos.wait(for: 1)
                var builder = RESPCommandBuilder(name: "SET", argumentCount: 2)
                builder.append("k")
                builder.append([UInt8](repeating: 1, count: 64 << 20))
                redis.submit([builder.finish()], to: .any, completion: note)
                await answers.wait(for: 2)
                #expect(answers.elements == [.commandTimedOut, .connectionLost])
            }
        }
    }

    @Test func `a server that stays away is waited for once, then fails callers with each attempt, until it is back`()
        async throws
    {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.dialTimeout = .milliseconds(300)
            } _: { redis async throws in
                try await redis.runEventually("PING")
                server.kill()
                try await eventually("the attempts are those of all callers") {
                    let error = await redis.failure()
                    #expect(error?.code == .connectionFailed || error?.code == .connectionLost)
                    let text = error?.message ?? ""
                    return text.contains("has been away for") && text.contains("connection refused")
                }
                try await server.start()
                try await eventually("it is used again") { await redis.failure() == nil }
            }
        }
    }

    @Test func `what a listener asks for at its connection goes before what has waited for it`() async throws {
        let received = Recorder<String>()
        try await FakeServer.withServer { command in
            received.add(command[0])
            return .bytes(command[0] == "HELLO" ? FakeServer.hello : "+OK\r\n")
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                let listener = Mutex<RedisLane?>(nil)
                let lane = redis.makeListener(for: .any) { _ in
                } onState: { state in
                    guard case .connected = state, let lane = listener.withLock({ $0 }) else { return }
                    lane.submit([RESPCommand("FIRST")]) { _ in }
                }
                listener.withLock { $0 = lane }
                lane.submit([RESPCommand("SECOND")]) { _ in }
                await received.wait(for: 3)
                #expect(received.elements == ["HELLO", "FIRST", "SECOND"])
                await lane.shutdown()
                listener.withLock { $0 = nil }
            }
        }
    }

    /// Stands for TLS, which ends a connection only when the other side has said good-bye.
    private final class SlowEnd: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        var isSlow = true

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            if isSlow { promise?.succeed() } else { context.close(mode: mode, promise: promise) }
        }
    }

    @Test func `a connection that is given up fails what it carries, even if its end takes long`() async throws {
        try await FakeServer.withServer { _ in
            .silence
        } _: { server async throws in
            let events = Recorder<String>()
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: server.port).get()
            try await channel.eventLoop.submit {
                let slow = SlowEnd()
                let handler = RedisChannelHandler(
                    readTimeout: .seconds(3600),
                    writeTimeout: .seconds(3600),
                    onPush: nil,
                    onClosed: { _ in events.add("closed") }
                )
                try channel.pipeline.syncOperations.addHandlers([slow, handler])
                handler.onAnswered = { events.add("answered \($0)") }
                let requests = (0..<2).map { _ in
                    RedisRequest([RESPCommand("PING")]) { replies in
                        if case .failure(let error) = replies[0] { events.add("\(error.code)") }
                    }
                }
                handler.send(requests)
                handler.close(RedisError(.commandTimedOut, "silence"))
                handler.close(RedisError(.connectionLost, "again"))
                #expect(events.elements == ["commandTimedOut", "connectionLost", "answered 2", "closed"])
                slow.isSlow = false
                channel.close(promise: nil)
            }.get()
            try await channel.closeFuture.get()
            #expect(events.count == 4)
        }
    }
}
