import NIOCore
import Synchronization

/// Asks Sentinels in turn who the master is, each on a short connection of its own.
final class SentinelSearch: Sendable {
    /// For connections to Sentinels.
    let configuration: RedisConfiguration
    private let masterName: String
    private let roster: Mutex<SentinelRoster>

    init(_ servers: RedisConfiguration, _ sentinel: RedisConfiguration.Sentinel) {
        var configuration = servers
        configuration.peer = .sentinel
        configuration.username = sentinel.username
        configuration.password = sentinel.password
        configuration.database = 0
        // One that is away must leave time for the others, and for the master.
        let share = min(.seconds(1), servers.dialTimeout / (sentinel.endpoints.count + 1))
        configuration.dialTimeout = share
        configuration.readTimeout = min(share, servers.readTimeout)
        self.configuration = configuration
        masterName = sentinel.masterName
        roster = Mutex(SentinelRoster(sentinel.endpoints))
    }

    var question: RESPCommand { RESPCommand("SENTINEL", "get-master-addr-by-name", masterName) }

    func nextOrder() -> [RedisConfiguration.Endpoint] { roster.withLock { $0.nextOrder() } }

    /// Whether this Sentinel was of use.
    func report(_ endpoint: RedisConfiguration.Endpoint, isUseful: Bool) {
        roster.withLock { isUseful ? $0.answered(endpoint) : $0.failed(endpoint) }
    }

    /// Where the master is, from the first Sentinel that knows it. Fails with what each of them said.
    func findMaster(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Endpoint> {
        find(nextOrder()[...], on: eventLoop, failures: [])
    }

    private func find(
        _ order: ArraySlice<RedisConfiguration.Endpoint>,
        on eventLoop: any EventLoop,
        failures: [RedisError]
    ) -> EventLoopFuture<RedisConfiguration.Endpoint> {
        guard let sentinel = order.first else { return eventLoop.makeFailedFuture(failure(failures)) }
        return ask(sentinel, on: eventLoop).map { master in
            self.report(sentinel, isUseful: true)
            return master
        }.flatMapError { error in
            self.report(sentinel, isUseful: false)
            let error = error as? RedisError ?? RedisError(.connectionFailed, RedisDialer.text(error))
            return self.find(order.dropFirst(), on: eventLoop, failures: failures + [error])
        }
    }

    private func ask(
        _ sentinel: RedisConfiguration.Endpoint,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<RedisConfiguration.Endpoint> {
        RedisDialer.ask(sentinel, question, configuration: configuration, eventLoop: eventLoop)
            .flatMapResult { self.master($0, from: sentinel) }
    }

    /// What a Sentinel's answer says.
    func master(
        _ answer: RESPValue,
        from sentinel: RedisConfiguration.Endpoint
    ) -> Result<RedisConfiguration.Endpoint, RedisError> {
        guard let parts = answer.array, parts.count == 2, let host = parts[0].string, let port = parts[1].int else {
            let text = "the Sentinel at \(sentinel) watches no master named \"\(masterName)\""
            return .failure(RedisError(.connectionFailed, text))
        }
        return .success(.host(host, port: Int(port)))
    }

    /// What a message on the channel `+switch-master` says: the name, the old host and port, the new host and port. `nil` if
    /// it is about another master.
    func newMaster(_ message: String) -> RedisConfiguration.Endpoint? {
        let words = message.split(separator: " ")
        guard words.count == 5, words[0] == masterName, let port = Int(words[4]) else { return nil }
        return .host(String(words[3]), port: port)
    }

    private func failure(_ failures: [RedisError]) -> RedisError {
        let isRefused = failures.allSatisfy { $0.code == .authenticationFailed }
        let texts = failures.map(\.message).joined(separator: "; ")
        return RedisError(
            isRefused ? .authenticationFailed : .connectionFailed,
            "no Sentinel says where the master \"\(masterName)\" is: \(texts)"
        )
    }
}
