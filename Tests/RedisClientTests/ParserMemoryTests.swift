import NIOCore
import RedisClient
import Testing

/// What values that have been read keep in memory: they are slices of the buffers that came from the network.
struct ParserMemoryTests {
    private static let pieceSize = 64 << 10

    /// As the network gives it: cut anywhere.
    private func pieces(of bytes: [UInt8]) -> [ByteBuffer] {
        stride(from: 0, to: bytes.count, by: Self.pieceSize).map {
            ByteBuffer(bytes: bytes[$0..<min($0 + Self.pieceSize, bytes.count)])
        }
    }

    /// 98 bytes, so that pieces end inside of one.
    private let element = Array("$91\r\n".utf8) + [UInt8](repeating: 7, count: 91) + [13, 10]

    @Test func `values of a long array keep no more than the pieces in which they came`() throws {
        let count = 40_000
        var parser = RESPParser()
        var reply: RESPValue?
        let bytes = Array("*\(count)\r\n".utf8) + Array([[UInt8]](repeating: element, count: count).joined())
        for piece in pieces(of: bytes) {
            #expect(reply == nil)
            parser.append(piece)
            reply = try parser.next()
        }
        let elements = try #require(reply?.array)
        #expect(elements.count == count)
        #expect(elements.allSatisfy { $0.buffer?.readableBytes == 91 })
        #expect(elements.map { $0.buffer?.storageCapacity ?? .max }.max() ?? .max <= 4 * Self.pieceSize)
    }

    @Test func `replies in a long row keep no more than the pieces in which they came`() throws {
        let count = 40_000
        var parser = RESPParser()
        var replies: [RESPValue] = []
        for piece in pieces(of: Array([[UInt8]](repeating: element, count: count).joined())) {
            parser.append(piece)
            while let reply = try parser.next() { replies.append(reply) }
        }
        #expect(replies.count == count)
        #expect(replies.map { $0.buffer?.storageCapacity ?? .max }.max() ?? .max <= 4 * Self.pieceSize)
    }

    @Test func `a long string behind short ones keeps at most twice its size`() throws {
        let size = 10 << 20
        let short = Array([[UInt8]](repeating: element, count: 3000).joined())
        let long = Array("$\(size)\r\n".utf8) + [UInt8](repeating: 8, count: size) + [13, 10]
        var parser = RESPParser()
        var replies: [RESPValue] = []
        for piece in pieces(of: short + long + short) {
            parser.append(piece)
            while let reply = try parser.next() { replies.append(reply) }
        }
        #expect(replies.count == 6001)
        #expect(replies[3000].buffer == ByteBuffer(repeating: 8, count: size))
        #expect(replies[3000].buffer?.storageCapacity ?? .max <= 2 * size)
        // But for those that came in its last piece.
        #expect(replies.suffix(2000).allSatisfy { $0.buffer?.storageCapacity ?? .max <= 4 * Self.pieceSize })
    }
}
