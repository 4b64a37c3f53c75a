import DequeModule
import NIOCore
import NIOPosix
import Synchronization

/// Stands between one process of a run and a Redis, and does to their connections what networks do.
final class Proxy: Sendable {
    enum Mode: Sendable {
        case open
        /// Each piece arrives so much later.
        case delaying(milliseconds: Int)
        /// Nothing arrives, in either direction, until the network is well again.
        case holding
        /// The server hears everything, and its replies are lost.
        case swallowing
        /// No connection comes about.
        case refusing
    }

    private struct State {
        var mode = Mode.open
        var clients: [ObjectIdentifier: any Channel] = [:]
    }

    private struct Refused: Error {}

    private let state = Mutex(State())
    private let target: Int
    private let listener = Mutex<(any Channel)?>(nil)

    /// - Parameter target: the port of the server.
    init(target: Int) { self.target = target }

    /// - Returns: the port to connect to.
    func start() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [self] client in connect(client) }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        listener.withLock { $0 = channel }
        guard let port = channel.localAddress?.port else { throw ChaosFailure("a proxy has no port") }
        return port
    }

    func close() async {
        try? await listener.withLock { $0.take() }?.close()
        cut()
    }

    var hasConnections: Bool { state.withLock { !$0.clients.isEmpty } }

    var mode: Mode { state.withLock { $0.mode } }

    func become(_ mode: Mode) { state.withLock { $0.mode = mode } }

    /// Closes all connections.
    func cut() {
        for client in state.withLock({ Array($0.clients.values) }) { client.close(promise: nil) }
    }

    private func connect(_ client: any Channel) -> EventLoopFuture<Void> {
        if case .refusing = mode { return client.eventLoop.makeFailedFuture(Refused()) }
        return ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: target)
            .flatMapThrowing { [self] server in
                try client.pipeline.syncOperations.addHandler(Pipe(self, to: server, isFromServer: false))
                try server.pipeline.syncOperations.addHandler(Pipe(self, to: client, isFromServer: true))
                let id = ObjectIdentifier(client)
                state.withLock { $0.clients[id] = client }
                client.closeFuture.whenComplete { _ in _ = self.state.withLock { $0.clients.removeValue(forKey: id) } }
            }
    }
}

/// One direction of a connection.
private final class Pipe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let proxy: Proxy
    private let target: any Channel
    private let isFromServer: Bool
    /// What has not arrived yet, and when it will.
    private var waiting: Deque<(piece: ByteBuffer, due: NIODeadline)> = []
    private var isPumping = false
    private var hasEnded = false

    init(_ proxy: Proxy, to target: any Channel, isFromServer: Bool) {
        self.proxy = proxy
        self.target = target
        self.isFromServer = isFromServer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let piece = unwrapInboundIn(data)
        switch proxy.mode {
        case .swallowing where isFromServer: return
        case .open, .refusing, .swallowing: waiting.append((piece, .now()))
        case .delaying(let delay): waiting.append((piece, .now() + .milliseconds(Int64(delay))))
        case .holding: waiting.append((piece, .now()))
        }
        pump(context.eventLoop)
    }

    /// Sends what is due, in order.
    private func pump(_ eventLoop: any EventLoop) {
        guard !isPumping else { return }
        if case .holding = proxy.mode {
        } else {
            while let first = waiting.first, first.due <= .now() {
                waiting.removeFirst()
                target.writeAndFlush(first.piece, promise: nil)
            }
        }
        guard !waiting.isEmpty else {
            if hasEnded { target.close(promise: nil) }
            return
        }
        isPumping = true
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) { [self] in
            isPumping = false
            pump(eventLoop)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        hasEnded = true
        pump(context.eventLoop)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
