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
    /// More than the longest header, which is `$`, 19 digits and the end of the line.
    private static let headerRoom = 24

    private let name: String
    private var buffer = ByteBuffer()

    /// - Parameter argumentCount: exactly so many arguments must be appended.
    package init(name: String, argumentCount: Int, reservingCapacity capacity: Int = 128) {
        self.name = name
        buffer.reserveCapacity(capacity)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.headerRoom) { space in
            Self.write(UInt8(ascii: "*"), argumentCount + 1, space)
        }
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
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { text in
            let count = Self.writeDecimal(number, text)
            append(UnsafeRawBufferPointer(rebasing: text[..<count]))
        }
    }

    package func finish() -> RESPCommand { RESPCommand(name: name, encoded: buffer) }

    /// Header, bytes and end of line at once: what the buffer does for each write costs more than the bytes of most arguments.
    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.headerRoom + bytes.count + 2) { space in
            let start = Self.write(UInt8(ascii: "$"), bytes.count, space)
            if let base = bytes.baseAddress {
                space.baseAddress?.advanced(by: start).copyMemory(from: base, byteCount: bytes.count)
            }
            return start + bytes.count + Self.writeLineEnd(space, at: start + bytes.count)
        }
    }

    private static func write(_ type: UInt8, _ number: Int, _ space: UnsafeMutableRawBufferPointer) -> Int {
        space[0] = type
        let end = 1 + writeDecimal(Int64(number), UnsafeMutableRawBufferPointer(rebasing: space[1...]))
        return end + writeLineEnd(space, at: end)
    }

    private static func writeLineEnd(_ space: UnsafeMutableRawBufferPointer, at place: Int) -> Int {
        space[place] = UInt8(ascii: "\r")
        space[place + 1] = UInt8(ascii: "\n")
        return 2
    }

    /// - Returns: how many bytes that took, at most 20.
    private static func writeDecimal(_ number: Int64, _ space: UnsafeMutableRawBufferPointer) -> Int {
        var count = number < 0 ? 2 : 1
        var rest = number.magnitude / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        rest = number.magnitude
        var place = count
        repeat {
            place -= 1
            space[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 { space[0] = UInt8(ascii: "-") }
        return count
    }
}
