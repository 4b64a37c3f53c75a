import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// The rights that the documentation lists. That they are enough, the conformance suite shows, which runs with them.
struct AccessTests {
    /// Commands that only some need, and for which the page gives a reason of its own.
    private static let special: Set<String> = [
        "asking", "cluster|slots", "role", "wait", "waitaof", "info", "scan", "memory|usage", "select", "hello",
    ]

    @Test func `each right that the documentation lists is used`() async throws {
        let listed = Set(
            try LeastUser.rules(of: .server).filter { $0.hasPrefix("+") }.map { String($0.dropFirst()).lowercased() }
        )
        // All commands of all scripts, and those that are sent by themselves.
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let sources = folder.appendingPathComponent("Sources")
        var text = ""
        for target in ["AsynqRedis", "RedisClient"] {
            let files = FileManager.default.enumerator(atPath: sources.appendingPathComponent(target).path)
            while let path = files?.nextObject() as? String {
                guard path.hasSuffix(".swift") || path.hasSuffix(".lua") else { continue }
                text += try String(contentsOf: sources.appendingPathComponent("\(target)/\(path)"), encoding: .utf8)
            }
        }
        for command in listed.subtracting(Self.special) {
            let words = command.uppercased().split(separator: "|")
            let isUsed = words.allSatisfy { text.contains("'\($0)'") || text.contains("\"\($0)\"") }
            #expect(isUsed || command.hasPrefix("eval"), "\(command) is listed, and nothing uses it")
        }
    }

    @Test func `a user who may not do something is told so, and the password is in no error and no log`() async throws {
        try await RedisServer.withServer { server in
            let log = LogRecorder()
            try LeastUser.create(on: [server])
            try server.cli("ACL", "SETUSER", "worker", "-lpush", "-client")
            let broker = try RedisBroker(
                configuration: .patient("redis://\(LeastUser.credentials)@127.0.0.1:\(server.port)"),
                logger: log.logger
            )
            let error = await #expect(throws: AsynqError.self) { try await broker.put(["a"]) }
            #expect(error?.code == .brokerFailure)
            #expect(error?.message.contains("can't run this command") == true, "\(String(describing: error))")
            let watch = broker.makeWatch(queues: ["default"]) { _ in }
            try await eventually("what cannot be notified is told") {
                log.lines.contains { $0.contains("cannot be notified of new tasks") && $0.contains("NOPERM") }
            }
            await watch.close()
            await broker.shutdown()
            // Another channel than ours, and keys that are not ours.
            try LeastUser.create(on: [server])
            let redis = try RawRedis("redis://\(LeastUser.credentials)@127.0.0.1:\(server.port)")
            for command in [["SET", "other", "1"], ["PUBLISH", "other", "x"], ["CONFIG", "GET", "*"], ["FLUSHALL"]] {
                await #expect(throws: RedisError.self) { try await redis.run(command[0], Array(command.dropFirst())) }
            }
            await redis.topology.shutdown()
            let wrong = try RedisBroker("redis://worker:not-s3cret@127.0.0.1:\(server.port)", logger: log.logger)
            let refused = await #expect(throws: AsynqError.self) { try await wrong.ping() }
            await wrong.shutdown()
            for text in log.lines + ["\(String(describing: error))", "\(String(describing: refused))"] {
                #expect(!text.contains("s3cret"), "\(text)")
            }
        }
    }
}
