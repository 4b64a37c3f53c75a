import Foundation
import Synchronization

/// A line to a server on this machine that is at fault as a test says: it loses what the server answers, lets nothing through
/// for a while, or breaks in the middle of what is sent.
package final class FaultyProxy: Sendable {
    package enum Fault: Sendable {
        case none
        /// What the server answers is lost; what is sent to it arrives.
        case losesReplies
        /// Nothing gets through until it heals. Then all of it does, late.
        case holdsEverything
    }

    private struct State {
        var fault = Fault.none
        /// The sockets of both sides, by connection.
        var connections: [Int: (client: Int32, server: Int32)] = [:]
        var nextConnection = 0
        /// So many more bytes go to the server before all connections break.
        var bytesLeft: Int?
        var lostBytes = 0
        /// Threads that have let something through, and have not written all of it.
        var passing = 0
        var isClosed = false
    }

    package let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())

    private init(to target: Int) throws {
        self.target = target
        (listener, port) = try Loopback.listen()
    }

    /// Runs `body` with a line to a port, which breaks afterwards.
    package static func withProxy<Value>(
        to server: RedisServer,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (FaultyProxy) async throws -> Value
    ) async throws -> Value {
        let proxy = try FaultyProxy(to: server.port)
        Thread.detachNewThread { proxy.acceptAll() }
        defer { proxy.close() }
        return try await body(proxy)
    }

    package var uri: String { "redis://127.0.0.1:\(port)" }

    /// How many bytes of answers were lost.
    package var lostBytes: Int { state.withLock { $0.lostBytes } }

    /// From now on. What was let through before has gone on when this returns.
    package func set(_ fault: Fault) {
        state.withLock { $0.fault = fault }
        while state.withLock({ $0.passing > 0 }) { usleep(1000) }
    }

    /// Breaks all connections. New ones can be made.
    package func cut() {
        state.withLock { state in
            for (client, server) in state.connections.values {
                shutdown(client, Loopback.bothWays)
                shutdown(server, Loopback.bothWays)
            }
        }
    }

    /// Breaks all connections once so many more bytes have gone to the server, wherever in a command that is.
    package func cut(afterBytes count: Int) { state.withLock { $0.bytesLeft = count } }

    private func close() {
        state.withLock { $0.isClosed = true }
        // Closed by the thread that accepts, or its number could be another's by then.
        shutdown(listener, Loopback.bothWays)
        cut()
    }

    // MARK: Threads

    private func acceptAll() {
        defer { Foundation.close(listener) }
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard let server = try? Loopback.connect(target) else {
                Foundation.close(client)
                continue
            }
            let number = state.withLock { state -> Int in
                state.nextConnection += 1
                state.connections[state.nextConnection] = (client, server)
                if state.isClosed {
                    shutdown(client, Loopback.bothWays)
                    shutdown(server, Loopback.bothWays)
                }
                return state.nextConnection
            }
            let open = Mutex(2)
            let end: @Sendable () -> Void = { [self] in
                // Neither side goes on without the other.
                shutdown(client, Loopback.bothWays)
                shutdown(server, Loopback.bothWays)
                let isLast = open.withLock { open in
                    open -= 1
                    return open == 0
                }
                guard isLast else { return }
                _ = state.withLock { $0.connections.removeValue(forKey: number) }
                Foundation.close(client)
                Foundation.close(server)
            }
            Thread.detachNewThread {
                self.pump(from: client, to: server, isAnswer: false)
                end()
            }
            Thread.detachNewThread {
                self.pump(from: server, to: client, isAnswer: true)
                end()
            }
        }
    }

    private func pump(from source: Int32, to target: Int32, isAnswer: Bool) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            let (passed, breaks) = pass(count, isAnswer: isAnswer)
            let isSent = Loopback.send(buffer[..<passed], to: target)
            state.withLock { $0.passing -= 1 }
            guard isSent else { return }
            if breaks { cut() }
        }
    }

    /// How many of these bytes go on, and whether the line breaks behind them. Blocks while nothing gets through.
    private func pass(_ count: Int, isAnswer: Bool) -> (count: Int, breaks: Bool) {
        while true {
            let passed = state.withLock { state -> (Int, Bool)? in
                if state.fault == .holdsEverything, !state.isClosed { return nil }
                state.passing += 1
                if state.isClosed { return (0, true) }
                switch state.fault {
                case .losesReplies where isAnswer:
                    state.lostBytes += count
                    return (0, false)
                case .none, .losesReplies, .holdsEverything: break
                }
                guard !isAnswer, let left = state.bytesLeft else { return (count, false) }
                state.bytesLeft = left > count ? left - count : nil
                return (min(left, count), left <= count)
            }
            if let passed { return passed }
            usleep(1000)
        }
    }
}

/// Sockets on the loopback address.
enum Loopback {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    #if os(Linux)
    static let bothWays = Int32(SHUT_RDWR)
    private static let stream = Int32(SOCK_STREAM.rawValue)
    #else
    static let bothWays = SHUT_RDWR
    private static let stream = SOCK_STREAM
    #endif

    private static func withAddress<Value>(
        _ port: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func connect(_ port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, stream, 0)
        guard withAddress(port, { Foundation.connect(descriptor, $0, $1) }) == 0 else {
            Foundation.close(descriptor)
            throw Failure(description: "nobody listens on port \(port): errno \(errno)")
        }
        return descriptor
    }

    /// On a free port.
    static func listen() throws -> (descriptor: Int32, port: Int) {
        let port = try RedisServer.freePort()
        let descriptor = socket(AF_INET, stream, 0)
        guard withAddress(port, { bind(descriptor, $0, $1) }) == 0, Foundation.listen(descriptor, 16) == 0 else {
            throw Failure(description: "cannot listen on port \(port): errno \(errno)")
        }
        return (descriptor, port)
    }

    /// - Returns: whether all of it was taken.
    static func send(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
