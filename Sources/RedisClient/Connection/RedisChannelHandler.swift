import NIOCore
import NIOTLS

/// The end of a connection's pipeline: writes commands, reads replies, and hands each to whom it belongs.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Commands up to this size are copied together into one write; larger ones are written as they are.
    private static let smallCommand = 16 << 10

    private let readTimeout: Duration
    private let onPush: (@Sendable (RedisPush) -> Void)?
    private var onClosed: ((RedisChannelHandler) -> Void)?
    private var context: ChannelHandlerContext?
    private var parser = RESPParser()
    private var pipeline = ReplyPipeline()
    /// When something was last received, or sent while nothing was awaited.
    private var lastProgress = NIODeadline.now()
    /// Bytes sent since then: each takes its time.
    private var bytesSent = 0
    private var readTimer: Scheduled<Void>?
    /// Why the connection ended, if it did by our doing or by an error.
    private(set) var failure: RedisError?
    /// Whether a TLS handshake has been completed.
    private(set) var isEncrypted = false
    /// Called with the number of requests that are answered or given up.
    var onAnswered: ((Int) -> Void)?

    init(
        readTimeout: Duration,
        onPush: (@Sendable (RedisPush) -> Void)?,
        onClosed: @escaping (RedisChannelHandler) -> Void
    ) {
        self.readTimeout = readTimeout
        self.onPush = onPush
        self.onClosed = onClosed
    }

    // MARK: Sending

    /// Writes these and flushes once.
    func send(_ requests: [RedisRequest]) {
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
                bytesSent += command.encoded.readableBytes
                if command.encoded.readableBytes > Self.smallCommand {
                    flush(&small, context)
                    context.write(wrapOutboundOut(command.encoded), promise: nil)
                } else if small.readableBytes == 0 {
                    small = command.encoded
                } else {
                    small.writeImmutableBuffer(command.encoded)
                }
            }
        }
        flush(&small, context)
        context.flush()
        scheduleReadTimer()
    }

    private func flush(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard buffer.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(buffer), promise: nil)
        buffer = ByteBuffer()
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        lastProgress = .now()
        bytesSent = 0
        parser.append(unwrapInboundIn(data))
        do throws(RESPParser.Failure) {
            while let value = try parser.next() { perform(pipeline.receive(value)) }
        } catch {
            close(RedisError(.protocolError, "the server does not speak RESP3: \(error)"))
        }
    }

    private func perform(_ action: ReplyPipeline.Action) {
        switch action {
        case .none: break
        case .complete(let request, let replies):
            onAnswered?(1)
            request.complete(replies)
        case .push(let push): onPush?(push)
        case .fail(let error): close(error)
        }
    }

    // MARK: Time-out

    /// One timer a connection: while replies are awaited something must come within the time-out.
    private func scheduleReadTimer() {
        guard readTimer == nil, !pipeline.isEmpty, let context else { return }
        readTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            readTimer = nil
            if !pipeline.isEmpty, deadline <= .now() {
                close(RedisError(.commandTimedOut, "no answer from Redis within \(readTimeout)"))
            } else {
                scheduleReadTimer()
            }
        }
    }

    private var deadline: NIODeadline {
        lastProgress + TimeAmount(readTimeout) + .seconds(Int64(bytesSent >> 24))
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

    /// Ends the connection for this reason.
    func close(_ error: RedisError) {
        if failure == nil { failure = error }
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(RedisError(.connectionLost, "the connection broke: \(RedisDialer.text(error))"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        readTimer?.cancel()
        let requests = pipeline.removeAll()
        let error = failure ?? RedisError(.connectionLost, "the server closed the connection")
        failure = error
        for (index, request) in requests.enumerated() {
            // Only the first has waited all that time; of the others it is not known what became of them.
            let isFirst = index == 0 || error.code != .commandTimedOut
            request.fail(isFirst ? error : RedisError(.connectionLost, error.message))
        }
        onAnswered?(requests.count)
        onClosed?(self)
        onClosed = nil
        onAnswered = nil
        context.fireChannelInactive()
    }
}
