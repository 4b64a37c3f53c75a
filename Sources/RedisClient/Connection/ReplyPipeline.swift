import DequeModule
import NIOCore

/// Matches what a server sends with what was sent to it. A value with no I/O.
struct ReplyPipeline {
    /// What to do with a value that has come.
    enum Action {
        case none
        case complete(RedisRequest, [Result<RESPValue, RedisError>])
        case push(RedisPush)
        /// Something has come that answers nothing: the connection cannot be used any more.
        case fail(RedisError)
    }

    private struct Sent {
        let request: RedisRequest
        var replies: [Result<RESPValue, RedisError>] = []
        /// Push messages that are still to come for the current command.
        var confirmations: Int
    }

    private var sent: Deque<Sent> = []

    var isEmpty: Bool { sent.isEmpty }
    var count: Int { sent.count }

    mutating func send(_ request: RedisRequest) {
        sent.append(Sent(request: request, confirmations: request.commands[0].confirmations))
    }

    mutating func receive(_ value: RESPValue) -> Action {
        if case .push(let elements) = value {
            let kind = elements.first?.string ?? ""
            // A server also unsubscribes by itself: only the kind that was asked for is an answer.
            guard let head = sent.first, head.confirmations > 0,
                head.request.commands[head.replies.count].name.lowercased() == kind
            else { return .push(RedisPush(elements)) }
            sent[0].confirmations -= 1
            return sent[0].confirmations > 0 ? .none : answer(.success(value))
        }
        guard let head = sent.first else {
            return .fail(RedisError(.protocolError, "the server sent a reply that nothing was asked for"))
        }
        if case .error(let text) = value {
            let name = head.request.commands[head.replies.count].name
            return answer(.failure(RedisError(.serverError, Self.message(text), command: name)))
        }
        return answer(.success(value))
    }

    /// The text of an error, without the arguments that Redis repeats if it does not know a command: they are private.
    private static func message(_ text: ByteBuffer) -> String {
        let text = String(buffer: text)
        guard let arguments = text.firstRange(of: ", with args beginning with") else { return text }
        return String(text[..<arguments.lowerBound])
    }

    /// The head's current command is answered.
    private mutating func answer(_ reply: Result<RESPValue, RedisError>) -> Action {
        sent[0].replies.append(reply)
        let head = sent[0]
        if head.replies.count < head.request.commands.count {
            sent[0].confirmations = head.request.commands[head.replies.count].confirmations
            return .none
        }
        sent.removeFirst()
        return .complete(head.request, head.replies)
    }

    /// Gives up on all that is not answered.
    mutating func removeAll() -> [RedisRequest] {
        defer { sent = [] }
        return sent.map(\.request)
    }
}
