import Foundation

/// A blocking connection of the simplest kind, for looks at a server beside the client that is tested. Each command takes
/// a fraction of a millisecond, so that it holds up no thread that others need.
struct PlainConnection: ~Copyable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0

    init(port: Int) throws {
        #if os(Linux)
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = descriptor
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw Failure(description: "nobody listens on port \(port): errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// The reply as text: one line a value, errors too, nothing for null.
    mutating func run(_ words: [String]) throws -> String {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "cannot send \(words[0])") }
            sent += count
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
