import NIOCore
import Testing

@testable import RedisClient

/// The parts of a connection that are values: no socket is needed.
struct StateMachineTests {
    // MARK: When to connect

    @Test func `a lane connects when it is asked, and once`() {
        var state = ConnectionState(isListener: false)
        #expect(state.wanted() == .connect)
        #expect(state.wanted() == .none)
        state.connected()
        #expect(state.isConnected && state.hasBeenConnected)
        #expect(state.wanted() == .none)
    }

    @Test func `a lane that nobody wants rests, a listener never does`() {
        for isListener in [false, true] {
            var state = ConnectionState(isListener: isListener)
            _ = state.wanted()
            state.connected()
            #expect(state.lost(isWanted: false) == (isListener ? .connect : .rest))
            _ = state.wanted()
            let after = state.connectFailed(isWanted: false, jitter: 1)
            #expect(after == (isListener ? .connectAfter(.milliseconds(10)) : .rest))
        }
    }

    @Test func `failures are repeated after delays that grow to a limit and start again`() {
        var state = ConnectionState(isListener: true)
        _ = state.wanted()
        var delays: [Duration] = []
        for _ in 0..<10 {
            guard case .connectAfter(let delay) = state.connectFailed(isWanted: true, jitter: 1) else { break }
            delays.append(delay)
            #expect(state.delayEnded(isWanted: true) == .connect)
        }
        #expect(delays == [10, 20, 40, 80, 160, 320, 640, 1280, 2000, 2000].map { .milliseconds($0) })
        state.connected()
        #expect(state.lost(isWanted: true) == .connect)
        #expect(state.connectFailed(isWanted: true, jitter: 0) == .connectAfter(.milliseconds(5)))
    }

    @Test func `a server that drops each connection is asked after delays that grow`() {
        var state = ConnectionState(isListener: true)
        _ = state.wanted()
        var delays: [Duration] = []
        for turn in 0..<10 {
            state.connected()
            let action = state.lost(isWanted: false, wasBrief: true, jitter: 1)
            if case .connectAfter(let delay) = action {
                delays.append(delay)
                #expect(state.delayEnded(isWanted: false) == .connect)
            } else {
                // The first may have been an accident.
                #expect(turn == 0 && action == .connect)
            }
        }
        #expect(delays == [20, 40, 80, 160, 320, 640, 1280, 2000, 2000].map { .milliseconds($0) })
        state.connected()
        #expect(state.lost(isWanted: false, wasBrief: false) == .connect)
        state.connected()
        #expect(state.lost(isWanted: false, wasBrief: true) == .connect)
    }

    @Test func `a lane that waits to connect again does not connect twice, and rests when nobody wants it any more`() {
        var state = ConnectionState(isListener: false)
        #expect(state.delayEnded(isWanted: true) == .none)
        #expect(state.lost(isWanted: true) == .none)
        #expect(state.connectFailed(isWanted: true, jitter: 0) == .none)
        _ = state.wanted()
        _ = state.connectFailed(isWanted: true, jitter: 0)
        #expect(state.wanted() == .none)
        state.connected()
        #expect(!state.isConnected && !state.hasBeenConnected)
        #expect(state.delayEnded(isWanted: false) == .rest)
        #expect(state.wanted() == .connect)
    }

    @Test func `a closed lane does nothing`() {
        var state = ConnectionState(isListener: true)
        _ = state.wanted()
        state.close()
        state.connected()
        #expect(!state.isConnected)
        #expect(state.wanted() == .none)
        #expect(state.connectFailed(isWanted: true, jitter: 0) == .none)
        #expect(state.delayEnded(isWanted: true) == .none)
        #expect(state.lost(isWanted: true) == .none)
    }

    // MARK: Whose reply it is

    private func request(_ names: String...) -> RedisRequest {
        RedisRequest(names.map { RESPCommand($0, "a", "b") }) { _ in }
    }

    private func isComplete(_ action: ReplyPipeline.Action, _ request: RedisRequest, _ count: Int) -> Bool {
        guard case .complete(let completed, let replies) = action else { return false }
        return completed === request && replies.count == count
    }

    @Test func `replies go to requests in order, however many commands each has`() {
        var pipeline = ReplyPipeline()
        let (first, second) = (request("GET", "GET"), request("GET"))
        pipeline.send(first)
        pipeline.send(second)
        guard case .none = pipeline.receive(.integer(1)) else {
            Issue.record("answered too early")
            return
        }
        #expect(isComplete(pipeline.receive(.error(ByteBuffer(string: "ERR x"))), first, 2))
        #expect(isComplete(pipeline.receive(.null), second, 1))
        #expect(pipeline.isEmpty)
    }

    @Test func `subscriptions are answered by pushes, and other pushes in between are not answers`() {
        var pipeline = ReplyPipeline()
        func push(_ kind: String) -> RESPValue {
            .push([.bulkString(ByteBuffer(string: kind)), .bulkString(ByteBuffer(string: "c")), .integer(1)])
        }
        let (subscribe, get) = (request("SUBSCRIBE"), request("GET"))
        pipeline.send(subscribe)
        pipeline.send(get)
        guard case .push = pipeline.receive(push("message")), case .none = pipeline.receive(push("subscribe")),
            case .push = pipeline.receive(push("invalidate"))
        else {
            Issue.record("a push was taken for an answer")
            return
        }
        #expect(isComplete(pipeline.receive(push("subscribe")), subscribe, 1))
        #expect(isComplete(pipeline.receive(.integer(1)), get, 1))
        // One that the server makes by itself.
        guard case .push = pipeline.receive(push("unsubscribe")) else {
            Issue.record("not passed on")
            return
        }
    }

    @Test func `what the server unsubscribes by itself confirms no subscription`() {
        var pipeline = ReplyPipeline()
        let subscribe = RedisRequest([RESPCommand("subscribe", "c")]) { _ in }
        pipeline.send(subscribe)
        let channel = RESPValue.bulkString(ByteBuffer(string: "c"))
        for kind in ["sunsubscribe", "unsubscribe"] {
            guard case .push = pipeline.receive(.push([.bulkString(ByteBuffer(string: kind)), channel, .integer(0)]))
            else {
                Issue.record("taken for the answer")
                return
            }
        }
        let confirmation = RESPValue.push([.bulkString(ByteBuffer(string: "subscribe")), channel, .integer(1)])
        #expect(isComplete(pipeline.receive(confirmation), subscribe, 1))
    }

    @Test func `what is given up is given back in order, once`() {
        var pipeline = ReplyPipeline()
        let requests = [request("GET"), request("GET", "GET"), request("SUBSCRIBE")]
        for request in requests { pipeline.send(request) }
        _ = pipeline.receive(.null)
        _ = pipeline.receive(.null)
        let left = pipeline.removeAll()
        #expect(left.count == 2 && left[0].request === requests[1] && left[1].request === requests[2])
        #expect(pipeline.isEmpty && pipeline.removeAll().isEmpty)
    }

    @Test func `what is given up keeps the replies that have come`() throws {
        var pipeline = ReplyPipeline()
        pipeline.send(request("GET", "GET", "GET"))
        _ = pipeline.receive(.integer(1))
        _ = pipeline.receive(.integer(2))
        let left = pipeline.removeAll()
        #expect(try left.map { try $0.replies.map { try $0.get() } } == [[.integer(1), .integer(2)]])
    }

    @Test func `a refused subscription is answered by its error`() {
        var pipeline = ReplyPipeline()
        let (subscribe, get) = (request("SUBSCRIBE"), request("GET"))
        pipeline.send(subscribe)
        pipeline.send(get)
        #expect(isComplete(pipeline.receive(.error(ByteBuffer(string: "NOPERM"))), subscribe, 1))
        #expect(isComplete(pipeline.receive(.integer(1)), get, 1))
    }

    @Test func `a reply that nothing was asked for ends the connection`() {
        var pipeline = ReplyPipeline()
        guard case .fail(let error) = pipeline.receive(.integer(1)) else {
            Issue.record("taken for something")
            return
        }
        #expect(error.code == .protocolError)
    }

    // MARK: Log-in

    private func configuration(_ change: (inout RedisConfiguration) -> Void = { _ in }) -> RedisConfiguration {
        var configuration = RedisConfiguration()
        configuration.clientName = ""
        change(&configuration)
        return configuration
    }

    private func text(_ command: RESPCommand) -> String {
        String(buffer: command.encoded).split(separator: "\r\n").enumerated()
            .filter { $0.offset.isMultiple(of: 2) && $0.offset > 0 }
            .map { String($0.element) }.joined(separator: " ")
    }

    @Test func `the log-in says what the configuration says`() {
        func commands(_ change: (inout RedisConfiguration) -> Void) -> [String] {
            Handshake(configuration(change), place: "h").commands.map(text)
        }
        #expect(commands { _ in } == ["HELLO 3"])
        #expect(commands { $0.password = "p" } == ["HELLO 3 AUTH default p"])
        #expect(
            commands {
                $0.username = "u"
                $0.password = "p"
                $0.database = 4
                $0.clientName = "n"
            } == ["HELLO 3 AUTH u p SETNAME n", "SELECT 4"]
        )
    }

    @Test(
        arguments: [
            ("redis", "6.2.0", true), ("redis", "7.0.15", true), ("redis", "10.0", true), ("redis", "6.0.16", false),
            ("redis", "5.0.3", false), ("valkey", "7.2.4", true), ("valkey", "8.0.0", true), ("valkey", "7.0.0", false),
        ]
    )
    func `servers that are too old are refused with a sentence`(server: String, version: String, isFine: Bool) {
        func field(_ name: String, _ value: String) -> RESPValue.Pair {
            .init(key: .bulkString(ByteBuffer(string: name)), value: .bulkString(ByteBuffer(string: value)))
        }
        let hello = RESPValue.map([field("server", server), field("version", version)])
        switch Handshake(configuration(), place: "h:1").verify([.success(hello)]) {
        case .success: #expect(isFine)
        case .failure(let error):
            #expect(!isFine && error.code == .unsupportedServer)
            #expect(error.message.contains("h:1") && error.message.contains(version) && error.message.contains("6.2"))
        }
    }

    @Test(
        arguments: [
            (
                "WRONGPASS invalid username-password pair", RedisError.Code.authenticationFailed,
                "wrong user or password"
            ),
            ("NOAUTH Authentication required.", .authenticationFailed, "asks for a password"),
            ("NOPERM no", .authenticationFailed, "denies the user"),
            ("NOPROTO unsupported protocol version", .unsupportedServer, "too old"),
            ("ERR unknown command `HELLO`", .unsupportedServer, "too old"),
            (
                "ERR AUTH <password> called without any password configured for the default user",
                .authenticationFailed, "has no password"
            ),
            ("LOADING Redis is loading", .connectionFailed, "LOADING"),
        ]
    )
    func `each refusal of the log-in is explained`(reply: String, code: RedisError.Code, text: String) {
        let failure = RedisError(.serverError, reply, command: "HELLO")
        guard case .failure(let error) = Handshake(configuration(), place: "h:1").verify([.failure(failure)]) else {
            Issue.record("taken for a success")
            return
        }
        #expect(error.code == code && error.message.contains(text) && error.message.contains("h:1"))
    }

    // MARK: Pushes and commands

    @Test func `pushes are told apart`() {
        func bulk(_ text: String) -> RESPValue { .bulkString(ByteBuffer(string: text)) }
        #expect(RedisPush([bulk("invalidate"), .array([bulk("k")])]) == .invalidate(keys: [ByteBuffer(string: "k")]))
        #expect(RedisPush([bulk("invalidate"), .null]) == .invalidate(keys: nil))
        let message = RedisPush.message(channel: ByteBuffer(string: "c"), payload: ByteBuffer(string: "p"))
        #expect(RedisPush([bulk("message"), bulk("c"), bulk("p")]) == message)
        #expect(RedisPush([bulk("pmessage"), bulk("*"), bulk("c"), bulk("p")]) == message)
        #expect(RedisPush([bulk("odd"), .integer(1)]) == .other(kind: "odd", [.integer(1)]))
        #expect(RedisPush([]) == .other(kind: "", []))
    }

    @Test func `commands are encoded with any argument`() {
        var builder = RESPCommandBuilder(name: "X", argumentCount: 7)
        builder.append(Int64.min)
        builder.append(0)
        builder.append(12_345)
        builder.append("")
        builder.append([UInt8]([0, 13, 10]))
        builder.append(ByteBuffer(string: "b"))
        builder.append("é")
        let wanted =
            "*8\r\n$1\r\nX\r\n$20\r\n-9223372036854775808\r\n$1\r\n0\r\n$5\r\n12345\r\n$0\r\n\r\n"
            + "$3\r\n\u{0}\r\n\r\n$1\r\nb\r\n$2\r\né\r\n"
        #expect(String(buffer: builder.finish().encoded) == wanted)
    }
}

struct OutboxTests {
    private let outbox = Outbox(limit: 10, patience: .seconds(1))

    private func add() -> Outbox.Addition { outbox.add(RedisRequest([RESPCommand("PING")]) { _ in }) }

    @Test func `what is added outside a turn is to be sent once`() {
        #expect(add().isDrain)
        #expect(!add().isDrain)
        #expect(outbox.take().count == 2)
        #expect(add().isDrain)
    }

    @Test func `what is added in a turn is sent at its end`() {
        outbox.expectTurn()
        outbox.beginTurn()
        #expect(!add().isDrain)
        #expect(outbox.endTurn() == .drainNow)
        #expect(outbox.take().count == 1)
        #expect(add().isDrain)
    }

    @Test func `a turn waits for those that were asked for before its end, and for no others`() {
        outbox.expectTurn()
        outbox.expectTurn()
        outbox.beginTurn()
        #expect(!add().isDrain)
        #expect(outbox.endTurn() == .drain)
        outbox.expectTurn()
        outbox.beginTurn()
        #expect(!add().isDrain)
        // The first turn has seen to it.
        #expect(outbox.endTurn() == .nothing)
        #expect(outbox.take().count == 2)
    }

    private func addAlone() -> Bool {
        if case .alone = outbox.add(RedisRequest([RESPCommand("PING")]) { _ in }, mayGoAlone: true) { return true }
        return false
    }

    @Test func `a request goes alone only if nothing is on its way or about to be`() {
        outbox.expectTurn()
        #expect(!outbox.isIdle)
        outbox.beginTurn()
        #expect(!outbox.isIdle)
        #expect(outbox.endTurn() == .nothing)
        #expect(outbox.isIdle && addAlone())
        // The second goes as all others.
        #expect(!outbox.isIdle && !addAlone())
        #expect(outbox.take().count == 1)
        #expect(!outbox.answered(1))
        #expect(!outbox.isIdle && !addAlone())
        #expect(outbox.take().count == 1)
        #expect(!outbox.answered(2))
        #expect(outbox.isIdle)
        outbox.close()
        #expect(!outbox.isIdle && !addAlone())
    }

    @Test func `a request that could not be written alone goes as all others, and counts once`() {
        #expect(addAlone())
        #expect(outbox.addAlone(RedisRequest([RESPCommand("PING")]) { _ in }))
        #expect(!add().isDrain)
        #expect(outbox.take().count == 2)
        #expect(!outbox.answered(2))
        #expect(outbox.isIdle)
    }

    @Test func `a turn without anything to send, or before others send, does nothing`() {
        outbox.expectTurn()
        outbox.beginTurn()
        #expect(outbox.endTurn() == .nothing)
        outbox.expectTurn()
        #expect(add().isDrain)
        outbox.beginTurn()
        #expect(!add().isDrain)
        #expect(outbox.endTurn() == .nothing)
        #expect(outbox.take().count == 2)
    }
}

extension Outbox.Addition {
    fileprivate var isDrain: Bool {
        if case .drain = self { return true }
        return false
    }
}
