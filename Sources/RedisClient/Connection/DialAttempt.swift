import NIOCore

/// One attempt to connect, on its event loop. Ends once: with a connection that is logged in, or with an error that says
/// what to do.
final class DialAttempt {
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    private var completion: ((Result<RedisChannelHandler, RedisError>) -> Void)?
    private var timer: Scheduled<Void>?
    private var place: String
    private var handler: RedisChannelHandler?

    init(
        configuration: RedisConfiguration,
        eventLoop: any EventLoop,
        completion: @escaping (Result<RedisChannelHandler, RedisError>) -> Void
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.completion = completion
        place = configuration.peer == .master ? "\(configuration)" : "\(configuration.endpoint)"
        timer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(configuration.dialTimeout)) {
            self.fail("no answer within \(configuration.dialTimeout)")
        }
    }

    /// The address is known. Returns whether the attempt has not been given up in the meantime.
    func begin(_ endpoint: RedisConfiguration.Endpoint) -> Bool {
        place = "\(endpoint)"
        return completion != nil
    }

    /// The socket is connected.
    func connected(_ handler: RedisChannelHandler) {
        guard completion != nil else { return handler.close(RedisError(.connectionFailed, "given up in the meantime")) }
        self.handler = handler
        let handshake = Handshake(configuration, place: place)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        handler.send([
            RedisRequest(handshake.commands) { replies in bound.value.answered(handshake.verify(replies)) }
        ])
    }

    private func answered(_ result: Result<Void, RedisError>) {
        switch result {
        case .success: if let handler { end(.success(handler)) }
        case .failure(let error) where error.code == .connectionLost:
            fail(error.message, isClosedByPeer: true)
        case .failure(let error) where error.code == .commandTimedOut:
            fail(error.message)
        case .failure(let error) where error.code == .protocolError:
            fail(RedisError(.protocolError, "there is no Redis at \(place): \(error.message)"))
        case .failure(let error): fail(error)
        }
    }

    var isOver: Bool { completion == nil }

    /// The attempt has failed for a reason that says all.
    func fail(_ error: RedisError) { end(.failure(error)) }

    /// The attempt has failed for a reason of the network.
    ///
    /// - Parameter isClosedByPeer: right after it was sent the first bytes, as a server does that understands only TLS.
    func fail(_ text: String, isClosedByPeer: Bool = false) {
        let message: String
        if handler == nil {
            message = "cannot connect to \(place): \(text). Is \(peer) running there?"
        } else if configuration.tls != nil, handler?.isEncrypted == false {
            message = "TLS handshake with \(place) failed: \(text). Does the server speak TLS on this port?"
        } else {
            let hint = configuration.tls == nil && isClosedByPeer ? ". Does it expect TLS (rediss://)?" : ""
            message = "log-in to \(place) failed: \(text)\(hint)"
        }
        fail(RedisError(.connectionFailed, message))
    }

    private var peer: String { configuration.peer == .sentinel ? "a Sentinel" : "Redis" }

    private func end(_ result: Result<RedisChannelHandler, RedisError>) {
        timer?.cancel()
        guard let completion else { return }
        self.completion = nil
        if case .failure(let error) = result { handler?.close(error) }
        completion(result)
    }
}
