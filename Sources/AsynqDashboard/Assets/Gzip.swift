/// Compresses the files of the front end, once each, and large answers: RFC 1951 with the fixed codes, in the wrapping of
/// RFC 1952.
///
/// Text becomes a third of its size. A library that does better would be one more dependency for a few kilobytes.
enum Gzip {
    /// The beginning of what is compressed, and of no JSON.
    static let magic: [UInt8] = [0x1f, 0x8b]

    /// - Parameter tries: how many earlier places of the same beginning are tried; fewer are quicker and find less.
    static func compress(_ bytes: [UInt8], tries: Int = 48) -> [UInt8] {
        var output = BitWriter(bytes: magic + [8, 0, 0, 0, 0, 0, 2, 255])
        // The last block, with the fixed codes.
        output.write(0b011, bits: 3)
        deflate(bytes, tries: tries, into: &output)
        output.writeLiteral(256)
        output.flush()
        output.bytes.append(contentsOf: littleEndian(crc32(bytes)))
        output.bytes.append(contentsOf: littleEndian(UInt32(truncatingIfNeeded: bytes.count)))
        return output.bytes
    }

    private static let window = 32_768
    private static let shortest = 3
    private static let longest = 258

    private static func deflate(_ bytes: [UInt8], tries: Int, into output: inout BitWriter) {
        // The newest place of each beginning of three bytes, and the one before each place.
        var newest = [Int32](repeating: -1, count: 1 << 15)
        var before = [Int32](repeating: -1, count: bytes.count)

        func remember(_ place: Int) {
            guard place + shortest <= bytes.count else { return }
            let hash = hash(bytes, place)
            before[place] = newest[hash]
            newest[hash] = Int32(place)
        }

        func longestMatch(_ place: Int) -> (length: Int, distance: Int) {
            guard place + shortest <= bytes.count else { return (0, 0) }
            let most = min(longest, bytes.count - place)
            var best = (length: 0, distance: 0)
            var candidate = Int(newest[hash(bytes, place)])
            var left = tries
            while candidate >= 0, place - candidate <= window, left > 0 {
                var length = 0
                while length < most, bytes[candidate + length] == bytes[place + length] { length += 1 }
                if length > best.length { best = (length, place - candidate) }
                if length == most { break }
                candidate = Int(before[candidate])
                left -= 1
            }
            return best
        }

        var place = 0
        while place < bytes.count {
            let match = longestMatch(place)
            remember(place)
            // A longer match that begins one byte later is worth a literal.
            if match.length < shortest || (match.length < longest && longestMatch(place + 1).length > match.length) {
                output.writeLiteral(Int(bytes[place]))
                place += 1
                continue
            }
            output.write(length: match.length, distance: match.distance)
            for covered in place + 1..<place + match.length { remember(covered) }
            place += match.length
        }
    }

    private static func hash(_ bytes: [UInt8], _ place: Int) -> Int {
        let word = UInt32(bytes[place]) << 16 | UInt32(bytes[place + 1]) << 8 | UInt32(bytes[place + 2])
        return Int((word &* 2_654_435_761) >> 17)
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    private static func crc32(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in crcTable[Int((sum ^ UInt32(byte)) & 0xff)] ^ (sum >> 8) }
    }

    private static let crcTable: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? 0xedb8_8320 ^ (sum >> 1) : sum >> 1 }
    }
}

/// Bits from the lowest to the highest of each byte, and the fixed codes in them.
private struct BitWriter {
    var bytes: [UInt8]
    private var pending: UInt32 = 0
    private var count = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func write(_ value: Int, bits: Int) {
        pending |= UInt32(value) << UInt32(count)
        count += bits
        while count >= 8 {
            bytes.append(UInt8(truncatingIfNeeded: pending))
            pending >>= 8
            count -= 8
        }
    }

    mutating func flush() {
        if count > 0 { write(0, bits: 8 - count) }
    }

    /// A code, whose highest bit goes first.
    private mutating func writeCode(_ code: Int, bits: Int) {
        var turned = 0
        for bit in 0..<bits where code >> bit & 1 == 1 { turned |= 1 << (bits - 1 - bit) }
        write(turned, bits: bits)
    }

    /// A byte, the end (256), or the symbol of a length.
    mutating func writeLiteral(_ symbol: Int) {
        switch symbol {
        case 0..<144: writeCode(0x30 + symbol, bits: 8)
        case 144..<256: writeCode(0x190 + symbol - 144, bits: 9)
        case 256..<280: writeCode(symbol - 256, bits: 7)
        default: writeCode(0xc0 + symbol - 280, bits: 8)
        }
    }

    mutating func write(length: Int, distance: Int) {
        if length == 258 {
            writeLiteral(285)
        } else {
            let (symbol, extra, bits) = Self.split(length - 3, perSize: 4)
            writeLiteral(257 + symbol)
            write(extra, bits: bits)
        }
        let (symbol, extra, bits) = Self.split(distance - 1, perSize: 2)
        writeCode(symbol, bits: 5)
        write(extra, bits: bits)
    }

    /// The symbol of a number and its extra bits, where each number of extra bits has so many symbols: the first two
    /// groups have none.
    private static func split(_ value: Int, perSize: Int) -> (symbol: Int, extra: Int, bits: Int) {
        guard value >= 2 * perSize else { return (value, 0, 0) }
        let width = Int.bitWidth - value.leadingZeroBitCount
        let bits = width - 1 - perSize.trailingZeroBitCount
        return (bits * perSize + value >> bits, value & (1 << bits - 1), bits)
    }
}
