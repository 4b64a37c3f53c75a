import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// What the client knows of a Cluster, as values: no socket is needed.
struct ClusterValueTests {
    private let asked = RedisConfiguration.Endpoint.host("10.0.0.9", port: 7000)

    private func text(_ text: String) -> RESPValue { .bulkString(ByteBuffer(string: text)) }

    private func node(_ host: RESPValue, _ port: Int64) -> RESPValue {
        .array([host, .integer(port), text("id"), .array([])])
    }

    @Test func `the slots of the nodes are read`() throws {
        let reply = RESPValue.array([
            .array([.integer(0), .integer(99), node(text("a"), 1), node(text("b"), 2), node(text("?"), 3)]),
            .array([.integer(100), .integer(16_382), node(text(""), 4), node(.null, 5)]),
            .array([.integer(16_383), .integer(16_383), node(text("a"), 1), node(text("b"), 2)]),
            // Such as a later version may send.
            .array([.integer(5), .integer(4), node(text("x"), 1)]), .array([.integer(1)]), text("x"),
        ])
        let map = try SlotMap(reply, from: asked)
        let first = SlotMap.Shard(master: .host("a", port: 1), replicas: [.host("b", port: 2)])
        let second = SlotMap.Shard(master: .host("10.0.0.9", port: 4), replicas: [.host("10.0.0.9", port: 5)])
        #expect(map.shards == [first, second])
        #expect(map.shard(of: 0) == first && map.shard(of: 99) == first && map.shard(of: 16_383) == first)
        #expect(map.shard(of: 100) == second && map.shard(of: 16_382) == second)
    }

    @Test func `a slot that nobody serves has no node, and one that is moved has the new one`() throws {
        let reply = RESPValue.array([.array([.integer(1), .integer(1), node(text("a"), 1)])])
        var map = try SlotMap(reply, from: asked)
        #expect(map.shard(of: 0) == nil)
        map.assign(0, to: .host("b", port: 2))
        map.assign(1, to: .host("b", port: 2))
        map.assign(16_384, to: .host("b", port: 2))
        #expect(map.shard(of: 0)?.master == .host("b", port: 2) && map.shard(of: 1)?.master == .host("b", port: 2))
    }

    @Test func `an answer without slots is an error that says so`() {
        for reply in [RESPValue.array([]), .null] {
            let error = #expect(throws: RedisError.self) { try SlotMap(reply, from: asked) }
            #expect(error?.message.contains("slot") == true)
        }
    }

    @Test(
        arguments: [
            ("MOVED 3999 127.0.0.1:6381", ClusterRedirect.moved(slot: 3999, .host("127.0.0.1", port: 6381))),
            ("MOVED 1 ::1:6381", .moved(slot: 1, .host("::1", port: 6381))),
            ("MOVED 1 :6381", .moved(slot: 1, .host("10.0.0.9", port: 6381))),
            ("ASK 0 node-2:1", .ask(.host("node-2", port: 1))),
            ("TRYAGAIN Multiple keys request during rehashing of slot", .tryAgain),
            (
                "ERR Script attempted to access a non local key in a cluster node script: 0, on @user_script:1.",
                .tryAgain
            ),
            (
                "ERR Error running script (call to f_0): @user_script: 1: Lua script attempted to access a non local key "
                    + "in a cluster node", .tryAgain
            ),
            ("CLUSTERDOWN The cluster is down", .later), ("LOADING Redis is loading", .later),
            ("READONLY You can't write against a read only replica.", .later), ("MOVED 16384 a:1", nil),
            ("MOVED 1", nil), ("ASK x a:1", nil), ("ASK 1 a:b", nil), ("WRONGTYPE x", nil), ("OOM x", nil),
            ("CROSSSLOT Keys in request don't hash to the same slot", nil), ("", nil),
        ] as [(String, ClusterRedirect?)]
    )
    func `a refusal says where to go`(text: String, redirect: ClusterRedirect?) {
        #expect(ClusterRedirect(RedisError(.serverError, text), from: asked) == redirect)
    }

    @Test(
        arguments: [
            ("OOM command not allowed when used memory > 'maxmemory'.", true),
            (
                "ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed when used memory > "
                    + "'maxmemory'.", true
            ),
            ("ERR no", false), ("WRONGTYPE OOM", false),
        ]
    )
    func `a server that is full says so in the words of its version`(text: String, isFull: Bool) {
        #expect(RedisError(.serverError, text).isOutOfMemory == isFull)
    }

    @Test func `only what was not sent is sent again when a connection fails`() {
        #expect(ClusterRedirect(RedisError(.connectionFailed, "x"), from: asked) == .later)
        for code in [RedisError.Code.connectionLost, .commandTimedOut, .closed, .authenticationFailed, .cancelled] {
            #expect(ClusterRedirect(RedisError(code, "x"), from: asked) == nil)
        }
    }

    @Test func `a listener has moved when another node serves its slot`() throws {
        let reply = RESPValue.array([
            .array([.integer(0), .integer(1), node(text("a"), 1)]),
            .array([.integer(2), .integer(2), node(text("b"), 2)]),
        ])
        var map = try SlotMap(reply, from: asked)
        let follower = ClusterFollower(slot: 1)
        #expect(!follower.hasMoved(in: map))
        #expect(try follower.place(in: map).get() == .host("a", port: 1))
        #expect(!follower.hasMoved(in: map))
        map.assign(1, to: .host("b", port: 2))
        #expect(follower.hasMoved(in: map))
        let error = #expect(throws: RedisError.self) { try ClusterFollower(slot: 9).place(in: map).get() }
        #expect(error?.code == .connectionFailed)
    }
}
