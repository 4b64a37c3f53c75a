import AsynqRedis
import Foundation
import Logging
import NIOCore
import RedisClient
import TestSupport

/// Plain commands to a server, beside the broker that is tested.
struct RawRedis {
    let topology: any RedisTopology

    init(_ server: RedisServer) throws {
        try self.init(server.uri)
    }

    init(_ uri: String) throws {
        topology = try RedisConfiguration.patient(uri, dialTimeout: .seconds(60)).makeTopology(logger: .silent)
    }

    @discardableResult
    func callAsFunction(_ name: String, _ arguments: any RawArgument...) async throws -> RESPValue {
        try await run(name, arguments)
    }

    @discardableResult
    func run(_ name: String, _ arguments: [any RawArgument]) async throws -> RESPValue {
        var builder = RESPCommandBuilder(name: name, argumentCount: arguments.count, reservingCapacity: 64)
        for argument in arguments { builder.append(argument.bytes) }
        return try await topology.execute(builder.finish(), to: .any)
    }

    func int(_ name: String, _ arguments: any RawArgument...) async throws -> Int64? {
        try await run(name, arguments).int
    }

    func strings(_ name: String, _ arguments: any RawArgument...) async throws -> [String] {
        try await run(name, arguments).array?.compactMap(\.string) ?? []
    }

    /// The server's clock, in Unix seconds.
    func now() async throws -> Int64 {
        try await run("TIME", []).array?.first?.int ?? 0
    }

    func hash(_ key: String) async throws -> [Data: Data] {
        guard case .map(let pairs) = try await run("HGETALL", [key]) else { return [:] }
        return Dictionary(uniqueKeysWithValues: pairs.map { ($0.key.data, $0.value.data) })
    }
}

protocol RawArgument: Sendable {
    var bytes: [UInt8] { get }
}

extension String: RawArgument {
    var bytes: [UInt8] { Array(utf8) }
}

extension Int: RawArgument {
    var bytes: [UInt8] { Array(String(self).utf8) }
}

extension Int64: RawArgument {
    var bytes: [UInt8] { Array(String(self).utf8) }
}

extension Data: RawArgument {
    var bytes: [UInt8] { Array(self) }
}

extension RESPValue {
    var data: Data {
        switch self {
        case .integer(let number): Data(String(number).utf8)
        case .double(let number): Data(String(number).utf8)
        default: Data(buffer?.readableBytesView ?? ByteBufferView())
        }
    }
}

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// A broker on a server of its own, and plain commands to that server.
func withBroker(
    logger: Logger = .silent,
    _ body: (RedisBroker, RawRedis) async throws -> Void
) async throws {
    try await RedisServer.withServer { server in
        let broker = try RedisBroker(configuration: .patient(server.uri, dialTimeout: .seconds(60)), logger: logger)
        let redis = try RawRedis(server)
        try await body(broker, redis)
        await broker.shutdown()
        await redis.topology.shutdown()
    }
}
