internal import Asynq
internal import RedisClient
import Synchronization

/// Sends commands and script calls together and gathers their replies. Not cancellable: an answer that nobody waits for
/// would lose the tasks in it. The time-outs of the connection bound the wait.
struct ScriptRunner: Sendable {
    /// A command or a script call, and where it goes.
    struct Request: Sendable {
        let command: RESPCommand
        let script: ScriptCall?
        let route: RedisRoute
        /// What must have it before it counts as done.
        let durability: RedisDurability

        init(_ command: RESPCommand, _ route: RedisRoute) {
            self.command = command
            script = nil
            self.route = route
            durability = .master
        }

        init(_ call: ScriptCall, _ route: RedisRoute, _ durability: RedisDurability = .master) {
            command = call.command
            script = call
            self.route = route
            self.durability = durability
        }
    }

    let redis: any RedisTopology

    /// Replies in the order of the requests.
    nonisolated(nonsending) func run(_ requests: [Request]) async -> [Result<RESPValue, AsynqError>] {
        guard !requests.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            submit(requests) { continuation.resume(returning: $0) }
        }
    }

    /// Sends them now; their replies can be waited for later.
    func start(_ requests: [Request]) -> PendingReplies {
        let pending = PendingReplies()
        if requests.isEmpty {
            pending.succeed([])
        } else {
            submit(requests) { pending.succeed($0) }
        }
        return pending
    }

    /// The same with a callback, which runs on an event loop.
    func submit(
        _ requests: [Request],
        completion: @escaping @Sendable ([Result<RESPValue, AsynqError>]) -> Void
    ) {
        if requests.allSatisfy({ sendsTogether($0.durability) }) {
            return submitTogether(requests, completion: completion)
        }
        let gather = ReplyGatherer(count: requests.count, completion: completion)
        for (index, request) in requests.enumerated() {
            send(request.command, request) { reply in
                if let script = request.script, case .failure(let error) = reply,
                    (error.cause as? RedisError)?.serverCode == "NOSCRIPT"
                {
                    send(script.withSource, request) { gather.set(index, $0) }
                } else {
                    gather.set(index, reply)
                }
            }
        }
    }

    /// Whether what is submitted together, with this durability, goes to one server as one request.
    func sendsTogether(_ durability: RedisDurability) -> Bool { !redis.spreadsKeys && durability == .master }

    /// All go to one server, as one request.
    private func submitTogether(
        _ requests: [Request],
        completion: @escaping @Sendable ([Result<RESPValue, AsynqError>]) -> Void
    ) {
        redis.submit(requests.map { $0.command }, to: .any) { replies in
            let missing = replies.indices.compactMap { index -> (index: Int, command: RESPCommand)? in
                guard case .failure(let error) = replies[index], error.serverCode == "NOSCRIPT" else { return nil }
                return requests[index].script.map { (index, $0.withSource) }
            }
            let results = replies.map { $0.mapError { AsynqError($0) } }
            guard !missing.isEmpty else { return completion(results) }
            redis.submit(missing.map { $0.command }, to: .any) { replies in
                var results = results
                for (script, reply) in zip(missing, replies) {
                    results[script.index] = reply.mapError { AsynqError($0) }
                }
                completion(results)
            }
        }
    }

    private func send(
        _ command: RESPCommand,
        _ request: Request,
        completion: @escaping @Sendable (Result<RESPValue, AsynqError>) -> Void
    ) {
        guard let wait = request.durability.command else {
            redis.submit([command], to: request.route) { completion($0[0].mapError { AsynqError($0) }) }
            return
        }
        // Redis waits for what the same connection has written.
        redis.submit([command, wait], to: request.route, isChain: true) { replies in
            let reply = replies[0].mapError { AsynqError($0) }
            guard case .success = reply else { return completion(reply) }
            switch replies[1] {
            case .success(let confirmed):
                if let shortfall = request.durability.shortfall(confirmed) {
                    completion(.failure(shortfall))
                } else {
                    completion(reply)
                }
            case .failure(let error): completion(.failure(AsynqError(error)))
            }
        }
    }
}

/// What was sent and is answered later. One caller waits for it.
final class PendingReplies: Sendable {
    private enum State {
        case sent
        case awaited(CheckedContinuation<[Result<RESPValue, AsynqError>], Never>)
        case answered([Result<RESPValue, AsynqError>])
    }

    private let state = Mutex(State.sent)

    /// In the order of the requests.
    var replies: [Result<RESPValue, AsynqError>] {
        get async {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> [Result<RESPValue, AsynqError>]? in
                    if case .answered(let replies) = state { return replies }
                    state = .awaited(continuation)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        }
    }

    fileprivate func succeed(_ replies: [Result<RESPValue, AsynqError>]) {
        let waiter = state.withLock { state -> CheckedContinuation<[Result<RESPValue, AsynqError>], Never>? in
            defer { state = .answered(replies) }
            if case .awaited(let continuation) = state { return continuation }
            return nil
        }
        waiter?.resume(returning: replies)
    }
}

/// Waits for all replies.
private final class ReplyGatherer: Sendable {
    private struct State {
        var replies: [Result<RESPValue, AsynqError>?]
        var missing: Int
    }

    private let state: Mutex<State>
    private let completion: @Sendable ([Result<RESPValue, AsynqError>]) -> Void

    init(count: Int, completion: @escaping @Sendable ([Result<RESPValue, AsynqError>]) -> Void) {
        state = Mutex(State(replies: Array(repeating: nil, count: count), missing: count))
        self.completion = completion
    }

    func set(_ index: Int, _ reply: Result<RESPValue, AsynqError>) {
        let all = state.withLock { state -> [Result<RESPValue, AsynqError>]? in
            state.replies[index] = reply
            state.missing -= 1
            return state.missing == 0 ? state.replies.compactMap(\.self) : nil
        }
        if let all { completion(all) }
    }
}
