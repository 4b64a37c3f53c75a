import Logging
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
                let dialer = RedisDialer(
                    configuration: RedisConfiguration(endpoint: .host("two.test", port: port)),
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

    @Test func `an attempt that is given up before the address is known makes no connection`() async throws {
        try await RedisServer.withServer { server async throws in
            var configuration = try RedisConfiguration(server.uri)
            configuration.dialTimeout = .milliseconds(50)
            let place = configuration.endpoint
            let late = Recorder<EventLoopPromise<RedisConfiguration.Endpoint>>()
            let lane = RedisLane(
                configuration: configuration,
                endpoint: { eventLoop in
                    guard late.count == 0 else { return eventLoop.makeSucceededFuture(place) }
                    let promise = eventLoop.makePromise(of: RedisConfiguration.Endpoint.self)
                    late.add(promise)
                    return promise.futureResult
                },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let answers = Recorder<RedisError.Code?>()
            @Sendable func note(_ replies: [Result<RESPValue, RedisError>]) {
                if case .failure(let error) = replies[0] { answers.add(error.code) } else { answers.add(nil) }
            }
            lane.submit([RESPCommand("PING")], completion: note)
            await answers.wait(for: 1)
            late.elements.first?.succeed(place)
            lane.submit([RESPCommand("PING")], completion: note)
            await answers.wait(for: 2)
            #expect(answers.elements == [.connectionFailed, nil])
            // The lane's and the one that asks.
            try await eventually("only one is left") {
                try server.cli("CLIENT", "LIST").split(separator: "\n").count == 2
            }
            await lane.shutdown()
        }
    }

    @Test func `a server that says nothing is told of with what may be wrong`() async throws {
        try await FakeServer.withServer { _ in
            .silence
        } _: { server async throws in
            try await withClient(server.uri) {
                $0.dialTimeout = .seconds(1)
            } _: { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .connectionFailed)
                #expect(error.message.contains("log-in to 127.0.0.1:\(server.port) failed: no answer"), "\(error)")
                // A server of TLS that is sent something else closes the connection.
                #expect(!error.message.contains("TLS"), "\(error)")
            }
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
