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
            guard let length = try lineLength() else { return nil }
            guard let type = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self), length > 0 else {
                throw Failure(description: "a line is empty where a value should begin")
            }
            switch type {
            case UInt8(ascii: "$"): if let null = try open(.bulk, try number(length)) { return null }
            case UInt8(ascii: "="): if let null = try open(.verbatim, try number(length)) { return null }
            case UInt8(ascii: "!"): if let null = try open(.error, try number(length)) { return null }
            case UInt8(ascii: "*"): if let value = try open(.array, try number(length)) { return value }
            case UInt8(ascii: "~"): if let value = try open(.set, try number(length)) { return value }
            case UInt8(ascii: "%"): if let value = try open(.map, try number(length)) { return value }
            case UInt8(ascii: ">"): if let value = try open(.push, try number(length)) { return value }
            case UInt8(ascii: "|"): _ = try open(.attribute, try number(length))
            case UInt8(ascii: ":"): return .integer(try number(length))
            default: return try scalar(type, text(length))
            }
        }
    }

    private func scalar(_ type: UInt8, _ text: ByteBuffer) throws(Failure) -> RESPValue {
        switch type {
        case UInt8(ascii: "+"): return .simpleString(text)
        case UInt8(ascii: "-"): return .error(text)
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

    private mutating func open(_ kind: StringKind, _ length: Int64) throws(Failure) -> RESPValue? {
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
    private mutating func open(_ kind: Kind, _ count: Int64) throws(Failure) -> RESPValue? {
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

    /// The length of the next line without its end; `nil` if it has not all come.
    private mutating func lineLength() throws(Failure) -> Int? {
        let from = scanned
        let (end, isWhole) = buffer.withUnsafeReadableBytes { bytes in
            var place = from
            while place < bytes.count, bytes[place] != UInt8(ascii: "\n") { place += 1 }
            return (place, place > 0 && place < bytes.count && bytes[place - 1] == UInt8(ascii: "\r"))
        }
        scanned = end
        guard end <= limits.lineLength else {
            throw Failure(description: "a line is longer than the limit of \(limits.lineLength) bytes")
        }
        if end == buffer.readableBytes { return nil }
        guard isWhole else { throw Failure(description: "a line does not end with CR LF") }
        scanned = 0
        return end - 1
    }

    /// Takes a line of this length, and what stands in it behind the type.
    private mutating func text(_ length: Int) -> ByteBuffer {
        defer { buffer.moveReaderIndex(forwardBy: length + 2) }
        return buffer.getSlice(at: buffer.readerIndex + 1, length: length - 1) ?? ByteBuffer()
    }

    /// The same, where that is a number.
    private mutating func number(_ length: Int) throws(Failure) -> Int64 {
        let number = buffer.withUnsafeReadableBytes { Int64(decimal: UnsafeRawBufferPointer(rebasing: $0[1..<length])) }
        guard let number else {
            throw Failure(
                description: "an integer has no digits, holds something else than digits, or does not fit 64 bits"
            )
        }
        buffer.moveReaderIndex(forwardBy: length + 2)
        return number
    }
}
