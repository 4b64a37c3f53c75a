import Foundation

/// A blocking connection of the simplest kind, for looks at a server beside the client that is tested. Each command takes
/// a fraction of a millisecond, so that it holds up no thread that others need.
package struct PlainConnection: ~Copyable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0

    package init(port: Int) throws {
        descriptor = try Loopback.connect(port)
        // A server that answers nothing for so long is stopped.
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// The reply as text: one line a value, errors too, nothing for null.
    package mutating func run(_ words: [String]) throws -> String {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        guard Loopback.send(bytes[...], to: descriptor) else {
            throw Failure(description: "cannot send \(words[0])")
        }
        return try value().joined(separator: "\n")
    }

    private mutating func value() throws -> [String] {
        let line = try line()
        switch line.first {
        case "$":
            guard let length = Int(line.dropFirst()), length >= 0 else { return [""] }
            while buffer.count - position < length + 2 { try read() }
            defer { position += length + 2 }
            return [String(decoding: buffer[position..<position + length], as: UTF8.self)]
        case "*":
            var values: [String] = []
            for _ in 0..<max(0, Int(line.dropFirst()) ?? 0) { values += try value() }
            return values
        default: return [String(line.dropFirst())]
        }
    }

    private mutating func line() throws -> String {
        while true {
            if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return String(decoding: buffer[position..<end - 1], as: UTF8.self)
            }
            try read()
        }
    }

    private mutating func read() throws {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &piece, piece.count, 0)
        guard count > 0 else { throw Failure(description: "the connection was closed") }
        buffer += piece[..<count]
    }
}
