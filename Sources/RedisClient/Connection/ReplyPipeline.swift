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

        /// The first that is not answered.
        var command: RESPCommand { request.commands[replies.count] }
        var isAnswered: Bool { replies.count == request.commands.count }
    }

    private var sent: Deque<Sent> = []

    var isEmpty: Bool { sent.isEmpty }
    var count: Int { sent.count }

    mutating func send(_ request: RedisRequest) {
        sent.append(Sent(request: request, confirmations: request.commands[0].confirmations))
    }

    mutating func receive(_ value: RESPValue) -> Action {
        // The head is never copied: its replies would be, with each that comes.
        if case .push(let elements) = value {
            let kind = elements.first?.string ?? ""
            // A server also unsubscribes by itself: only the kind that was asked for is an answer.
            guard !sent.isEmpty, sent[0].confirmations > 0, sent[0].command.name.lowercased() == kind else {
                return .push(RedisPush(elements))
            }
            sent[0].confirmations -= 1
            return sent[0].confirmations > 0 ? .none : answer(.success(value))
        }
        guard !sent.isEmpty else {
            return .fail(RedisError(.protocolError, "the server sent a reply that nothing was asked for"))
        }
        if case .error(let text) = value {
            return answer(.failure(RedisError(.serverError, Self.message(text), command: sent[0].command.name)))
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
        guard sent[0].isAnswered else {
            sent[0].confirmations = sent[0].command.confirmations
            return .none
        }
        let head = sent.removeFirst()
        return .complete(head.request, head.replies)
    }

    /// Gives up on all that is not answered.
    ///
    /// - Returns: the requests, each with the replies that have come.
    mutating func removeAll() -> [(request: RedisRequest, replies: [Result<RESPValue, RedisError>])] {
        defer { sent = [] }
        return sent.map { ($0.request, $0.replies) }
    }
}
