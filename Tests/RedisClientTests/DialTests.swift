import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient

/// Making one connection, where the way there is not straight.
struct DialTests {
    /// A host with an address of each kind.
    private struct TwoAddresses: Resolver {
        let eventLoop: any EventLoop

        func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
            eventLoop.makeCompletedFuture { [try SocketAddress(ipAddress: "127.0.0.1", port: port)] }
        }

        func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
            eventLoop.makeCompletedFuture { [try SocketAddress(ipAddress: "::1", port: port)] }
        }

        func cancelQueries() {}
    }

    /// What becomes of dialling a host that has the addresses ::1 and 127.0.0.1.
    private func dial(_ port: Int) async -> Result<Void, RedisError> {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                var configuration = RedisConfiguration(endpoint: .host("two.test", port: port))
                configuration.dialTimeout = .seconds(60)
                configuration.readTimeout = .seconds(60)
                let dialer = RedisDialer(
                    configuration: configuration,
                    eventLoop: eventLoop,
                    onPush: nil,
                    resolver: TwoAddresses(eventLoop: eventLoop)
                )
                dialer.connect {
                    $0.makeSucceededFuture(.host("two.test", port: port))
                } onClosed: { _ in
                } completion: { result in
                    if case .success(let handler) = result { handler.close(RedisError(.closed, "the test is over")) }
                    continuation.resume(returning: result.map { _ in })
                }
            }
        }
    }

    @Test func `a host of which only the second address answers is reached there`() async throws {
        try await FakeServer.withServer { _ in
            .bytes(FakeServer.hello)
        } _: { server async throws in
            try await dial(server.port).get()
        }
    }

    @Test func `a host of which no address answers is named`() async throws {
        let port = try RedisServer.freePort()
        let error = await #expect(throws: RedisError.self) { try await dial(port).get() }
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.contains("two.test:\(port)") == true)
    }

    /// How many connections a server has accepted since its start, with the one that asks.
    private func connections(_ server: RedisServer) throws -> Int {
        let lines = try server.cli("INFO", "stats").split(whereSeparator: \.isNewline)
        let line = try #require(lines.first { $0.hasPrefix("total_connections_received:") })
        return try #require(Int(line.drop { $0 != ":" }.dropFirst()))
    }

    @Test func `an attempt that is given up before the address is known makes no connection`() async throws {
        try await RedisServer.withServer { server async throws in
            // An event loop makes connections to a Unix socket in the order in which it is asked for them.
            var configuration = try RedisConfiguration("redis-socket://\(server.socketPath)")
            configuration.dialTimeout = .milliseconds(100)
            let place = configuration.endpoint
            let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
            let late = Recorder<EventLoopPromise<RedisConfiguration.Endpoint>>()
            let log = LogRecorder()
            let lane = RedisLane(
                configuration: configuration,
                endpoint: { eventLoop in
                    guard late.count == 0 else { return eventLoop.makeSucceededFuture(place) }
                    let promise = eventLoop.makePromise(of: RedisConfiguration.Endpoint.self)
                    late.add(promise)
                    return promise.futureResult
                },
                logger: log.logger,
                eventLoop: eventLoop
            )
            func failure() async -> RedisError.Code? {
                await withCheckedContinuation { continuation in
                    lane.submit([RESPCommand("PING")]) { replies in
                        if case .failure(let error) = replies[0] {
                            continuation.resume(returning: error.code)
                        } else {
                            continuation.resume(returning: nil)
                        }
                    }
                }
            }
            #expect(await failure() == .connectionFailed)
            // Not only the command.
            try await eventually("the attempt is given up") {
                log.lines.contains { $0.contains("no connection to Redis") }
            }
            let before = try connections(server)
            let promise = try #require(late.elements.first)
            promise.succeed(place)
            // If the attempt connected now, it would do so before this.
            let next = try await ClientBootstrap(group: eventLoop)
                .connect(unixDomainSocketPath: server.socketPath).get()
            // That one and the one that asks.
            #expect(try connections(server) == before + 2)
            try await next.close()
            try await eventually("the next attempt connects") { await failure() == nil }
            await lane.shutdown()
        }
    }

    @Test func `a server that says nothing is told of with what may be wrong`() async throws {
        try await FakeServer.withServer { _ in
            .silence
        } _: { server async throws in
            let text = "log-in to 127.0.0.1:\(server.port) failed: no answer"
            let error = try await firstFailure(server.uri, saying: text) { $0.dialTimeout = .milliseconds(200) }
            #expect(error.code == .connectionFailed)
            // A server of TLS that is sent something else closes the connection.
            #expect(!error.message.contains("TLS"), "\(error)")
        }
    }

    @Test func `a server that closes at the first bytes may expect TLS, and one that is not there does not`()
        async throws
    {
        try await FakeServer.withServer { _ in
            .close(after: "")
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .connectionFailed)
                #expect(error.message.hasSuffix(". Does it expect TLS (rediss://)?"), "\(error)")
            }
        }
        let port = try RedisServer.freePort()
        try await withClient("redis://127.0.0.1:\(port)") { redis async throws in
            let error = try #require(await redis.failure())
            #expect(error.message.contains("connection refused. Is Redis running there?"), "\(error)")
            #expect(!error.message.contains("TLS"), "\(error)")
        }
    }

    @Test func `a server that is not Redis is named`() async throws {
        try await FakeServer.withServer { _ in
            .bytes("HTTP/1.1 400 Bad Request\r\n\r\n")
        } _: { server async throws in
            try await withClient(server.uri) { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .protocolError)
                #expect(error.message.contains("127.0.0.1:\(server.port)"), "\(error)")
            }
        }
    }

    @Test func `times without end are no time-outs`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) {
                $0.dialTimeout = .seconds(Int64.max)
                $0.readTimeout = .seconds(Int64.max)
                $0.writeTimeout = .seconds(Int64.max)
            } _: { redis async throws in
                #expect(try await redis.run("PING").string == "PONG")
            }
        }
    }
}
