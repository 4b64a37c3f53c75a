import NIOCore
import Synchronization

/// Commands of a caller, some of which may have to be sent more than once: a server that refuses a command because another
/// one is responsible has not run it.
final class Delivery: Sendable {
    /// The caller's.
    let request: RedisRequest
    /// What comes after a command is about it: where one is refused, all that follow are sent again with it.
    let isChain: Bool
    /// Until when it is tried.
    let deadline: NIODeadline
    private let replies: Mutex<(values: [Result<RESPValue, RedisError>?], missing: Int)>

    init(
        _ commands: [RESPCommand],
        isChain: Bool,
        within limit: Duration,
        completion: @escaping RedisRequest.Completion
    ) {
        self.isChain = isChain
        request = RedisRequest(commands, completion: completion)
        deadline = .now() + TimeAmount(limit)
        replies = Mutex((Array(repeating: nil, count: commands.count), commands.count))
        if commands.isEmpty { request.complete([]) }
    }

    /// Whether there is somebody, and time, to try again for.
    var isWorthwhile: Bool { !request.isCompleted && .now() < deadline }

    func commands(_ indices: [Int]) -> [RESPCommand] { indices.map { request.commands[$0] } }

    /// Keeps the replies that are final.
    ///
    /// - Parameter redirect: what a refusal leads to, `nil` for a final one.
    /// - Returns: what is to be sent again.
    func sort<Redirect: Hashable>(
        _ indices: [Int],
        _ replies: [Result<RESPValue, RedisError>],
        _ redirect: (RedisError) -> Redirect?
    ) -> [Redirect: [Int]] {
        var refused: [Redirect: [Int]] = [:]
        for (position, (index, reply)) in zip(indices, replies).enumerated() {
            if case .failure(let error) = reply, isWorthwhile, let redirect = redirect(error) {
                if isChain { return [redirect: Array(indices[position...])] }
                refused[redirect, default: []].append(index)
            } else {
                settle(index, reply)
            }
        }
        return refused
    }

    /// This is the reply. The last one goes to the caller with all others.
    func settle(_ index: Int, _ reply: Result<RESPValue, RedisError>) {
        let all = replies.withLock { replies -> [Result<RESPValue, RedisError>]? in
            if replies.values[index] == nil { replies.missing -= 1 }
            replies.values[index] = reply
            return replies.missing == 0 ? replies.values.compactMap(\.self) : nil
        }
        if let all { request.complete(all) }
    }
}
