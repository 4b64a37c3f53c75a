import Asynq
import Foundation

/// What was recorded from the Go system; see the README beside it.
enum Fixtures {
    struct Malformed: Error {
        var what: String
    }

    static func load(_ name: String) throws -> [[String: Any]] {
        let url = Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Fixtures/golden")
        guard let url, let rows = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [[String: Any]]
        else { throw Malformed(what: name) }
        return rows
    }

    static func list(_ value: Any) throws -> [Any] {
        guard let list = value as? [Any] else { throw Malformed(what: "a list") }
        return list
    }

    /// Text, or bytes as `{"hex": …}`.
    static func data(_ value: Any) throws -> Data {
        if let text = value as? String { return Data(text.utf8) }
        guard let hex = (value as? [String: Any])?["hex"] as? String else { throw Malformed(what: "bytes") }
        return bytes(hex)
    }

    static func bytes(_ hex: String) -> Data {
        let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return Data(stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) })
    }

    /// The fields of a TaskMessage.
    static func message(_ fields: [String: Any]) -> TaskMessage {
        func text(_ name: String) -> String { fields[name] as? String ?? "" }
        func number(_ name: String) -> Int64 { (fields[name] as? NSNumber)?.int64Value ?? 0 }
        var message = TaskMessage(
            type: text("type"),
            payload: Array(bytes(text("payload_hex"))),
            id: text("id"),
            queue: text("queue")
        )
        message.maxRetry = Int32(number("retry"))
        message.retried = Int32(number("retried"))
        message.errorMessage = text("error_msg")
        message.timeout = number("timeout")
        message.deadline = number("deadline")
        message.uniqueKey = text("unique_key")
        message.lastFailedAt = number("last_failed_at")
        message.retention = number("retention")
        message.completedAt = number("completed_at")
        message.group = text("group_key")
        message.headers = fields["headers"] as? [String: String] ?? [:]
        return message
    }
}
