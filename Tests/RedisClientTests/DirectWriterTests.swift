import Dispatch
import Foundation
import Logging
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient

/// What callers write themselves, while nothing else is on its way.
struct DirectWriterTests {
    /// A connection of a handler and a writer to a server that answers each command with its first argument, or not.
    private struct Connection {
        let writer: DirectWriter
        let received: Recorder<String>
        let events: Recorder<String>
        let channel: any Channel
        let handler: NIOLoopBound<RedisChannelHandler>
        /// The server's end.
        let peer: any Channel

        func request(_ arguments: String...) -> RedisRequest {
            RedisRequest([RESPCommand("ECHO", arguments: arguments)]) { [events] replies in
                switch replies[0] {
                case .success(let value): events.add(value.string ?? "")
                case .failure(let error): events.add("\(error.code)")
                }
            }
        }

        /// Sends by the event loop.
        func send(_ request: RedisRequest) {
            channel.eventLoop.execute { handler.value.send([request]) }
        }

        func holdingLoop(_ body: () async throws -> Void) async throws {
            try await holding(channel.eventLoop, body)
        }

        func close() {
            channel.eventLoop.execute { handler.value.close(RedisError(.closed, "the end")) }
        }
    }

    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private var parser = RESPParser()
        private let received: Recorder<String>

        init(_ received: Recorder<String>) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            parser.append(unwrapInboundIn(data))
            while let command = try? parser.next()?.array {
                let text = command[1].string ?? ""
                if text != "silence" {
                    let answer = ByteBuffer(string: "$\(text.utf8.count)\r\n\(text)\r\n")
                    context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
                }
                // Who waits for this knows that the answer is there.
                received.add(text)
            }
        }
    }

    /// Runs `body` on a connection that has answered "first", and so is on offer, if it is used. The event loops are its own: they
    /// may be held up.
    private func withConnection<Value>(
        readTimeout: Duration = .seconds(3600),
        isUsed: Bool = true,
        sendBuffer: Int? = nil,
        _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        let (near, far) = (
            MultiThreadedEventLoopGroup(numberOfThreads: 1), MultiThreadedEventLoopGroup(numberOfThreads: 1)
        )
        let path = FileManager.default.temporaryDirectory.appending(path: "direct-\(UUID()).sock").path
        let (received, peers) = (Recorder<String>(), Recorder<any Channel>())
        let server = try await ServerBootstrap(group: far)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Echo(received))
                    peers.add(channel)
                }
            }
            .bind(unixDomainSocketPath: path).get()
        let channel = try await ClientBootstrap(group: near).connect(unixDomainSocketPath: path).get()
        if let sendBuffer {
            try await channel.setOption(.socketOption(.so_sndbuf), value: .init(sendBuffer)).get()
        }
        await peers.wait(for: 1)
        let events = Recorder<String>()
        let writer = DirectWriter()
        let handler = try await channel.eventLoop.submit {
            let handler = RedisChannelHandler(
                readTimeout: readTimeout,
                writeTimeout: .seconds(7200),
                onPush: nil,
                onClosed: { _ in events.add("closed") }
            )
            try channel.pipeline.syncOperations.addHandler(handler)
            handler.use(writer)
            return NIOLoopBound(handler, eventLoop: channel.eventLoop)
        }.get()
        let connection = Connection(
            writer: writer,
            received: received,
            events: events,
            channel: channel,
            handler: handler,
            peer: peers.elements[0]
        )
        // Nothing looks after an answer yet.
        #expect(!writer.isOffered)
        if isUsed {
            connection.send(connection.request("first"))
            await events.wait(for: 1)
        }
        let value = try await body(connection)
        connection.close()
        try await channel.closeFuture.get()
        try await server.close()
        try? FileManager.default.removeItem(atPath: path)
        try await near.shutdownGracefully()
        try await far.shutdownGracefully()
        return value
    }

    /// Runs `body` on new connections until it returns true: on a busy machine the answer to what it sends first may be too late
    /// for a short time-out, and then there is no offer.
    private func withOffer(readTimeout: Duration, _ body: (Connection) async throws -> Bool) async throws {
        try await eventually("a first request is answered in time") {
            try await withConnection(readTimeout: readTimeout, isUsed: false, body)
        }
    }

    @Test func `a request reaches the server without the event loop`() async throws {
        try await withConnection { connection in
            #expect(connection.writer.isOffered)
            try await connection.holdingLoop {
                #expect(connection.writer.write(connection.request("direct")))
                await connection.received.wait(for: 2)
                // One at a time: what was written is not taken over yet.
                #expect(!connection.writer.isOffered)
                #expect(!connection.writer.write(connection.request("second")))
                connection.send(connection.request("loop"))
            }
            await connection.events.wait(for: 3)
            await connection.received.wait(for: 3)
            #expect(connection.received.elements == ["first", "direct", "loop"])
            #expect(connection.events.elements == ["first", "direct", "loop"])
            #expect(connection.writer.isOffered)
        }
    }

    @Test(arguments: [false, true])
    func `what the network does not take at once is written by the event loop, before anything else`(isFollowed: Bool)
        async throws
    {
        try await withConnection(sendBuffer: 4096) { connection in
            try await connection.peer.setOption(.autoRead, value: false).get()
            let text = String(repeating: "x", count: 60_000)
            try await connection.holdingLoop {
                if isFollowed { connection.send(connection.request("after")) }
                #expect(connection.writer.write(connection.request(text)))
            }
            try await connection.peer.setOption(.autoRead, value: true).get()
            await connection.events.wait(for: isFollowed ? 3 : 2)
            #expect(connection.events.elements == ["first", text] + (isFollowed ? ["after"] : []))
        }
    }

    @Test func `a large request is left to the event loop`() async throws {
        try await withConnection { connection in
            #expect(!connection.writer.write(connection.request(String(repeating: "x", count: 66_000))))
            #expect(connection.writer.isOffered)
        }
    }

    @Test func `a server that does not answer is given up, and not too early`() async throws {
        let timeout = Duration.milliseconds(400)
        try await withOffer(readTimeout: timeout) { connection async throws -> Bool in
            let (starts, writes) = (Recorder<ContinuousClock.Instant>(), Recorder<Bool>())
            let first = RedisRequest([RESPCommand("ECHO", "first")]) { _ in
                connection.events.add("first")
                // The timer is the first request's, a part of whose time has passed by then.
                connection.channel.eventLoop.scheduleTask(in: TimeAmount(timeout / 4)) {
                    starts.add(.now)
                    writes.add(connection.writer.write(connection.request("silence")))
                }
            }
            connection.send(first)
            await writes.wait(for: 1)
            guard writes.elements[0] else { return false }
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "commandTimedOut", "closed"])
            #expect(ContinuousClock.now - starts.elements[0] >= timeout)
            return true
        }
    }

    @Test func `a loop that was held up reads the answer before it gives up the server`() async throws {
        let timeout = Duration.milliseconds(300)
        try await withOffer(readTimeout: timeout) { connection async throws -> Bool in
            let (writes, release) = (Recorder<Bool>(), DispatchSemaphore(value: 0))
            let first = RedisRequest([RESPCommand("ECHO", "first")]) { _ in
                writes.add(connection.writer.write(connection.request("direct")))
                release.wait()
            }
            connection.send(first)
            await writes.wait(for: 1)
            let written = ContinuousClock.now
            let isWritten = writes.elements[0]
            if isWritten {
                await connection.received.wait(for: 2)
                try await eventually("the time is over") { ContinuousClock.now - written > timeout }
            }
            release.signal()
            guard isWritten else { return false }
            await connection.events.wait(for: 1)
            #expect(connection.events.elements == ["direct"])
            return true
        }
    }

    @Test func `the offer ends with the timer that looks after answers, and is made again`() async throws {
        try await withOffer(readTimeout: .milliseconds(300)) { connection async throws -> Bool in
            let offers = Recorder<Bool?>()
            // Whether there is an offer when it is answered.
            func send(_ text: String) {
                connection.send(
                    RedisRequest([RESPCommand("ECHO", text)]) { replies in
                        if case .success = replies[0] {
                            offers.add(connection.writer.isOffered)
                        } else {
                            offers.add(nil)
                        }
                    }
                )
            }
            send("first")
            await offers.wait(for: 1)
            try await eventually("the offer has ended") { !connection.writer.isOffered }
            #expect(!connection.writer.write(connection.request("direct")))
            send("second")
            await offers.wait(for: 2)
            guard !offers.elements.contains(nil) else { return false }
            #expect(offers.elements == [true, true])
            return true
        }
    }

    @Test func `there is no offer while the timer would look after an answer too late`() async throws {
        try await withConnection(isUsed: false) { connection in
            try await connection.peer.setOption(.autoRead, value: false).get()
            // More than the socket takes: the timer looks after the writing, for which there is more time.
            let text = String(repeating: "x", count: 4 << 20)
            connection.send(connection.request(text))
            try await connection.channel.eventLoop.submit {}.get()
            try await connection.peer.setOption(.autoRead, value: true).get()
            await connection.events.wait(for: 1)
            #expect(!connection.writer.isOffered)
            connection.send(connection.request("second"))
            await connection.events.wait(for: 2)
            #expect(connection.events.elements == [text, "second"])
            #expect(connection.writer.isOffered)
        }
    }

    @Test func `a connection that ends fails what was written, keeps no socket open, and is offered no more`()
        async throws
    {
        try await withConnection { connection in
            let ends = Recorder<Void>()
            connection.peer.closeFuture.whenComplete { _ in ends.add(()) }
            #expect(connection.writer.write(connection.request("silence")))
            connection.close()
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "closed", "closed"])
            #expect(!connection.writer.isOffered)
            #expect(!connection.writer.write(connection.request("late")))
            // The server sees the end: no descriptor is left.
            await ends.wait(for: 1)
        }
    }

    @Test func `a server that closes fails what was written`() async throws {
        try await withConnection { connection in
            #expect(connection.writer.write(connection.request("silence")))
            await connection.received.wait(for: 2)
            try await connection.peer.close()
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "connectionLost", "closed"])
            #expect(!connection.writer.isOffered)
        }
    }

    @Test func `a connection that breaks while a rest is written fails that request and the next, each once`()
        async throws
    {
        try await withConnection(sendBuffer: 4096) { connection in
            let answered = Recorder<Int>()
            try await connection.channel.eventLoop.submit {
                connection.handler.value.onAnswered = { answered.add($0) }
            }.get()
            try await connection.peer.setOption(.autoRead, value: false).get()
            try await connection.holdingLoop {
                connection.send(connection.request("after"))
                #expect(connection.writer.write(connection.request(String(repeating: "x", count: 60_000))))
                try await connection.peer.close()
            }
            await connection.events.wait(for: 3)
            await answered.wait(for: 2)
            #expect(connection.events.elements.filter { $0 == "connectionLost" }.count == 2)
            #expect(answered.elements.reduce(0, +) == 2)
        }
    }

    @Test func `a connection that is retired answers what was written, and then ends`() async throws {
        try await withConnection { connection in
            try await connection.holdingLoop {
                connection.channel.eventLoop.execute { connection.handler.value.retire() }
                #expect(connection.writer.write(connection.request("direct")))
            }
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "direct", "closed"])
            #expect(!connection.writer.isOffered)
        }
    }

    // MARK: Lanes

    /// Runs `body` with a lane that has an event loop of its own, and has been used.
    private func withLane(_ uri: String, _ body: (RedisLane, any EventLoop) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = try RedisConfiguration(uri)
        // No timer fires, which would end an offer.
        configuration.readTimeout = .seconds(3600)
        configuration.writeTimeout = .seconds(3600)
        configuration.dialTimeout = .seconds(3600)
        let endpoint = configuration.endpoint
        let lane = RedisLane(
            configuration: configuration,
            endpoint: { $0.makeSucceededFuture(endpoint) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            eventLoop: group.any()
        )
        let answers = Recorder<Result<RESPValue, RedisError>>()
        // By the event loop, which then offers the connection.
        lane.submit([RESPCommand("PING")]) { replies in answers.add(replies[0]) }
        await answers.wait(for: 1)
        do {
            _ = try answers.elements[0].get()
            try await body(lane, group.any())
            await lane.shutdown()
            try await group.shutdownGracefully()
        } catch {
            await lane.shutdown()
            try await group.shutdownGracefully()
            throw error
        }
    }

    @Test func `a lane that carries nothing sends without its event loop, one that does gathers`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withLane(server.uri) { lane, eventLoop in
                let calls = Recorder<String>()
                lane.nowOrInNextTurn { calls.add("at once") }
                #expect(calls.elements == ["at once"])
                try await holding(eventLoop) {
                    lane.submit([RESPCommand("SET", "k", "direct")]) { _ in calls.add("answer") }
                    lane.nowOrInNextTurn { calls.add("in a turn") }
                    lane.submit([RESPCommand("GET", "k")]) { replies in
                        calls.add((try? replies[0].get().string) ?? "error")
                    }
                    try await eventually("it is stored") { try server.cli("GET", "k") == "direct" }
                    #expect(calls.elements == ["at once"])
                }
                await calls.wait(for: 4)
                #expect(Set(calls.elements) == ["at once", "in a turn", "answer", "direct"])
            }
        }
    }

    @Test func `what is submitted as an answer comes goes to the next connection if this one has ended`() async throws {
        let (received, ends, answers) = (Recorder<String>(), Recorder<Void>(), Recorder<String>())
        try await FakeServer.withServer(onSocket: true, ends: ends) { command in
            received.add(command[0])
            return switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            case "FIRST": .close(after: "+first\r\n")
            default: .bytes("+OK\r\n")
            }
        } _: { server async throws in
            try await withLane(server.uri) { lane, eventLoop in
                // The answer and the end are there when the loop looks.
                try await holding(eventLoop) {
                    lane.submit([RESPCommand("FIRST")]) { replies in
                        answers.add((try? replies[0].get().string) ?? "error")
                        lane.submit([RESPCommand("SECOND")]) { replies in
                            answers.add((try? replies[0].get().string) ?? "error")
                        }
                    }
                    await ends.wait(for: 1)
                }
                await answers.wait(for: 2)
                #expect(answers.elements == ["first", "OK"])
                #expect(received.elements == ["HELLO", "PING", "FIRST", "HELLO", "SECOND"])
            }
        }
    }

    @Test(arguments: ["renew", "reconnect"])
    func `what is submitted after a lane was told to leave its server goes to the new connection`(change: String)
        async throws
    {
        let received = Recorder<String>()
        try await FakeServer.withServer { command in
            received.add(command[0])
            return .bytes(command[0] == "HELLO" ? FakeServer.hello : "+OK\r\n")
        } _: { server async throws in
            try await withLane(server.uri) { lane, _ in
                let answers = Recorder<Bool>()
                if change == "renew" {
                    lane.renew(sentAt: .now())
                } else {
                    lane.reconnect(RedisError(.connectionLost, "another server"))
                }
                lane.submit([RESPCommand("SECOND")]) { replies in
                    if case .success = replies[0] { answers.add(true) } else { answers.add(false) }
                }
                await answers.wait(for: 1)
                #expect(answers.elements == [true])
                #expect(received.elements == ["HELLO", "PING", "HELLO", "SECOND"])
            }
        }
    }

    @Test func `a caller that is cancelled already sends nothing`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                _ = try await redis.run("PING")
                let call = Task {
                    while !Task.isCancelled { await Task.yield() }
                    return await redis.failure(of: "SET", "k", "v")
                }
                call.cancel()
                #expect(await call.value?.code == .cancelled)
                #expect(try await redis.run("GET", "k") == .null)
            }
        }
    }

    @Test(arguments: 1...3)
    func `answers stay in step while callers and the event loop write in turn, and connections are lost`(seed: Int)
        async throws
    {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.readTimeout = .seconds(3600)
            } _: { redis async throws in
                let answers = Recorder<Int>()
                await withTaskGroup(of: Void.self) { group in
                    for caller in 0..<3 {
                        group.addTask {
                            var random = SeededGenerator(seed: UInt64(seed * 1000 + caller))
                            for turn in 0..<500 {
                                let texts = (0..<Int.random(in: 1...2, using: &random)).map {
                                    "\(caller)-\(turn)-\($0)"
                                }
                                if caller == 0, turn % 100 == 50 {
                                    _ = try? await redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
                                }
                                let replies = await redis.execute(texts.map { RESPCommand("ECHO", $0) }, to: .any)
                                for (reply, text) in zip(replies, texts) {
                                    switch reply {
                                    case .success(let value):
                                        answers.add(turn)
                                        #expect(value.string == text, "seed \(seed)")
                                    case .failure(let error):
                                        #expect(error.code == .connectionLost, "seed \(seed)")
                                    }
                                }
                                for _ in 0..<Int.random(in: 0...5, using: &random) { await Task.yield() }
                            }
                        }
                    }
                }
                // Each loss fails only what was on its way.
                #expect(answers.count > 3 * 500)
                #expect(try await redis.run("ECHO", "last").string == "last")
                #expect(try await redis.run("CLIENT", "LIST").string?.split(separator: "\n").count == 1)
            }
        }
    }
}

/// Runs `body` while an event loop does nothing.
private func holding(_ eventLoop: any EventLoop, _ body: () async throws -> Void) async throws {
    let (release, isHeld) = (DispatchSemaphore(value: 0), Recorder<Void>())
    eventLoop.execute {
        isHeld.add(())
        release.wait()
    }
    await isHeld.wait(for: 1)
    defer { release.signal() }
    try await body()
}
