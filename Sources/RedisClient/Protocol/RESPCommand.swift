package import NIOCore

/// A command in the form in which it is sent.
package struct RESPCommand: Sendable {
    /// For errors; arguments never appear there.
    package let name: String
    package let encoded: ByteBuffer
    /// How many push messages answer it in place of a reply: one a channel for (un)subscribing, which has no reply of its
    /// own in RESP3. 0 for all other commands.
    let confirmations: Int

    package init(name: String, encoded: ByteBuffer) {
        self.init(name: name, encoded: encoded, confirmations: 0)
    }

    private init(name: String, encoded: ByteBuffer, confirmations: Int) {
        self.name = name
        self.encoded = encoded
        self.confirmations = confirmations
    }

    package init(_ name: String, _ arguments: String...) {
        self.init(name, arguments: arguments)
    }

    package init(_ name: String, arguments: [String]) {
        var builder = RESPCommandBuilder(name: name, argumentCount: arguments.count)
        for argument in arguments { builder.append(argument) }
        let isSubscription = RedisPush.confirmations.contains(name.lowercased())
        self.init(
            name: name,
            encoded: builder.finish().encoded,
            confirmations: isSubscription ? max(1, arguments.count) : 0
        )
    }
}

/// Writes a command in one pass.
package struct RESPCommandBuilder: Sendable {
    private let name: String
    private var buffer = ByteBuffer()

    /// - Parameter argumentCount: exactly so many arguments must be appended.
    package init(name: String, argumentCount: Int, reservingCapacity capacity: Int = 128) {
        self.name = name
        buffer.reserveCapacity(capacity)
        writeHeader(UInt8(ascii: "*"), argumentCount + 1)
        append(name)
    }

    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    package mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    package mutating func append(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { append($0) }
    }

    package mutating func append(_ number: some BinaryInteger) {
        let number = Int64(number)
        var digits = number < 0 ? 2 : 1
        var rest = number.magnitude / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        writeHeader(UInt8(ascii: "$"), digits)
        writeDecimal(number)
        writeLineEnd()
    }

    package func finish() -> RESPCommand { RESPCommand(name: name, encoded: buffer) }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        writeHeader(UInt8(ascii: "$"), bytes.count)
        buffer.writeBytes(bytes)
        writeLineEnd()
    }

    private mutating func writeHeader(_ type: UInt8, _ number: Int) {
        buffer.writeInteger(type)
        writeDecimal(Int64(number))
        writeLineEnd()
    }

    private mutating func writeLineEnd() { buffer.writeInteger(0x0D0A as UInt16) }

    private mutating func writeDecimal(_ number: Int64) {
        // The longest is 20 bytes.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var position = 20
            var rest = number.magnitude
            repeat {
                position -= 1
                digits[position] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            if number < 0 {
                position -= 1
                digits[position] = UInt8(ascii: "-")
            }
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: digits[position...]))
        }
    }
}
