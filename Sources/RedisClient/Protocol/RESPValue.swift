package import NIOCore

/// A value of the protocol RESP3. Texts are slices of what was read.
package enum RESPValue: Sendable, Equatable {
    /// A pair of a map.
    package struct Pair: Sendable, Equatable {
        package var key: RESPValue
        package var value: RESPValue

        package init(key: RESPValue, value: RESPValue) {
            self.key = key
            self.value = value
        }
    }

    case null
    case boolean(Bool)
    case integer(Int64)
    case double(Double)
    case bigNumber(ByteBuffer)
    case simpleString(ByteBuffer)
    case bulkString(ByteBuffer)
    /// The text without its format.
    case verbatimString(ByteBuffer)
    case error(ByteBuffer)
    case array([RESPValue])
    case set([RESPValue])
    case map([Pair])
    case push([RESPValue])
}

extension RESPValue {
    /// The bytes of any kind of string.
    package var buffer: ByteBuffer? {
        switch self {
        case .simpleString(let buffer), .bulkString(let buffer), .verbatimString(let buffer), .bigNumber(let buffer):
            buffer
        default: nil
        }
    }

    /// Any kind of string as text; bytes that are not UTF-8 are replaced.
    package var string: String? { buffer.map { String(buffer: $0) } }

    /// An integer, also one that is written as a string.
    package var int: Int64? {
        if case .integer(let number) = self { return number }
        return buffer?.withUnsafeReadableBytes { Int64(decimal: $0) }
    }

    /// The elements of an array, a set or a push.
    package var array: [RESPValue]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The value that a map has for a key, also one that is written as an array (RESP2).
    package subscript(key: String) -> RESPValue? {
        switch self {
        case .map(let pairs): pairs.first { $0.key.string == key }?.value
        case .array(let elements):
            stride(from: 0, to: elements.count - 1, by: 2)
                .first { elements[$0].string == key }
                .map { elements[$0 + 1] }
        default: nil
        }
    }
}
