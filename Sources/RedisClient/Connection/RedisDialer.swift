import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Makes one connection: the socket, TLS, and the log-in, all within the dial time-out.
struct RedisDialer {
    let configuration: RedisConfiguration
    let eventLoop: any EventLoop
    let onPush: (@Sendable (RedisPush) -> Void)?
    /// How host names become addresses. Default: the system's way.
    var resolver: (any Resolver & Sendable)?

    /// - Returns: the attempt, which can be given up.
    /// - Parameters:
    ///   - onClosed: called once when a connection that was completed has ended.
    ///   - completion: called once, on the event loop.
    @discardableResult
    func connect(
        _ endpoint: RedisLane.EndpointProvider,
        onClosed: @escaping (RedisChannelHandler) -> Void,
        completion: @escaping (Result<RedisChannelHandler, RedisError>) -> Void
    ) -> DialAttempt {
        let attempt = DialAttempt(configuration: configuration, eventLoop: eventLoop, completion: completion)
        let (configuration, onPush, eventLoop, resolver) = (configuration, onPush, eventLoop, resolver)
        endpoint(eventLoop).hop(to: eventLoop).assumeIsolated().whenComplete { result in
            do {
                let endpoint = try result.get()
                guard attempt.begin(endpoint) else { return }
                let tls = try configuration.tls.map { (try $0.clientContext(), $0.hostname(of: endpoint)) }
                let onClosed = NIOLoopBound(onClosed, eventLoop: eventLoop)
                let bootstrap = ClientBootstrap(group: eventLoop)
                    .resolver(resolver)
                    .channelOption(.tcpOption(.tcp_nodelay), value: endpoint.isHost ? 1 : 0)
                    .connectTimeout(TimeAmount(configuration.dialTimeout))
                    // Once for each address of the host that is tried: they must not share handlers.
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let pipeline = channel.pipeline.syncOperations
                            if let (context, hostname) = tls {
                                try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: hostname))
                            }
                            try pipeline.addHandler(
                                RedisChannelHandler(
                                    readTimeout: configuration.readTimeout,
                                    writeTimeout: configuration.writeTimeout,
                                    onPush: onPush,
                                    onClosed: onClosed.value
                                )
                            )
                        }
                    }
                let connected =
                    switch endpoint {
                    case .host(let host, let port): bootstrap.connect(host: host, port: port)
                    case .unixSocket(let path): bootstrap.connect(unixDomainSocketPath: path)
                    }
                connected.assumeIsolated().whenComplete { result in
                    do {
                        let pipeline = try result.get().pipeline.syncOperations
                        attempt.connected(try pipeline.handler(type: RedisChannelHandler.self))
                    } catch {
                        attempt.fail(Self.text(error))
                    }
                }
            } catch let error as RedisError {
                attempt.fail(error)
            } catch {
                attempt.fail(Self.text(error))
            }
        }
        return attempt
    }

    /// What an error of the network says, in a few words.
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as RedisError: error.message
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first {
                text(first.error)
            } else if error.dnsAError != nil || error.dnsAAAAError != nil {
                "the host name cannot be resolved"
            } else {
                "no address of the host could be reached"
            }
        case let error as IOError: text(errno: error.errnoCode)
        case ChannelError.connectTimeout: "no answer in time"
        case let error as NIOSSLError: "\(error)"
        case let error as NIOSSLExtraError: "\(error)"
        default: String(describing: error)
        }
    }

    private static func text(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET: "connection reset"
        case EHOSTUNREACH, ENETUNREACH: "host unreachable"
        case ENOENT: "there is no such socket"
        case EACCES: "permission denied"
        case ETIMEDOUT: "no answer in time"
        default: IOError(errnoCode: code, reason: "error").description
        }
    }
}

extension RedisConfiguration.Endpoint {
    var isHost: Bool {
        if case .host = self { return true }
        return false
    }
}
