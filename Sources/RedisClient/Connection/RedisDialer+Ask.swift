import NIOCore

extension RedisDialer {
    /// Asks one thing on a short connection of its own.
    static func ask(
        _ endpoint: RedisConfiguration.Endpoint,
        _ question: RESPCommand,
        configuration: RedisConfiguration,
        eventLoop: any EventLoop
    ) -> EventLoopFuture<RESPValue> {
        let promise = eventLoop.makePromise(of: RESPValue.self)
        var configuration = configuration
        configuration.endpoint = endpoint
        let dialer = RedisDialer(configuration: configuration, eventLoop: eventLoop, onPush: nil)
        dialer.connect({ $0.makeSucceededFuture(endpoint) }) { _ in
        } completion: { result in
            switch result {
            case .failure(let error): promise.fail(error)
            case .success(let handler):
                let bound = NIOLoopBound(handler, eventLoop: eventLoop)
                handler.send([
                    RedisRequest([question]) { replies in
                        switch replies[0] {
                        case .success(let value): promise.succeed(value)
                        case .failure(let error): promise.fail(error)
                        }
                        bound.value.retire()
                    }
                ])
            }
        }
        return promise.futureResult
    }
}
