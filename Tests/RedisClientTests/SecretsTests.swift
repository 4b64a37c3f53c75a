import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// What an error must not repeat: passwords, and the arguments of commands.
struct SecretsTests {
    @Test(
        arguments: [
            // The host was forgotten, or the scheme: what stands where a port should be is the password.
            "redis://:hunter2", "redis://user:hunter2", "user:hunter2", "user:hunter2@h", ":hunter2@h", "hunter2@h",
            "redis://h?password=hunter2", "redis://h/0?password=hunter2", "redis://h/hunter2", "redis://[::1]hunter2",
            "redis-socket:///s?password=hunter2", "redis-socket:///s?db=hunter2", "redis://:hunter2%zz@h",
            "redis-sentinel://:hunter2", "redis-sentinel://h?hunter2", "redis-sentinel://h?pass=hunter2",
            "redis-sentinel://h,:hunter2", "redis-sentinel://h?password=hunter2%zz",
        ]
    )
    func `a URI that is refused is not repeated`(uri: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(uri) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("hunter2") == false, "\(error?.message ?? "")")
    }

    @Test func `the arguments that Redis repeats in an error are dropped`() {
        var pipeline = ReplyPipeline()
        pipeline.send(RedisRequest([RESPCommand("NOSUCH", "hunter2")]) { _ in })
        let text = "ERR unknown command 'NOSUCH', with args beginning with: 'hunter2' "
        guard case .complete(_, let replies) = pipeline.receive(.error(ByteBuffer(string: text))) else {
            Issue.record("not answered")
            return
        }
        let error = #expect(throws: RedisError.self) { try replies[0].get() }
        #expect(error?.message == "ERR unknown command 'NOSUCH'")
        #expect(error?.command == "NOSUCH" && error?.serverCode == "ERR")
    }

    @Test func `the arguments of a command that Redis does not know are not in its error`() async throws {
        try await RedisServer.withServer { server async throws in
            try await withClient(server.uri) { redis async throws in
                let error = try #require(await redis.failure(of: "NOSUCH", "hunter2", "hunter2"))
                #expect(error.message.contains("unknown command"))
                #expect(!"\(error)".contains("hunter2") && !String(reflecting: error).contains("hunter2"))
            }
        }
    }
}
