import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// Who is asked for the master, and what is made of the answers.
struct SentinelSearchTests {
    private static func answer(master port: Int) -> String {
        let digits = "\(port)"
        return "*2\r\n$9\r\n127.0.0.1\r\n$\(digits.utf8.count)\r\n\(digits)\r\n"
    }

    /// Answers as a Sentinel that names this server, or none.
    private static func sentinel(_ master: FakeServer?) -> @Sendable ([String]) -> FakeServer.Answer {
        let text = master.map { answer(master: $0.port) } ?? "_\r\n"
        return { command in
            switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            case "SENTINEL": .bytes(text)
            default: .silence
            }
        }
    }

    /// Answers as a server in this role.
    private static func server(_ role: String) -> @Sendable ([String]) -> FakeServer.Answer {
        { command in
            switch command[0] {
            case "HELLO": .bytes(FakeServer.hello)
            case "ROLE": .bytes("*3\r\n$\(role.utf8.count)\r\n\(role)\r\n:0\r\n*0\r\n")
            default: .bytes("+\(role)\r\n")
            }
        }
    }

    private func uri(_ ports: [Int]) -> String {
        "redis-sentinel://" + ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
    }

    /// The first command of a client goes to the master. A new client is made for each attempt, so that the Sentinels are asked
    /// in this order: on a busy machine one that does answer may be too late.
    private func expectMaster(_ ports: [Int]) async throws {
        try await eventually("the master answers") {
            let answer = try? await withClient(uri(ports)) { redis async throws in
                try await redis.run("PING").string
            }
            return answer == "master"
        }
    }

    @Test func `the next Sentinel is asked when one is away or does not know the master`() async throws {
        let away = try RedisServer.freePort()
        try await FakeServer.withServer(Self.server("master")) { master async throws in
            try await FakeServer.withServer(Self.sentinel(nil)) { ignorant async throws in
                try await FakeServer.withServer(Self.sentinel(master)) { sentinel async throws in
                    try await expectMaster([away, ignorant.port, sentinel.port])
                }
            }
        }
    }

    @Test func `a server that is no master is not used, whoever names it`() async throws {
        try await FakeServer.withServer(Self.server("slave")) { old async throws in
            try await FakeServer.withServer(Self.server("master")) { new async throws in
                try await FakeServer.withServer(Self.sentinel(old)) { cutOff async throws in
                    let text = "127.0.0.1:\(old.port) as the master, which is slave"
                    let error = try await firstFailure(uri([cutOff.port]), saying: text)
                    #expect(error.code == .connectionFailed)

                    try await FakeServer.withServer(Self.sentinel(new)) { sentinel async throws in
                        // One of the two attempts asks the other Sentinel first.
                        try await withClient(uri([cutOff.port, sentinel.port])) { redis async throws in
                            try await eventually("the right one is found") {
                                await redis.failure() == nil
                            }
                            #expect(try await redis.run("PING").string == "master")
                        }
                    }
                }
            }
        }
    }

    @Test func `when nobody knows the master, the error says what each Sentinel said`() async throws {
        let away = try RedisServer.freePort()
        try await FakeServer.withServer(Self.sentinel(nil)) { ignorant async throws in
            let error = try await firstFailure(
                uri([away, ignorant.port]) + "?master=orders",
                saying: "the master \"orders\"",
                "cannot connect to 127.0.0.1:\(away): connection refused. Is a Sentinel running",
                "127.0.0.1:\(ignorant.port) watches no master named \"orders\""
            )
            #expect(error.code == .connectionFailed)
        }
    }

    @Test func `a Sentinel that does not answer leaves time for the others`() async throws {
        try await FakeServer.withServer(Self.server("master")) { master async throws in
            try await FakeServer.withServer({ _ in .silence }) { stuck async throws in
                try await FakeServer.withServer(Self.sentinel(master)) { sentinel async throws in
                    try await expectMaster([stuck.port, sentinel.port])
                }
            }
        }
    }

    // MARK: Values

    private let a = RedisConfiguration.Endpoint.host("a", port: 1)
    private let b = RedisConfiguration.Endpoint.host("b", port: 1)
    private let c = RedisConfiguration.Endpoint.host("c", port: 1)

    @Test func `another Sentinel begins each time, and those that were silent come last`() {
        var roster = SentinelRoster([a, b, c])
        #expect(roster.nextOrder() == [a, b, c])
        #expect(roster.nextOrder() == [b, c, a])
        roster.failed(c)
        #expect(roster.nextOrder() == [a, b, c])
        #expect(roster.nextOrder() == [a, b, c])
        #expect(roster.nextOrder() == [b, a, c])
        roster.answered(c)
        #expect(roster.nextOrder() == [c, a, b])
    }

    @Test func `a message of a switch is read, and those about other masters are not`() {
        let search = SentinelSearch(RedisConfiguration(), .init(endpoints: [a]))
        #expect(search.newMaster("mymaster 10.0.0.1 1 ::2 6380") == .host("::2", port: 6380))
        #expect(search.newMaster("other 10.0.0.1 1 10.0.0.2 2") == nil)
        #expect(search.newMaster("mymaster 10.0.0.1 1 10.0.0.2 x") == nil)
        #expect(search.newMaster("") == nil)
    }
}
