import Dispatch
import Foundation
import NIOCore
import NIOPosix
import Synchronization
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
                received.add(text)
                if text == "silence" { continue }
                let answer = ByteBuffer(string: "$\(text.utf8.count)\r\n\(text)\r\n")
                context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
            }
        }
    }

    /// Runs `body` on a connection that has answered "first", and so is on offer. The event loops are its own: they may be held up.
    private func withConnection(
        readTimeout: Duration = .seconds(3600),
        sendBuffer: Int? = nil,
        _ body: (Connection) async throws -> Void
    ) async throws {
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
                writeTimeout: .seconds(3600),
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
        connection.send(connection.request("first"))
        await events.wait(for: 1)
        #expect(writer.isOffered)
        try await body(connection)
        connection.close()
        try await channel.closeFuture.get()
        try await server.close()
        try await near.shutdownGracefully()
        try await far.shutdownGracefully()
    }

    @Test func `a request reaches the server without the event loop`() async throws {
        try await withConnection { connection in
            let (holdsUp, isHeldUp) = (DispatchSemaphore(value: 0), Recorder<Void>())
            connection.channel.eventLoop.execute {
                isHeldUp.add(())
                holdsUp.wait()
            }
            await isHeldUp.wait(for: 1)
            #expect(connection.writer.write(connection.request("direct")) == .all)
            await connection.received.wait(for: 2)
            // One at a time: what was written is not taken over yet.
            #expect(!connection.writer.isOffered)
            #expect(connection.writer.write(connection.request("second")) == .nothing)
            connection.send(connection.request("loop"))
            holdsUp.signal()
            await connection.events.wait(for: 3)
            #expect(connection.received.elements == ["first", "direct", "loop"])
            #expect(connection.events.elements == ["first", "direct", "loop"])
            #expect(connection.writer.isOffered)
        }
    }

    @Test func `what the network does not take at once is written by the event loop, and before anything else`()
        async throws
    {
        try await withConnection(sendBuffer: 4096) { connection in
            try await connection.peer.setOption(.autoRead, value: false).get()
            let text = String(repeating: "x", count: 16_000)
            #expect(connection.writer.write(connection.request(text)) == .part)
            connection.send(connection.request("after"))
            // The event loop has done what it can.
            try await connection.channel.eventLoop.submit {}.get()
            #expect(connection.received.count == 1)
            try await connection.peer.setOption(.autoRead, value: true).get()
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", text, "after"])
        }
    }

    @Test func `a large request is left to the event loop`() async throws {
        try await withConnection { connection in
            #expect(connection.writer.write(connection.request(String(repeating: "x", count: 17_000))) == .nothing)
            #expect(connection.writer.isOffered)
        }
    }

    @Test func `a server that does not answer is given up`() async throws {
        try await withConnection(readTimeout: .milliseconds(200)) { connection in
            // The offer ends with the timer that would look after the answer, so that it is renewed now and then.
            while connection.writer.write(connection.request("silence")) != .all {
                let count = connection.events.count
                connection.send(connection.request("again"))
                await connection.events.wait(for: count + 1)
            }
            await connection.received.wait(for: connection.events.count + 1)
            let count = connection.events.count
            await connection.events.wait(for: count + 2)
            #expect(connection.events.elements.suffix(2) == ["commandTimedOut", "closed"])
        }
    }

    @Test func `the offer ends with the timer that looks after answers`() async throws {
        try await withConnection(readTimeout: .milliseconds(500)) { connection in
            try await eventually("the offer has ended") { !connection.writer.isOffered }
            #expect(connection.writer.write(connection.request("direct")) == .nothing)
            connection.send(connection.request("second"))
            await connection.events.wait(for: 2)
            #expect(connection.events.elements == ["first", "second"])
        }
    }

    @Test func `a connection that ends fails what was written, keeps no socket open, and is offered no more`()
        async throws
    {
        try await withConnection { connection in
            #expect(connection.writer.write(connection.request("silence")) == .all)
            connection.close()
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "closed", "closed"])
            #expect(connection.writer.write(connection.request("late")) == .nothing)
            // The server sees the end: no descriptor is left.
            try await connection.peer.closeFuture.get()
        }
    }

    @Test func `a server that closes fails what was written`() async throws {
        try await withConnection { connection in
            #expect(connection.writer.write(connection.request("silence")) == .all)
            await connection.received.wait(for: 2)
            try await connection.peer.close()
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "connectionLost", "closed"])
            #expect(!connection.writer.isOffered)
        }
    }

    @Test func `a connection that is retired answers what was written, and then ends`() async throws {
        try await withConnection { connection in
            #expect(connection.writer.write(connection.request("direct")) == .all)
            connection.channel.eventLoop.execute { connection.handler.value.retire() }
            await connection.events.wait(for: 3)
            #expect(connection.events.elements == ["first", "direct", "closed"])
            #expect(!connection.writer.isOffered)
        }
    }

    @Test(arguments: 1...3)
    func `answers stay in step while callers and the event loop write in turn, and connections are lost`(seed: Int)
        async throws
    {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
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
