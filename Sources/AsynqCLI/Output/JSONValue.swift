#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A value of JSON. The keys of an object stay in their order, so that people can read it as well.
enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    struct Member: Sendable, Hashable {
        var key: String
        var value: JSONValue
    }

    static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { Member(key: $0.key, value: $0.value) })
    }

    /// A moment as RFC 3339 writes it, or null.
    static func time(_ date: Date?) -> JSONValue { date.map { .string(Times.rfc3339($0)) } ?? .null }

    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

    /// With two blanks for each level.
    var text: String {
        var result = ""
        write(to: &result, indent: "\n")
        return result
    }

    /// On one line, for logs.
    var compactText: String {
        var result = ""
        write(to: &result, indent: nil)
        return result
    }

    /// - Parameter indent: a new line and the blanks of the level; `nil`: no new lines.
    private func write(to result: inout String, indent: String?) {
        switch self {
        case .null: result += "null"
        case .bool(let value): result += value ? "true" : "false"
        case .int(let value): result += String(value)
        case .double(let value): result += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.write(value, to: &result)
        case .array(let values):
            Self.write("[", "]", values, to: &result, indent) { value, result, indent in
                value.write(to: &result, indent: indent)
            }
        case .object(let members):
            Self.write("{", "}", members, to: &result, indent) { member, result, indent in
                Self.write(member.key, to: &result)
                result += indent == nil ? ":" : ": "
                member.value.write(to: &result, indent: indent)
            }
        }
    }

    private static func write<Element>(
        _ opening: String,
        _ closing: String,
        _ elements: [Element],
        to result: inout String,
        _ indent: String?,
        _ body: (Element, inout String, String?) -> Void
    ) {
        result += opening
        for (index, element) in elements.enumerated() {
            if index > 0 { result += "," }
            let inner = indent.map { $0 + "  " }
            result += inner ?? ""
            body(element, &result, inner)
        }
        if !elements.isEmpty { result += indent ?? "" }
        result += closing
    }

    private static func write(_ text: String, to result: inout String) {
        result += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        result += "\""
    }
}
