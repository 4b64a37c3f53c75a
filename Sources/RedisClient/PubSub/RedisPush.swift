package import NIOCore

/// What a server sends without being asked.
package enum RedisPush: Sendable, Equatable {
    /// These tracked keys have changed; `nil`: all of them, the database was flushed.
    case invalidate(keys: [ByteBuffer]?)
    /// A message on a channel that is subscribed to.
    case message(channel: ByteBuffer, payload: ByteBuffer)
    case other(kind: String, [RESPValue])

    /// The kinds of push that answer a command.
    static let confirmations: Set<String> = [
        "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe",
    ]

    /// - Parameter elements: of the push, its kind first.
    package init(_ elements: [RESPValue]) {
        let kind = elements.first?.string ?? ""
        switch kind {
        case "invalidate" where elements.count == 2:
            self = .invalidate(keys: elements[1].array?.compactMap(\.buffer))
        case "message" where elements.count == 3, "smessage" where elements.count == 3:
            self = .message(channel: elements[1].buffer ?? ByteBuffer(), payload: elements[2].buffer ?? ByteBuffer())
        case "pmessage" where elements.count == 4:
            self = .message(channel: elements[2].buffer ?? ByteBuffer(), payload: elements[3].buffer ?? ByteBuffer())
        default:
            self = .other(kind: kind, Array(elements.dropFirst()))
        }
    }
}
