package import Logging
package import NIOCore
internal import NIOPosix

/// One connection to one endpoint that connects when it is needed, and again when it is lost, and carries the commands
/// of many callers.
///
/// What callers submit gathers in an outbox, which the event loop writes and flushes as a whole. While nothing is on its way
/// a caller writes by itself.
package final class RedisLane: Sendable {
    /// Whether the connection is there, for listeners.
    package enum ConnectionState: Sendable {
        case connected
        case disconnected
    }

    /// Where to connect, asked before each attempt: a Sentinel may know a new address.
    package typealias EndpointProvider = @Sendable (any EventLoop) -> EventLoopFuture<RedisConfiguration.Endpoint>

    private let eventLoop: any EventLoop
    private let outbox: Outbox
    private let writer = DirectWriter()
    private let core: NIOLoopBoundBox<LaneCore>
    /// Runs tasks on the event loop of the connection.
    let taskExecutor: any TaskExecutor

    /// - Parameters:
    ///   - onPush: called on the event loop for what the server sends unasked.
    ///   - onState: called on the event loop; a lane that has it is a listener, which connects for its own sake.
    ///   - failsFast: what waits for a connection fails with the first attempt that fails.
    ///   - eventLoop: where the connection lives. Default: one that all share.
    package init(
        configuration: RedisConfiguration,
        endpoint: @escaping EndpointProvider,
        logger: Logger,
        onPush: (@Sendable (RedisPush) -> Void)? = nil,
        onState: (@Sendable (ConnectionState) -> Void)? = nil,
        failsFast: Bool = false,
        eventLoop: (any EventLoop)? = nil
    ) {
        let eventLoop = eventLoop ?? MultiThreadedEventLoopGroup.singleton.next()
        self.eventLoop = eventLoop
        taskExecutor = EventLoopExecutor(eventLoop)
        outbox = Outbox(limit: configuration.maxInFlight, patience: configuration.dialTimeout)
        let core = LaneCore(
            configuration: configuration,
            endpoint: endpoint,
            eventLoop: eventLoop,
            outbox: outbox,
            writer: writer,
            logger: logger,
            onPush: onPush,
            onState: onState,
            failsFast: failsFast
        )
        self.core = NIOLoopBoundBox.makeBoxSendingValue(core, eventLoop: eventLoop)
    }

    deinit {
        let core = core
        eventLoop.execute { core.value.shutdown() }
    }

    /// Connects now, rather than when the first command comes.
    package func open() {
        let core = core
        eventLoop.execute { core.value.open() }
    }

    /// Connects anew, perhaps to another server; what is on its way fails with the reason.
    func reconnect(_ reason: RedisError) {
        let core = core
        inNextTurn { core.value.reconnect(reason) }
    }

    /// Is not used any more: what is on its way is answered, all else fails with the reason.
    func retire(_ reason: RedisError) {
        let core = core
        inNextTurn { core.value.retire(reason) }
    }

    /// Connects anew if it is still the connection on which something was sent at this time; what is on its way is
    /// answered.
    func renew(sentAt: NIODeadline) {
        let core = core
        inNextTurn { core.value.renew(sentAt: sentAt) }
    }

    /// Calls `body` in the next turn of the event loop. What it submits is sent in that turn; or in the one that follows, if
    /// others are about to submit in theirs, together with that. Until the turn has come nobody writes alone.
    func inNextTurn(_ body: @escaping @Sendable () -> Void) {
        outbox.expectTurn()
        let (core, outbox, eventLoop) = (core, outbox, eventLoop)
        eventLoop.execute {
            outbox.beginTurn()
            body()
            switch outbox.endTurn() {
            case .nothing: break
            case .drainNow: core.value.drain()
            case .drain: eventLoop.execute { core.value.drain() }
            }
        }
    }

    /// Calls `body` at once, on the caller's thread, if the first that it submits can be written there; or in the next turn.
    func nowOrInNextTurn(_ body: @escaping @Sendable () -> Void) {
        // Those that go on in the same turn of the event loop join.
        if writer.isOffered, !eventLoop.inEventLoop, outbox.isIdle { body() } else { inNextTurn(body) }
    }

    /// Sends commands together. Their replies come in order, on the event loop; an error reply is a failure of its
    /// command alone.
    @discardableResult
    package func submit(_ commands: [RESPCommand], completion: @escaping RedisRequest.Completion) -> RedisRequest {
        submit(commands, for: nil, completion: completion)
    }

    /// - Parameter caller: whose commands these are; when nobody waits for it any more, they are not sent.
    @discardableResult
    func submit(
        _ commands: [RESPCommand],
        for caller: RedisRequest?,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest {
        let request = RedisRequest(commands, for: caller, completion: completion)
        guard !commands.isEmpty else {
            request.complete([])
            return request
        }
        // On the event loop no thread has to be woken; and it may have the end of this connection in hand, which comes first.
        let mayGoAlone = writer.isOffered && !eventLoop.inEventLoop && !request.isCompleted
        switch outbox.add(request, mayGoAlone: mayGoAlone) {
        case .alone:
            let core = core
            if !writer.write(request), outbox.addAlone(request) { eventLoop.execute { core.value.drain() } }
        case .drain:
            let core = core
            eventLoop.execute { core.value.drain() }
        case .wait: break
        case .watch:
            let core = core
            eventLoop.execute { core.value.watchOverflow() }
        case .refuse(let error): request.fail(error)
        }
        return request
    }

    /// Fails what waits, and closes the connection.
    package func shutdown() async {
        outbox.close()
        let core = core
        try? await eventLoop.submit { core.value.shutdown() }.get()
    }
}
