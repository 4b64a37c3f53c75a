import AsynqMetrics
import NIOCore
import NIOHTTP1
import NIOPosix

/// A small HTTP server for Prometheus.
struct MetricsExporter: Sendable {
    private typealias Client = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    /// A client that sends nothing for so long is gone.
    private static let idleTime = TimeAmount.seconds(90)

    private let metrics: QueueMetrics

    init(_ metrics: QueueMetrics) {
        self.metrics = metrics
    }

    /// Serves until the caller is cancelled.
    ///
    /// - Parameter onListening: told the address, whose port the system may have chosen.
    /// - Throws: ``Failure`` if nobody can listen there.
    func run(host: String, port: Int, onListening: @Sendable (String) -> Void) async throws {
        let server: NIOAsyncChannel<Client, Never>
        do {
            server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(IdleStateHandler(readTimeout: Self.idleTime))
                        try pipeline.addHandler(IdleCloser())
                        try pipeline.configureHTTPServerPipeline()
                        return try Client(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw Failure(
                "cannot listen on \(Printable.line(host)):\(port): \(reason); choose another --port or --host"
            )
        }
        let address = server.channel.localAddress
        onListening("\(address?.ipAddress ?? host):\(address?.port ?? port)")
        try await withThrowingDiscardingTaskGroup { group in
            try await server.executeThenClose { clients in
                for try await client in clients {
                    group.addTask { await serve(client) }
                }
            }
        }
    }

    private func serve(_ client: Client) async {
        do {
            try await client.executeThenClose { requests, responses in
                var head: HTTPRequestHead?
                for try await part in requests {
                    switch part {
                    case .head(let next): head = next
                    case .body: break
                    case .end:
                        guard let request = head else { return }
                        let (status, type, text) = await answer(request)
                        var headers = HTTPHeaders([("content-type", type), ("content-length", "\(text.utf8.count)")])
                        if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
                        try await responses.write(
                            .head(.init(version: request.version, status: status, headers: headers))
                        )
                        if request.method != .HEAD {
                            try await responses.write(.body(.byteBuffer(ByteBuffer(string: text))))
                        }
                        try await responses.write(.end(nil))
                        if !request.isKeepAlive { return }
                    }
                }
            }
        } catch {
            // A client that went away, or that speaks no HTTP: nobody to tell.
        }
    }

    private func answer(_ request: HTTPRequestHead) async -> (HTTPResponseStatus, type: String, text: String) {
        let plain = "text/plain; charset=utf-8"
        guard request.method == .GET || request.method == .HEAD else {
            return (.methodNotAllowed, plain, "only GET\n")
        }
        switch request.uri.prefix(while: { $0 != "?" }) {
        case "/metrics":
            do {
                return (.ok, QueueMetrics.contentType, try await metrics.text())
            } catch {
                // A target that is down, and no queues that are empty.
                return (.serviceUnavailable, plain, "the broker cannot be asked\n")
            }
        case "/": return (.ok, plain, "metrics are at /metrics\n")
        default: return (.notFound, plain, "metrics are at /metrics\n")
        }
    }
}

/// Closes the connection of a client that is silent.
private final class IdleCloser: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
