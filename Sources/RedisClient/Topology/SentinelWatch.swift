import Logging
import NIOCore
import Synchronization

/// Hears from one of the Sentinels, and from the next one if it is lost, when another server becomes the master.
final class SentinelWatch: Sendable {
    private enum Phase {
        case new, open, closed
    }

    private struct State {
        var phase = Phase.new
        var lane: RedisLane?
        /// The Sentinel that the connection was last sent to, until it is there.
        var tried: RedisConfiguration.Endpoint?
        var sentinel: RedisConfiguration.Endpoint?
        var onMaster: (@Sendable (RedisConfiguration.Endpoint) -> Void)?
    }

    private static let channel = "+switch-master"

    private let search: SentinelSearch
    private let logger: Logger
    private let state = Mutex(State())

    init(_ search: SentinelSearch, logger: Logger) {
        self.search = search
        self.logger = logger
    }

    /// - Parameter body: called when a Sentinel says who the master is.
    func onMaster(_ body: @escaping @Sendable (RedisConfiguration.Endpoint) -> Void) {
        state.withLock { $0.onMaster = body }
    }

    /// Begins, once.
    func open() {
        let isFirst = state.withLock { state in
            guard state.phase == .new else { return false }
            state.phase = .open
            return true
        }
        guard isFirst else { return }
        let lane = RedisLane(
            configuration: search.configuration,
            endpoint: { [weak self] eventLoop in
                guard let sentinel = self?.nextSentinel() else {
                    return eventLoop.makeFailedFuture(RedisError(.closed, "the Redis client has been shut down"))
                }
                return eventLoop.makeSucceededFuture(sentinel)
            },
            logger: logger,
            onPush: { [weak self] push in self?.received(push) },
            onState: { [weak self] state in self?.changed(state) }
        )
        let isOpen = state.withLock { state in
            guard state.phase == .open else { return false }
            state.lane = lane
            return true
        }
        if isOpen { lane.open() }
    }

    func close() async {
        let lane = state.withLock { state in
            state.phase = .closed
            return state.lane.take()
        }
        await lane?.shutdown()
    }

    private func nextSentinel() -> RedisConfiguration.Endpoint? {
        let tried = state.withLock { $0.tried.take() }
        if let tried { search.report(tried, isUseful: false) }
        let next = search.nextOrder().first
        state.withLock { state in
            state.tried = next
            state.sentinel = next
        }
        return next
    }

    private func changed(_ connection: RedisLane.ConnectionState) {
        guard case .connected = connection else { return }
        let (lane, sentinel) = state.withLock { state in
            state.tried = nil
            return (state.lane, state.sentinel)
        }
        guard let lane, let sentinel else { return }
        search.report(sentinel, isUseful: true)
        // What has changed before is asked for.
        lane.submit([RESPCommand("SUBSCRIBE", Self.channel), search.question]) { [weak self] replies in
            guard let self else { return }
            for case .failure(let error) in replies where error.code == .serverError {
                logger.warning("a Sentinel does not tell of a new master", metadata: ["error": "\(error)"])
            }
            if case .success(let answer) = replies[1], case .success(let master) = search.master(answer, from: sentinel)
            {
                found(master)
            }
        }
    }

    private func received(_ push: RedisPush) {
        guard case .message(let channel, let payload) = push, String(buffer: channel) == Self.channel,
            let master = search.newMaster(String(buffer: payload))
        else { return }
        found(master)
    }

    private func found(_ master: RedisConfiguration.Endpoint) {
        state.withLock { $0.onMaster }?(master)
    }
}
