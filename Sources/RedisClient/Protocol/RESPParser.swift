package import NIOCore

/// Reads RESP3 from buffers that may end anywhere. A value with no I/O.
///
/// Nothing is parsed twice: what is complete of a nested value is kept on a stack, and the header of a string whose
/// bytes have not all come is remembered. Strings are slices of the buffers, not copies. Lengths that the other side
/// announces are believed only within limits, and memory is never reserved for more than a little ahead of what has come.
package struct RESPParser {
    /// What the other side may send at most.
    package struct Limits: Sendable {
        package var depth = 32
        package var bulkLength = 512 << 20
        package var lineLength = 64 << 10
        package var elementCount = 1 << 24

        package init() {}
    }

    /// Why bytes are not RESP3.
    package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        package let description: String
    }

    private enum Kind {
        case array, set, map, push, attribute
    }

    private struct Frame {
        let kind: Kind
        var missing: Int
        var elements: [RESPValue]
    }

    private enum StringKind {
        case bulk, verbatim, error
    }

    private let limits: Limits
    private var buffer = ByteBuffer()
    private var frames: [Frame] = []
    /// A string whose header has been read.
    private var pendingString: (kind: StringKind, length: Int)?
    /// How many bytes from the reader index on are known to hold no line end.
    private var scanned = 0
    private var failure: Failure?

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// How many bytes wait to be parsed.
    package var bufferedBytes: Int { buffer.readableBytes }

    /// Adds what has come.
    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            // No copy, and the memory of a long message that has been read is given back.
            buffer = bytes
            return
        }
        let needed = pendingString.map { $0.length + 2 - buffer.readableBytes } ?? 0
        // Doubling bounds the copies; the announced length caps it.
        let room = min(max(needed, bytes.readableBytes), max(buffer.readableBytes, bytes.readableBytes, 1 << 16))
        if buffer.readerIndex > 0 {
            // Values that have been read are slices of this memory. Were it added to, each piece would copy all that
            // came before it, and each value would keep all that.
            var rest = ByteBuffer()
            rest.reserveCapacity(buffer.readableBytes + room)
            rest.writeImmutableBuffer(buffer)
            buffer = rest
        } else if buffer.writableBytes < bytes.readableBytes {
            buffer.reserveCapacity(minimumWritableBytes: room)
        }
        buffer.writeImmutableBuffer(bytes)
    }

    /// The next complete value; `nil` if more bytes are needed.
    ///
    /// - Throws: ``Failure``, and the same again from then on.
    package mutating func next() throws(Failure) -> RESPValue? {
        if let failure { throw failure }
        do throws(Failure) {
            while let value = try element() {
                if let complete = complete(value) { return complete }
            }
            if buffer.readableBytes == 0 { buffer = ByteBuffer() }
            return nil
        } catch {
            failure = error
            throw error
        }
    }

    /// Puts a value into the innermost open frame, and closes the frames that it fills. Returns the outermost value.
    private mutating func complete(_ value: RESPValue) -> RESPValue? {
        var value = value
        while let last = frames.indices.last {
            frames[last].elements.append(value)
            frames[last].missing -= 1
            if frames[last].missing > 0 { return nil }
            guard let closed = close(frames.removeLast()) else { return nil }
            value = closed
        }
        return value
    }

    /// The value of a frame; `nil` for attributes, which are dropped.
    private func close(_ frame: Frame) -> RESPValue? {
        switch frame.kind {
        case .array: .array(frame.elements)
        case .set: .set(frame.elements)
        case .push: .push(frame.elements)
        case .attribute: nil
        case .map:
            .map(
                stride(from: 0, to: frame.elements.count, by: 2)
                    .map { RESPValue.Pair(key: frame.elements[$0], value: frame.elements[$0 + 1]) }
            )
        }
    }

    /// A scalar or an empty aggregate; opens frames on the way. `nil`: more bytes are needed.
    private mutating func element() throws(Failure) -> RESPValue? {
        while true {
            if let (kind, length) = pendingString { return try string(kind, length) }
            guard let line = try line() else { return nil }
            var rest = line
            guard let type = rest.readInteger(as: UInt8.self) else {
                throw Failure(description: "a line is empty where a value should begin")
            }
            switch type {
            case UInt8(ascii: "$"): if let null = try open(.bulk, rest) { return null }
            case UInt8(ascii: "="): if let null = try open(.verbatim, rest) { return null }
            case UInt8(ascii: "!"): if let null = try open(.error, rest) { return null }
            case UInt8(ascii: "*"): if let value = try open(.array, rest) { return value }
            case UInt8(ascii: "~"): if let value = try open(.set, rest) { return value }
            case UInt8(ascii: "%"): if let value = try open(.map, rest) { return value }
            case UInt8(ascii: ">"): if let value = try open(.push, rest) { return value }
            case UInt8(ascii: "|"): _ = try open(.attribute, rest)
            default: return try scalar(type, rest)
            }
        }
    }

    private func scalar(_ type: UInt8, _ text: ByteBuffer) throws(Failure) -> RESPValue {
        switch type {
        case UInt8(ascii: "+"): return .simpleString(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"): return .integer(try integer(text))
        case UInt8(ascii: "("): return .bigNumber(text)
        case UInt8(ascii: "_"):
            guard text.readableBytes == 0 else { throw Failure(description: "a null has content") }
            return .null
        case UInt8(ascii: "#"):
            switch String(buffer: text) {
            case "t": return .boolean(true)
            case "f": return .boolean(false)
            default: throw Failure(description: "a boolean is neither t nor f")
            }
        case UInt8(ascii: ","):
            switch String(buffer: text).lowercased() {
            case "inf", "+inf": return .double(.infinity)
            case "-inf": return .double(-.infinity)
            case "nan", "-nan": return .double(.nan)
            case let digits:
                guard let number = Double(digits) else { throw Failure(description: "a double is not a number") }
                return .double(number)
            }
        default:
            throw Failure(description: "a value begins with byte \(type), which is no type of RESP3")
        }
    }

    // MARK: Strings

    private mutating func open(_ kind: StringKind, _ text: ByteBuffer) throws(Failure) -> RESPValue? {
        let length = try integer(text)
        if length == -1, kind == .bulk { return .null }
        guard length >= 0 else { throw Failure(description: "a string has a negative length") }
        guard length <= limits.bulkLength else {
            throw Failure(description: "a string of \(length) bytes is longer than the limit of \(limits.bulkLength)")
        }
        pendingString = (kind, Int(length))
        return nil
    }

    private mutating func string(_ kind: StringKind, _ length: Int) throws(Failure) -> RESPValue? {
        guard buffer.readableBytes >= length + 2 else { return nil }
        guard var bytes = buffer.readSlice(length: length), let end = buffer.readInteger(as: UInt16.self),
            end == 0x0D0A
        else { throw Failure(description: "a string does not end where its length says") }
        pendingString = nil
        switch kind {
        case .bulk: return .bulkString(bytes)
        case .error: return .error(bytes)
        case .verbatim:
            // Three letters for the format, and a colon.
            guard bytes.readSlice(length: 3) != nil, bytes.readInteger(as: UInt8.self) == UInt8(ascii: ":") else {
                throw Failure(description: "a verbatim string has no format")
            }
            return .verbatimString(bytes)
        }
    }

    // MARK: Aggregates

    /// Opens a frame; returns the value if it is null or empty, and so complete.
    private mutating func open(_ kind: Kind, _ text: ByteBuffer) throws(Failure) -> RESPValue? {
        let count = try integer(text)
        if count == -1, kind == .array { return .null }
        guard count >= 0 else { throw Failure(description: "an aggregate has a negative length") }
        guard count <= limits.elementCount else {
            throw Failure(
                description: "an aggregate of \(count) elements is longer than the limit of \(limits.elementCount)"
            )
        }
        guard frames.count < limits.depth else {
            throw Failure(description: "values are nested deeper than the limit of \(limits.depth)")
        }
        let missing = kind == .map || kind == .attribute ? Int(count) * 2 : Int(count)
        var frame = Frame(kind: kind, missing: missing, elements: [])
        if missing == 0 { return close(frame) }
        frame.elements.reserveCapacity(min(missing, 1024))
        frames.append(frame)
        return nil
    }

    // MARK: Lines

    /// The next line without its end; `nil` if it has not all come.
    private mutating func line() throws(Failure) -> ByteBuffer? {
        let from = scanned
        let found = buffer.readableBytesView.dropFirst(from).firstIndex(of: UInt8(ascii: "\n"))
        guard let found else {
            scanned = buffer.readableBytes
            guard scanned <= limits.lineLength else { throw tooLong }
            return nil
        }
        scanned = 0
        let length = found - buffer.readerIndex
        guard length <= limits.lineLength else { throw tooLong }
        guard var line = buffer.readSlice(length: length + 1), length > 0,
            line.getInteger(at: line.readerIndex + length - 1, as: UInt8.self) == UInt8(ascii: "\r")
        else { throw Failure(description: "a line does not end with CR LF") }
        line.moveWriterIndex(to: line.readerIndex + length - 1)
        return line
    }

    private var tooLong: Failure {
        Failure(description: "a line is longer than the limit of \(limits.lineLength) bytes")
    }

    private func integer(_ text: ByteBuffer) throws(Failure) -> Int64 {
        var magnitude: Int64 = 0
        var isNegative = false
        var digits = 0
        for (index, byte) in text.readableBytesView.enumerated() {
            if index == 0, byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") {
                isNegative = byte == UInt8(ascii: "-")
                continue
            }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else {
                throw Failure(description: "an integer holds something else than digits")
            }
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - UInt8(ascii: "0"))
            // Built up as a negative number, which reaches one further.
            let (sum, overflowed) = product.subtractingReportingOverflow(digit)
            guard !overflow, !overflowed else { throw Failure(description: "an integer does not fit 64 bits") }
            magnitude = sum
            digits += 1
        }
        guard digits > 0, isNegative || magnitude != .min else {
            throw Failure(description: "an integer has no digits or does not fit 64 bits")
        }
        return isNegative ? magnitude : -magnitude
    }
}
