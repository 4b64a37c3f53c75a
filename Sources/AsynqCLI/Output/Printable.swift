#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Text of others on a terminal: nothing in a payload or in the name of a queue moves the cursor, changes colours or hides
/// what stands beside it.
enum Printable {
    /// On one line; what does not print is shown as `\n`, `\x1b` or `\u{202e}`.
    static func line(_ text: some StringProtocol) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return String(text) }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isPlain(scalar) {
                result.append(scalar)
            } else {
                result.append(contentsOf: escaped(scalar).unicodeScalars)
            }
        }
        return String(result)
    }

    /// Bytes as one line; those that are no text as `\xff`, one by one.
    static func line(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return line(text) }
        var result = ""
        var decoder = UTF8()
        var index = 0
        while index < bytes.count {
            var rest = bytes[index...].makeIterator()
            switch decoder.decode(&rest) {
            case .scalarValue(let scalar):
                result += isPlain(scalar) ? String(scalar) : escaped(scalar)
                index += UTF8.width(scalar)
            case .error, .emptyInput:
                result += "\\x" + hex(UInt32(bytes[index]), digits: 2)
                index += 1
            }
            decoder = UTF8()
        }
        return result
    }

    /// Whether a character stands for itself: no control, no invisible one that changes the order or the look of others.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
            // What joins the parts of an emoji.
            scalar == "\u{200D}"
        default: true
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: scalar.value < 0x100 ? "\\x" + hex(scalar.value, digits: 2) : "\\u{\(hex(scalar.value, digits: 4))}"
        }
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    // MARK: Width

    /// How many columns a text takes on a terminal.
    static func width(_ text: some StringProtocol) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + width($1) }
    }

    /// How many columns a character takes: 0, 1 or 2.
    static func width(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        if first.value < 0x300 { return 1 }
        if first.properties.isEmojiPresentation || character.unicodeScalars.contains("\u{FE0F}") { return 2 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch first.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
            0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// The beginning of a text that fits, with `…` at its end if something is left out.
    static func fitted(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var result = ""
        var used = 0
        for character in text {
            let next = width(character)
            if used + next > columns - 1 { break }
            result.append(character)
            used += next
        }
        return result + "…"
    }

    /// The end of a text that fits, with `…` in front if something is left out.
    static func fittedEnd(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var used = 0
        let end = text.reversed().prefix { character in
            used += width(character)
            return used <= columns - 1
        }
        return "…" + String(end.reversed())
    }
}

extension String {
    /// With blanks behind it, or in front of it, so that it takes so many columns.
    func padded(to columns: Int, onLeft: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, columns - Printable.width(self)))
        return onLeft ? blanks + self : self + blanks
    }
}
