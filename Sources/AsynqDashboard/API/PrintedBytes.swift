/// Payloads and results as text: what is printable UTF-8 as it is, other bytes as `\xff`, so that nothing is mangled and
/// nothing looks like what it is not (spec 3, "JSON API").
enum PrintedBytes {
    /// - Parameter limit: of characters; what is longer ends with `…`. `nil`: none.
    static func text(_ bytes: [UInt8], limit: Int? = nil) -> String {
        // A character takes few bytes, as a rule; of more than that no end needs to be looked for.
        let isCut = limit.map { bytes.count > $0 &* 16 + 64 } ?? false
        let bytes = isCut ? bytes.prefix((limit ?? 0) * 16 + 64) : bytes[...]
        let text = printed(bytes, mayEndEarly: isCut)
        guard let limit else { return text }
        guard let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex) else {
            return isCut ? text + "…" : text
        }
        return end == text.endIndex && !isCut ? text : text[..<end] + "…"
    }

    /// - Parameter mayEndEarly: what is left of a character at the end, because the bytes were cut there, is left out.
    private static func printed(_ bytes: ArraySlice<UInt8>, mayEndEarly: Bool) -> String {
        if let text = String(validating: bytes, as: UTF8.self), text.unicodeScalars.allSatisfy(isPrintable) {
            return text
        }
        var result = String.UnicodeScalarView()
        var index = bytes.startIndex
        while index < bytes.endIndex {
            var decoder = UTF8()
            var rest = bytes[index...].makeIterator()
            if case .scalarValue(let scalar) = decoder.decode(&rest) {
                if isPrintable(scalar) {
                    result.append(scalar)
                } else {
                    for byte in bytes[index..<(index + UTF8.width(scalar))] { append(byte, to: &result) }
                }
                index += UTF8.width(scalar)
            } else {
                if mayEndEarly, bytes.endIndex - index < 4 { break }
                append(bytes[index], to: &result)
                index += 1
            }
        }
        return String(result)
    }

    /// Not so are controls but those that format text, and what changes the order of what stands beside it.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value >= 0x20, scalar.value < 0x7F { return true }
        switch scalar {
        case "\n", "\r", "\t": return true
        case "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": return false
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .privateUse, .unassigned: return false
        default: return true
        }
    }

    private static func append(_ byte: UInt8, to text: inout String.UnicodeScalarView) {
        text.append(contentsOf: "\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".unicodeScalars)
    }
}
