/// A key that was pressed.
enum Key: Sendable, Hashable {
    case character(Character)
    case up, down, left, right, home, end, pageUp, pageDown
    case enter, tab, backTab, escape, backspace
    case control(Character)
}

/// Reads keys out of what a terminal sends, in whatever pieces it comes.
struct KeyParser: Sendable {
    private var rest: [UInt8] = []

    /// Whether there is the beginning of a key: to be followed by ``flush()`` if nothing more comes soon.
    var isInside: Bool { !rest.isEmpty }

    mutating func feed(_ bytes: [UInt8]) -> [Key] {
        rest += bytes
        var keys: [Key] = []
        while let (key, count) = next() {
            if let key { keys.append(key) }
            rest.removeFirst(count)
        }
        return keys
    }

    /// Nothing more came: an escape that stands alone is the key.
    mutating func flush() -> [Key] {
        defer { rest = [] }
        return rest.first == 0x1B ? [.escape] : []
    }

    /// The next key and how many bytes it takes; the key is `nil` for what means nothing here.
    private func next() -> (Key?, Int)? {
        guard let first = rest.first else { return nil }
        switch first {
        case 0x1B: return escape()
        case 0x0D, 0x0A: return (.enter, 1)
        case 0x09: return (.tab, 1)
        case 0x7F, 0x08: return (.backspace, 1)
        case 0x01...0x1A: return (.control(Character(Unicode.Scalar(first + 0x60))), 1)
        case 0x00...0x1F: return (nil, 1)
        default:
            let length =
                switch first {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            // What cannot become a character is left out, rather than waited for.
            guard rest.prefix(length).dropFirst().allSatisfy({ $0 & 0xC0 == 0x80 }) else { return (nil, 1) }
            guard rest.count >= length else { return nil }
            guard let text = String(validating: rest.prefix(length), as: UTF8.self), let character = text.first else {
                return (nil, 1)
            }
            return (.character(character), length)
        }
    }

    private func escape() -> (Key?, Int)? {
        guard rest.count >= 2 else { return nil }
        guard rest[1] == UInt8(ascii: "[") || rest[1] == UInt8(ascii: "O") else { return (.escape, 1) }
        // Parameters, then the byte that ends the sequence.
        guard let end = rest[2...].firstIndex(where: { (0x40...0x7E).contains($0) }) else {
            return rest.count > 32 ? (nil, rest.count) : nil
        }
        let parameters = String(decoding: rest[2..<end], as: UTF8.self)
        return (Self.key(parameters, Character(Unicode.Scalar(rest[end]))), end + 1)
    }

    private static func key(_ parameters: String, _ last: Character) -> Key? {
        switch last {
        case "A": .up
        case "B": .down
        case "C": .right
        case "D": .left
        case "H": .home
        case "F": .end
        case "Z": .backTab
        case "M": .enter
        case "~":
            switch parameters.prefix(while: { $0 != ";" }) {
            case "1", "7": .home
            case "4", "8": .end
            case "5": .pageUp
            case "6": .pageDown
            default: nil
            }
        default: nil
        }
    }
}
