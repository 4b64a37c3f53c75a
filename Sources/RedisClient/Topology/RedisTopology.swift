package import Logging

/// Where a command is to go.
package enum RedisRoute: Sendable, Hashable {
    /// Any node.
    case any
    /// The node that serves the slot of this key.
    case key(String)
    /// This node of a Cluster, whatever it serves: for questions about the node itself. Where there is one server only, that.
    case node(RedisConfiguration.Endpoint)
}

/// The servers behind a configuration: one, the master that Sentinels name, or the nodes of a Cluster. What stands
/// above asks for a route and need not know.
package protocol RedisTopology: Sendable {
    /// Sends commands together to the node of a route; see ``RedisLane/submit(_:completion:)``.
    ///
    /// - Parameter isChain: each is about those before it, so that all must be run on one connection.
    @discardableResult
    func submit(
        _ commands: [RESPCommand],
        to route: RedisRoute,
        isChain: Bool,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest

    /// Calls `body` in the next turn of the event loop that carries commands for a route, so that until then more can join
    /// what it submits; or at once, if that can be sent without the loop.
    ///
    /// - Parameter isOneRequest: all that it submits is one request. Parts belong together only in a turn.
    func nowOrInNextTurn(for route: RedisRoute, isOneRequest: Bool, _ body: @escaping @Sendable () -> Void)

    /// Runs tasks on an event loop that carries commands; `nil` if no one loop carries most of them.
    var taskExecutor: (any TaskExecutor)? { get }

    /// A connection of its own to the node of a route, for what the server sends unasked. To be opened by the caller.
    func makeListener(
        for route: RedisRoute,
        onPush: @escaping @Sendable (RedisPush) -> Void,
        onState: @escaping @Sendable (RedisLane.ConnectionState) -> Void
    ) -> RedisLane

    /// Whether keys with different slots may lie on different nodes.
    var spreadsKeys: Bool { get }

    /// A listener was refused this: another node may be responsible now.
    func noticeRefusal(_ error: RedisError)

    /// The nodes that hold what a route leads to, the one that is written to first.
    func nodes(of route: RedisRoute) async throws(RedisError) -> [RedisConfiguration.Endpoint]

    /// The nodes that are written to: each key is on one of them.
    func masters() async throws(RedisError) -> [RedisConfiguration.Endpoint]

    /// Establishes that the servers can be reached and used.
    ///
    /// - Throws: within the dial time-out.
    func connect() async throws(RedisError)

    /// Fails what waits, and closes all connections.
    func shutdown() async
}

extension RedisTopology {
    package var taskExecutor: (any TaskExecutor)? { nil }

    package var spreadsKeys: Bool { false }

    package func noticeRefusal(_ error: RedisError) {}

    package func masters() async throws(RedisError) -> [RedisConfiguration.Endpoint] {
        try await Array(nodes(of: .any).prefix(1))
    }

    /// Sends commands together that need not be run on one connection.
    @discardableResult
    package func submit(
        _ commands: [RESPCommand],
        to route: RedisRoute,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest {
        submit(commands, to: route, isChain: false, completion: completion)
    }

    /// Sends commands together. Replies are in order; when the caller is cancelled, `cancelled` errors.
    package func execute(_ commands: [RESPCommand], to route: RedisRoute) async -> [Result<RESPValue, RedisError>] {
        let cancellation = RequestCancellation()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let completion: RedisRequest.Completion = { continuation.resume(returning: $0) }
                // What is submitted may be sent at once.
                if cancellation.isCancelled { return RedisRequest(commands, completion: completion).cancel() }
                cancellation.set(submit(commands, to: route, completion: completion))
            }
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// Sends a command. An error reply is thrown.
    package func execute(_ command: RESPCommand, to route: RedisRoute) async throws(RedisError) -> RESPValue {
        try await execute([command], to: route)[0].get()
    }
}

extension RedisConfiguration {
    /// The servers that this configuration describes. Nothing is connected yet.
    ///
    /// - Throws: ``RedisError`` with code `invalidConfiguration`.
    package func makeTopology(logger: Logger) throws(RedisError) -> any RedisTopology {
        try validate()
        if let sentinel { return SentinelTopology(self, sentinel, logger: logger) }
        if let cluster { return ClusterTopology(self, cluster, logger: logger) }
        return StandaloneTopology(self, logger: logger)
    }
}
