import Foundation
import Logging
import NIOCore
import NIOPosix
import RedisClient
import TestSupport
import Testing

/// A client of this server, for as long as `body` runs. It is patient, as all tests at once leave each little time.
func withClient<Value>(
    _ uri: String,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (any RedisTopology) async throws -> Value
) async throws -> Value {
    var configuration = try RedisConfiguration(uri)
    configuration.dialTimeout = .seconds(60)
    configuration.readTimeout = .seconds(60)
    configuration.writeTimeout = .seconds(60)
    change(&configuration)
    let redis = try configuration.makeTopology(logger: logger)
    do {
        let value = try await body(redis)
        await redis.shutdown()
        return value
    } catch {
        await redis.shutdown()
        throw error
    }
}

extension RedisTopology {
    func run(_ name: String, _ arguments: String...) async throws -> RESPValue {
        try await execute(RESPCommand(name, arguments: arguments), to: .any)
    }

    /// The error of connecting, or of a command.
    func failure(of name: String = "PING", _ arguments: String...) async -> RedisError? {
        do {
            _ = try await execute(RESPCommand(name, arguments: arguments), to: .any)
            return nil
        } catch {
            return error
        }
    }

    /// Waits until a command is answered without an error. A client whose first connection fails says so at once, and each
    /// Sentinel, and each node that is asked for the slots of a Cluster, has a second at most: a busy machine may need more.
    func runEventually(_ name: String, _ arguments: String...) async throws {
        let command = RESPCommand(name, arguments: arguments)
        var last: RedisError?
        do {
            try await eventually("\(name) is answered") {
                guard case .failure(let error) = await execute([command], to: .any)[0] else { return true }
                last = error
                return false
            }
        } catch let error as NeverHappened {
            throw NeverHappened(description: "\(error); the last error: \(String(describing: last))")
        }
    }
}

/// The error of a client's first command, as soon as it says all of this. A new client is made for each attempt: on a busy
/// machine a short time may be over before the server has said what is wrong.
func firstFailure(
    _ uri: String,
    saying texts: String...,
    change: (inout RedisConfiguration) -> Void = { _ in }
) async throws -> RedisError {
    var last: RedisError?
    do {
        try await eventually("an error says \(texts)") {
            let error = try await withClient(uri, change) { redis async throws in await redis.failure() }
            last = error
            return texts.allSatisfy { error?.message.contains($0) == true }
        }
    } catch let error as NeverHappened {
        throw NeverHappened(description: "\(error); the last error: \(String(describing: last))")
    }
    return try #require(last)
}

/// A server that answers commands as a test says.
final class FakeServer: Sendable {
    enum Answer: Sendable {
        case bytes(String)
        case close(after: String)
        case silence
    }

    static let hello = "%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n"

    let port: Int
    let uri: String
    private let channel: any Channel

    private init(channel: any Channel, socketPath: String?) {
        self.channel = channel
        port = channel.localAddress?.port ?? 0
        uri = socketPath.map { "redis-socket://\($0)" } ?? "redis://127.0.0.1:\(port)"
    }

    /// - Parameters:
    ///   - onSocket: it listens on a Unix socket. There the other side sees the end of a connection as soon as it is closed, which
    ///     TCP does not promise.
    ///   - readsAfterHello: off: reads nothing any more once it has answered the first command.
    ///   - ends: gets one for each connection that has ended.
    ///   - answer: to a command and its arguments.
    static func withServer<Value>(
        onSocket: Bool = false,
        readsAfterHello: Bool = true,
        ends: Recorder<Void>? = nil,
        _ answer: @escaping @Sendable ([String]) -> Answer,
        _ body: (FakeServer) async throws -> Value
    ) async throws -> Value {
        let path = onSocket ? FileManager.default.temporaryDirectory.appending(path: "fake-\(UUID()).sock").path : nil
        defer { if let path { try? FileManager.default.removeItem(atPath: path) } }
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.closeFuture.whenComplete { _ in ends?.add(()) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(readsAfterHello: readsAfterHello, answer: answer)
                    )
                }
            }
        let channel =
            if let path {
                try await bootstrap.bind(unixDomainSocketPath: path).get()
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
            }
        let server = FakeServer(channel: channel, socketPath: path)
        do {
            let value = try await body(server)
            try await channel.close()
            return value
        } catch {
            try await channel.close()
            throw error
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let answer: @Sendable ([String]) -> Answer
        private var parser = RESPParser()

        private let readsAfterHello: Bool

        init(readsAfterHello: Bool, answer: @escaping @Sendable ([String]) -> Answer) {
            self.readsAfterHello = readsAfterHello
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            parser.append(unwrapInboundIn(data))
            while let command = try? parser.next()?.array {
                switch answer(command.map { $0.string ?? "" }) {
                case .bytes(let text): write(text, context)
                case .silence: break
                case .close(let text):
                    write(text, context)
                    context.close(promise: nil)
                    return
                }
            }
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            guard !readsAfterHello else { return }
            context.channel.setOption(.autoRead, value: false).assumeIsolated().whenFailure { _ in
                context.close(promise: nil)
            }
        }

        private func write(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }
}
