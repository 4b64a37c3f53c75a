import NIOCore
import Synchronization

/// Answers to the same question within a moment: the first who asks has the broker asked, the others get what it gets. So
/// many viewers, who all ask when they see that something has changed, cost the broker as much as one.
final class SharedAnswers: Sendable {
    private struct Key: Hashable {
        let question: String
        let generation: Int
    }

    private enum Entry {
        case underway([CheckedContinuation<Result<ByteBuffer, any Error>, Never>])
        case ready(ByteBuffer, end: Duration)
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// Counts the writes: what was read before one is no answer after it.
        var generation = 0
    }

    private enum Part {
        case leader(Key)
        case ready(ByteBuffer)
        case follower(Result<ByteBuffer, any Error>)
    }

    /// More are not kept, and none that is larger: whoever asks for much may ask again.
    private static let most = 100
    private static let mostBytes = 1 << 20

    private let lifetime: Duration
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    init(lifetime: Duration, now: @escaping @Sendable () -> Duration) {
        self.lifetime = lifetime
        self.now = now
    }

    /// What was read so far is out of date.
    func forget() {
        state.withLock { state in
            state.generation += 1
            // Those that are underway still owe an answer to who waits.
            state.entries = state.entries.filter { if case .underway = $0.value { true } else { false } }
        }
    }

    func answer(_ question: String, _ make: () async throws -> ByteBuffer) async throws -> ByteBuffer {
        while true {
            switch await part(in: question) {
            case .ready(let answer), .follower(.success(let answer)): return answer
            case .follower(.failure(let error)):
                // Who asked has gone; somebody else has to.
                guard error is CancellationError, !Task.isCancelled else { throw error }
            case .leader(let key):
                do {
                    let answer = try await make()
                    settle(key, .success(answer))
                    return answer
                } catch {
                    settle(key, .failure(error))
                    throw error
                }
            }
        }
    }

    private func part(in question: String) async -> Part {
        let now = now()
        let part: Part? = state.withLock { state in
            let key = Key(question: question, generation: state.generation)
            switch state.entries[key] {
            case .ready(let answer, let end) where end > now: return .ready(answer)
            case .underway: return nil
            case .ready, nil:
                state.entries = state.entries.filter { _, entry in
                    if case .ready(_, let end) = entry { end > now } else { true }
                }
                state.entries[key] = .underway([])
                return .leader(key)
            }
        }
        if let part { return part }
        let result = await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                let key = Key(question: question, generation: state.generation)
                guard case .underway(let waiters)? = state.entries[key] else { return true }
                state.entries[key] = .underway(waiters + [continuation])
                return false
            }
            // Settled in between: look again.
            if isOver { continuation.resume(returning: .failure(CancellationError())) }
        }
        return .follower(result)
    }

    private func settle(_ key: Key, _ result: Result<ByteBuffer, any Error>) {
        let end = now() + lifetime
        let waiters = state.withLock { state -> [CheckedContinuation<Result<ByteBuffer, any Error>, Never>] in
            guard case .underway(let waiters)? = state.entries.removeValue(forKey: key) else { return [] }
            if case .success(let answer) = result, key.generation == state.generation,
                state.entries.count < Self.most, answer.readableBytes <= Self.mostBytes
            {
                state.entries[key] = .ready(answer, end: end)
            }
            return waiters
        }
        for waiter in waiters { waiter.resume(returning: result) }
    }
}
