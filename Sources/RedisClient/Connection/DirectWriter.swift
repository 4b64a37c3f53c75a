import NIOCore
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Lets a caller write a request to a connection that carries nothing on the thread on which the caller runs. Waking the
/// event loop only to write takes longer than the write.
///
/// The event loop offers the connection when everything is answered. The caller that takes the offer writes; before the loop
/// does anything else with the connection it withdraws the offer and takes over what was written, so that replies
/// find their requests in order.
final class DirectWriter: Sendable {
    enum Outcome {
        case nothing
        case all
        /// The event loop is to be told, which writes the rest.
        case part
    }

    /// What a caller has written.
    struct Written {
        let request: RedisRequest
        let size: Int
        /// What the network has not taken yet.
        let rest: ByteBuffer
        let time: NIODeadline
    }

    private struct State {
        /// A descriptor of our own of the connection's socket: when the loop closes its own, that number may become another
        /// file's at any moment.
        var socket: CInt?
        var isOffered = false
        var written: Written?
    }

    /// Larger requests are written by the event loop, which sees their progress.
    private static let maxSize = 16 << 10

    private let state = Mutex(State())

    deinit { detach() }

    // MARK: Called by callers

    /// A glance: the answer may be another one at once.
    var isOffered: Bool { state.withLock { $0.isOffered } }

    /// Writes the request if the connection is on offer. The socket never blocks; an error is left to the event loop to find.
    func write(_ request: RedisRequest) -> Outcome {
        guard request.size <= Self.maxSize else { return .nothing }
        return state.withLock { state in
            guard state.isOffered, let socket = state.socket else { return .nothing }
            var rest = request.encoded
            let size = rest.readableBytes
            let time = NIODeadline.now()
            let count = rest.withUnsafeReadableBytes { send(socket, $0.baseAddress, $0.count, Self.flags) }
            guard count > 0 else { return .nothing }
            rest.moveReaderIndex(forwardBy: count)
            state.isOffered = false
            state.written = Written(request: request, size: size, rest: rest, time: time)
            return rest.readableBytes == 0 ? .all : .part
        }
    }

    #if canImport(Darwin)
    /// NIO has asked the socket itself to send no SIGPIPE.
    private static let flags = CInt(MSG_DONTWAIT)
    #else
    private static let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)
    #endif

    // MARK: Called by the event loop

    /// Serves this connection from now on.
    func attach(_ channel: any Channel) {
        let socket = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            fcntl($0, F_DUPFD_CLOEXEC, 0)
        }
        guard let socket, socket >= 0 else { return }
        state.withLock { $0.socket = socket }
    }

    /// The connection carries nothing: a caller may write.
    func offer() {
        state.withLock { $0.isOffered = true }
    }

    /// Withdraws the offer.
    ///
    /// - Returns: what a caller has written since it was made.
    func withdraw() -> Written? {
        state.withLock { state in
            state.isOffered = false
            return state.written.take()
        }
    }

    /// Serves the connection no more. After ``withdraw()``.
    func detach() {
        if let socket = state.withLock({ $0.socket.take() }) { close(socket) }
    }
}
