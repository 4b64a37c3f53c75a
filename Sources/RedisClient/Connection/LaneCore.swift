import DequeModule
import Logging
import NIOCore

/// The part of a lane that lives on its event loop: connects, sends what waits, and gives up on what has waited too long.
final class LaneCore {
    private let configuration: RedisConfiguration
    private let endpoint: RedisLane.EndpointProvider
    private let eventLoop: any EventLoop
    private let outbox: Outbox
    private let writer: DirectWriter
    private let logger: Logger
    private let onPush: (@Sendable (RedisPush) -> Void)?
    private let onState: (@Sendable (RedisLane.ConnectionState) -> Void)?
    /// What waits for a connection fails with the first attempt that fails, and not only at its own time-out.
    private let failsFast: Bool

    private var state: ConnectionState
    private var handler: RedisChannelHandler?
    private var attempt: DialAttempt?
    /// Not sent yet, for want of a connection, with the time at which each is given up.
    private var waiting: Deque<(request: RedisRequest, deadline: NIODeadline)> = []
    private var waitingTimer: Scheduled<Void>?
    private var overflowTimer: Scheduled<Void>?
    private var reconnectTimer: Scheduled<Void>?
    private var connectedAt = NIODeadline.now()
    private var lastFailure: RedisError?
    /// Since when there is no connection, if there was one.
    private var lostAt: NIODeadline?
    private var failuresSinceLog = 0
    private var retirement: RedisError?

    init(
        configuration: RedisConfiguration,
        endpoint: @escaping RedisLane.EndpointProvider,
        eventLoop: any EventLoop,
        outbox: Outbox,
        writer: DirectWriter,
        logger: Logger,
        onPush: (@Sendable (RedisPush) -> Void)?,
        onState: (@Sendable (RedisLane.ConnectionState) -> Void)?,
        failsFast: Bool
    ) {
        self.configuration = configuration
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.outbox = outbox
        self.writer = writer
        self.logger = logger
        self.onPush = onPush
        self.onState = onState
        self.failsFast = failsFast
        state = ConnectionState(
            isListener: onState != nil,
            maximumDelay: failsFast ? .milliseconds(250) : .seconds(2)
        )
    }

    // MARK: Called by the lane

    func open() { perform(state.wanted()) }

    /// Sends what has gathered in the outbox.
    func drain() {
        let requests = outbox.take()
        if state.isClosed {
            let error = retirement ?? RedisError(.closed, "the Redis client has been shut down")
            for request in requests { request.fail(error) }
            answered(requests.count)
            return
        }
        if let handler, state.isConnected {
            send(requests, handler)
            return
        }
        // A little more than an attempt to connect that begins now, which knows better why it failed.
        let deadline = NIODeadline.now() + TimeAmount(configuration.dialTimeout) + .milliseconds(50)
        for request in requests { waiting.append((request, deadline)) }
        scheduleWaitingTimer()
        perform(state.wanted())
    }

    /// Requests wait for a place: those whose time is over are given up.
    func watchOverflow() {
        overflowTimer?.cancel()
        overflowTimer = nil
        guard let next = outbox.expire(.now()) else { return }
        overflowTimer = eventLoop.assumeIsolated().scheduleTask(deadline: next) { [weak self] in
            self?.watchOverflow()
        }
    }

    /// So many requests are no longer waiting. What waited for their places is sent in the next turn, all of it together.
    private func answered(_ count: Int) {
        guard outbox.answered(count) else { return }
        eventLoop.assumeIsolated().execute { self.drain() }
    }

    func shutdown() {
        guard !state.isClosed else { return }
        state.close()
        outbox.close()
        waitingTimer?.cancel()
        overflowTimer?.cancel()
        reconnectTimer?.cancel()
        failWaiting(RedisError(.closed, "the Redis client has been shut down"))
        handler?.close(RedisError(.closed, "the Redis client has been shut down"))
        handler = nil
        drain()
    }

    /// Another server is the right one now, or may be: connects anew without a pause. What is on its way to the old one
    /// fails with the reason.
    func reconnect(_ reason: RedisError) {
        guard !state.isClosed else { return }
        if let handler { return handler.close(reason) }
        if let attempt, !attempt.isOver { return attempt.fail(reason) }
        reconnectTimer?.cancel()
        perform(state.delayEnded(isWanted: !waiting.isEmpty))
    }

    /// Nothing more is to be sent. What waits fails with the reason, what is on its way is answered.
    func retire(_ reason: RedisError) {
        guard !state.isClosed else { return }
        state.close()
        reconnectTimer?.cancel()
        failWaiting(reason)
        attempt?.fail(reason)
        handler?.retire()
        handler = nil
        retirement = reason
        drain()
    }

    /// The server has refused what was sent at this time because another one is responsible. What is on its way to it is
    /// still answered; what comes later goes to a new connection.
    func renew(sentAt: NIODeadline) {
        guard let handler, connectedAt <= sentAt else { return }
        lost(handler, RedisError(.connectionLost, "\(configuration) is not responsible any more"))
        handler.retire()
    }

    // MARK: Connecting

    private func perform(_ action: ConnectionState.Action) {
        switch action {
        case .none, .rest: break
        case .connect: connect()
        case .connectAfter(let delay):
            reconnectTimer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
                guard let self else { return }
                perform(state.delayEnded(isWanted: !waiting.isEmpty))
            }
        }
    }

    private func connect() {
        let dialer = RedisDialer(configuration: configuration, eventLoop: eventLoop, onPush: onPush)
        attempt = dialer.connect(endpoint) { [weak self] handler in
            self?.lost(handler)
        } completion: { [weak self] result in
            guard let self else {
                if case .success(let handler) = result { handler.close(RedisError(.closed, "not needed any more")) }
                return
            }
            attempt = nil
            switch result {
            case .success(let handler): connected(handler)
            case .failure(let error): connectFailed(error)
            }
        }
    }

    private func connected(_ handler: RedisChannelHandler) {
        guard !state.isClosed else { return handler.close(RedisError(.closed, "the Redis client has been shut down")) }
        state.connected()
        connectedAt = .now()
        self.handler = handler
        handler.onAnswered = { [weak self] in self?.answered($0) }
        // With TLS the bytes would have to be encrypted first. What a listener asks for at its connection goes before all else.
        if configuration.tls == nil, onState == nil { handler.use(writer) }
        if lastFailure != nil { logger.info("connected to Redis again", metadata: ["redis": "\(configuration)"]) }
        lastFailure = nil
        lostAt = nil
        failuresSinceLog = 0
        waitingTimer?.cancel()
        waitingTimer = nil
        let requests = waiting.map(\.request)
        waiting = []
        if let onState {
            // The listener's own commands come first.
            onState(.connected)
            send(outbox.take() + requests, handler)
        } else {
            send(requests + outbox.take(), handler)
        }
    }

    private func connectFailed(_ error: RedisError) {
        guard !state.isClosed else { return }
        // A server that was never there is reported at once: the address or the password may be wrong. One that was
        // there is waited for, as long as each command has time; and if it has been away for longer than that, then from one
        // attempt to the next, each of which is one for all.
        if let lostAt, .now() - lostAt > TimeAmount(configuration.dialTimeout) {
            let seconds = (.now() - lostAt).nanoseconds / 1_000_000_000
            failWaiting(RedisError(error.code, "Redis has been away for \(seconds) s: \(error.message)"))
        } else if failsFast || !state.hasBeenConnected {
            failWaiting(error)
        }
        logFailure(error)
        lastFailure = error
        perform(state.connectFailed(isWanted: !waiting.isEmpty, jitter: Double.random(in: 0...1)))
    }

    private func lost(_ handler: RedisChannelHandler, _ reason: RedisError? = nil) {
        guard self.handler === handler else { return }
        self.handler = nil
        guard !state.isClosed else { return }
        let error =
            reason ?? handler.failure
            ?? RedisError(.connectionLost, "the connection to \(configuration) was closed")
        logFailure(error)
        lastFailure = error
        lostAt = lostAt ?? .now()
        onState?(.disconnected)
        let wasBrief = NIODeadline.now() - connectedAt < TimeAmount(state.maximumDelay)
        perform(state.lost(isWanted: !waiting.isEmpty, wasBrief: wasBrief, jitter: Double.random(in: 0...1)))
    }

    /// The first failure of a row, and then fewer and fewer.
    private func logFailure(_ error: RedisError) {
        failuresSinceLog += 1
        guard failuresSinceLog.nonzeroBitCount == 1 else { return }
        logger.warning("no connection to Redis", metadata: ["redis": "\(configuration)", "error": "\(error)"])
    }

    // MARK: Sending

    private func send(_ requests: [RedisRequest], _ handler: RedisChannelHandler) {
        let wanted = requests.filter { !$0.isCompleted }
        if wanted.count < requests.count { answered(requests.count - wanted.count) }
        if !wanted.isEmpty { handler.send(wanted) }
    }

    private func scheduleWaitingTimer() {
        guard waitingTimer == nil, let first = waiting.first else { return }
        waitingTimer = eventLoop.assumeIsolated().scheduleTask(deadline: first.deadline) { [weak self] in
            guard let self else { return }
            waitingTimer = nil
            let now = NIODeadline.now()
            let late = waiting.prefix { $0.deadline <= now }.map(\.request)
            waiting.removeFirst(late.count)
            let reason = lastFailure?.message ?? "no connection to \(configuration) within \(configuration.dialTimeout)"
            let code =
                lastFailure?.code == .authenticationFailed ? RedisError.Code.authenticationFailed : .connectionFailed
            for request in late { request.fail(RedisError(code, reason)) }
            answered(late.count)
            scheduleWaitingTimer()
        }
    }

    private func failWaiting(_ error: RedisError) {
        let requests = waiting.map(\.request)
        waiting = []
        waitingTimer?.cancel()
        waitingTimer = nil
        for request in requests { request.fail(error) }
        answered(requests.count)
    }
}
