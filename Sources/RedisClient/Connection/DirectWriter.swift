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
    /// What a caller has written.
    struct Written {
        let request: RedisRequest
        /// What the network has not taken yet.
        let rest: ByteBuffer
        let time: NIODeadline
    }

    private struct State {
        /// A descriptor of our own of the connection's socket: when the loop closes its own, that number may become another
        /// file's at any moment.
        var socket: CInt?
        /// Tells the event loop that there is a rest to be written.
        var writeRest: (@Sendable () -> Void)?
        var written: Written?
    }

    /// Larger requests are written by the event loop, which sees their progress.
    private static let maxSize = 64 << 10

    private let state = Mutex(State())
    /// Changes only under the lock. Read without it, so that nobody waits for what another writes only to learn that.
    private let offered = Atomic(false)

    deinit { detach() }

    // MARK: Called by callers

    /// A glance: it may be otherwise at once.
    var isOffered: Bool { offered.load(ordering: .relaxed) }

    /// Writes the request if the connection is on offer, and returns whether it did. The socket never blocks; an error is left to
    /// the event loop, which comes upon it when it writes.
    func write(_ request: RedisRequest) -> Bool {
        guard request.size <= Self.maxSize else { return false }
        let encoded = request.encoded
        return state.withLock { state in
            guard isOffered, let socket = state.socket else { return false }
            var rest = encoded
            let time = NIODeadline.now()
            let count = rest.withUnsafeReadableBytes { send(socket, $0.baseAddress, $0.count, Self.flags) }
            guard count > 0 else { return false }
            rest.moveReaderIndex(forwardBy: count)
            offered.store(false, ordering: .relaxed)
            state.written = Written(request: request, rest: rest, time: time)
            if rest.readableBytes > 0 { state.writeRest?() }
            return true
        }
    }

    #if canImport(Darwin)
    /// NIO has asked the socket itself to send no SIGPIPE.
    private static let flags = CInt(MSG_DONTWAIT)
    #else
    private static let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)
    #endif

    // MARK: Called by the event loop

    /// Serves this connection from now on, and no other.
    ///
    /// - Parameter writeRest: called by callers when the network has taken only a part of what they wrote.
    /// - Returns: whether it can.
    func attach(_ channel: any Channel, writeRest: @escaping @Sendable () -> Void) -> Bool {
        detach()
        let socket = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            fcntl($0, F_DUPFD_CLOEXEC, 0)
        }
        guard let socket, socket >= 0 else { return false }
        state.withLock { ($0.socket, $0.writeRest) = (socket, writeRest) }
        return true
    }

    /// The connection carries nothing: a caller may write.
    func offer() {
        state.withLock { _ in offered.store(true, ordering: .relaxed) }
    }

    /// Withdraws the offer.
    ///
    /// - Returns: what a caller has written since it was made.
    func withdraw() -> Written? {
        state.withLock { state in
            offered.store(false, ordering: .relaxed)
            return state.written.take()
        }
    }

    /// Serves the connection no more. After ``withdraw()``.
    func detach() {
        let socket = state.withLock { state in
            state.writeRest = nil
            return state.socket.take()
        }
        if let socket { close(socket) }
    }
}
