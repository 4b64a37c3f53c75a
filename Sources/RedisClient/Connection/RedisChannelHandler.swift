import NIOCore
import NIOTLS

/// The end of a connection's pipeline: writes commands, reads replies, and hands each to whom it belongs.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Commands up to this size are copied together into one write; larger ones are written as they are.
    private static let smallCommand = 16 << 10
    /// Large ones are written in pieces of this size, so that progress can be seen.
    private static let pieceSize = 1 << 20

    private let readTimeout: Duration
    private let writeTimeout: Duration
    private let onPush: (@Sendable (RedisPush) -> Void)?
    private var onClosed: ((RedisChannelHandler) -> Void)?
    private var context: ChannelHandlerContext?
    private var parser = RESPParser()
    private var pipeline = ReplyPipeline()
    /// When something was last received or written out, or sent while nothing was awaited.
    private var lastProgress = NIODeadline.now()
    /// Bytes sent since something was received: the server must read and store them before it can answer.
    private var bytesSent = 0
    /// Writes that the network has not taken yet.
    private var unwritten = 0
    private var timer: (task: Scheduled<Void>, deadline: NIODeadline)?
    /// Why the connection ended, if it did by our doing or by an error.
    private(set) var failure: RedisError?
    /// Whether a TLS handshake has been completed.
    private(set) var isEncrypted = false
    /// Nothing more is sent: it is closed when all is answered.
    private var isRetired = false
    /// Lets callers write while nothing is on its way.
    private var writer: DirectWriter?
    private var isOffered = false
    /// Called with the number of requests that are answered or given up.
    var onAnswered: ((Int) -> Void)?

    init(
        readTimeout: Duration,
        writeTimeout: Duration,
        onPush: (@Sendable (RedisPush) -> Void)?,
        onClosed: @escaping (RedisChannelHandler) -> Void
    ) {
        self.readTimeout = readTimeout
        self.writeTimeout = writeTimeout
        self.onPush = onPush
        self.onClosed = onClosed
    }

    // MARK: Sending

    /// Writes these and flushes once.
    func send(_ requests: [RedisRequest]) {
        takeOver()
        guard let context, failure == nil else {
            let error = failure ?? RedisError(.connectionLost, "the connection was closed")
            for request in requests { request.fail(error) }
            onAnswered?(requests.count)
            return
        }
        if pipeline.isEmpty {
            lastProgress = .now()
            bytesSent = 0
        }
        var small = ByteBuffer()
        for request in requests {
            pipeline.send(request)
            for command in request.commands {
                if command.encoded.readableBytes > Self.smallCommand {
                    write(&small, context)
                    var rest = command.encoded
                    while rest.readableBytes > 0,
                        var piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceSize))
                    {
                        write(&piece, context)
                    }
                } else if small.readableBytes == 0 {
                    small = command.encoded
                } else {
                    small.writeImmutableBuffer(command.encoded)
                }
            }
        }
        write(&small, context)
        context.flush()
        scheduleTimer()
    }

    private func write(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard buffer.readableBytes > 0 else { return }
        unwritten += 1
        bytesSent += buffer.readableBytes
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in
            unwritten -= 1
            lastProgress = .now()
        }
        context.write(wrapOutboundOut(buffer), promise: promise)
        buffer = ByteBuffer()
    }

    // MARK: Written by callers

    /// Callers write by this from now on, while nothing is on its way.
    func use(_ writer: DirectWriter) {
        guard let context, failure == nil, !isRetired else { return }
        let (own, eventLoop) = (NIOLoopBound(self, eventLoop: context.eventLoop), context.eventLoop)
        if writer.attach(context.channel, writeRest: { eventLoop.execute { own.value.takeOver() } }) {
            self.writer = writer
        }
    }

    /// A caller may write, if the timer looks after an answer in time.
    private func offer() {
        guard let writer, !isOffered, pipeline.isEmpty, unwritten == 0, !isRetired,
            let timer, timer.deadline <= lastProgress + TimeAmount(readTimeout)
        else { return }
        isOffered = true
        writer.offer()
    }

    /// Ends the offer. What a caller has written is as if it had been sent here.
    ///
    /// - Parameter time: not to be given up before.
    private func takeOver(notBefore time: NIODeadline = .distantPast) {
        guard var rest = takeOverRequest() else { return }
        if rest.readableBytes > 0, let context {
            write(&rest, context)
            context.flush()
        }
        scheduleTimer(notBefore: time)
    }

    /// - Returns: what is still to be written, if a caller has written.
    private func takeOverRequest() -> ByteBuffer? {
        guard isOffered else { return nil }
        isOffered = false
        guard let written = writer?.withdraw() else { return nil }
        pipeline.send(written.request)
        lastProgress = written.time
        bytesSent = written.request.size - written.rest.readableBytes
        return written.rest
    }

    private func endOffers() {
        writer?.detach()
        writer = nil
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        // First, as more may be read while a rest is written.
        parser.append(unwrapInboundIn(data))
        takeOver()
        lastProgress = .now()
        bytesSent = 0
        do throws(RESPParser.Failure) {
            while failure == nil, let value = try parser.next() { perform(pipeline.receive(value)) }
            closeIfDone()
        } catch {
            close(RedisError(.protocolError, "the server does not speak RESP3: \(error)"))
        }
    }

    private func perform(_ action: ReplyPipeline.Action) {
        switch action {
        case .none: break
        case .complete(let request, let replies):
            // Before the caller goes on, who may have more to send.
            offer()
            onAnswered?(1)
            request.complete(replies)
        case .push(let push): onPush?(push)
        case .fail(let error): close(error)
        }
    }

    // MARK: Time-out

    /// One timer a connection: while replies are awaited something must go out or come in within the time-out.
    private func scheduleTimer(notBefore time: NIODeadline = .distantPast) {
        guard !pipeline.isEmpty, let context else { return }
        let deadline = max(deadline, time)
        if let timer {
            // Writing may be given less time than reading.
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            timerFired()
        }
        timer = (task, deadline)
    }

    private func timerFired() {
        timer = nil
        // If the loop was held up, the answer to what a caller has written may lie in the socket: it is read first.
        takeOver(notBefore: .now() + .milliseconds(10))
        guard timer == nil else { return }
        guard !pipeline.isEmpty, deadline <= .now() else { return scheduleTimer() }
        let what =
            unwritten > 0 ? "Redis has taken nothing for \(writeTimeout)" : "no answer from Redis within \(readTimeout)"
        close(RedisError(.commandTimedOut, what))
    }

    private var deadline: NIODeadline {
        unwritten > 0
            ? lastProgress + TimeAmount(writeTimeout)
            : lastProgress + TimeAmount(readTimeout) + .seconds(Int64(bytesSent >> 24))
    }

    // MARK: Ending

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { isEncrypted = true }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    /// Closes it as soon as all is answered.
    func retire() {
        takeOver()
        endOffers()
        isRetired = true
        closeIfDone()
    }

    private func closeIfDone() {
        if isRetired, pipeline.isEmpty { close(RedisError(.connectionLost, "another server is responsible")) }
    }

    /// Ends the connection for this reason. What it carries fails now: with TLS the other side is waited for, which may
    /// not answer any more.
    func close(_ error: RedisError) {
        guard failure == nil else { return }
        end(error)
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(RedisError(.connectionLost, "the connection broke: \(RedisDialer.text(error))"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        if failure == nil { end(RedisError(.connectionLost, "the server closed the connection")) }
        context.fireChannelInactive()
    }

    private func end(_ error: RedisError) {
        failure = error
        // The rest of what a caller has written is of no use any more.
        _ = takeOverRequest()
        endOffers()
        timer?.task.cancel()
        let requests = pipeline.removeAll()
        for (index, (request, replies)) in requests.enumerated() {
            // Only the first has waited all that time; of the others it is not known what became of them.
            let isFirst = index == 0 || error.code != .commandTimedOut
            request.fail(isFirst ? error : RedisError(.connectionLost, error.message), after: replies)
        }
        onAnswered?(requests.count)
        onClosed?(self)
        onClosed = nil
    }
}
