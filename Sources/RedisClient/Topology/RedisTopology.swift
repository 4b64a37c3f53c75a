package import Logging

/// Where a command is to go.
package enum RedisRoute: Sendable, Hashable {
    /// Any node.
    case any
    /// The node that serves the slot of this key.
    case key(String)
}

/// The servers behind a configuration: one, the master that Sentinels name, or the nodes of a Cluster. What stands
/// above asks for a route and need not know.
package protocol RedisTopology: Sendable {
    /// Sends commands together to the node of a route; see ``RedisLane/submit(_:completion:)``.
    @discardableResult
    func submit(
        _ commands: [RESPCommand],
        to route: RedisRoute,
        completion: @escaping RedisRequest.Completion
    ) -> RedisRequest

    /// Calls `body` in the next turn of the event loop that carries commands for a route: what it submits goes out in that
    /// turn, so that until then more can join.
    func inNextTurn(for route: RedisRoute, _ body: @escaping @Sendable () -> Void)

    /// Runs tasks on an event loop that carries commands; `nil` if no one loop carries most of them.
    var taskExecutor: (any TaskExecutor)? { get }

    /// A connection of its own to the node of a route, for what the server sends unasked. To be opened by the caller.
    func makeListener(
        for route: RedisRoute,
        onPush: @escaping @Sendable (RedisPush) -> Void,
        onState: @escaping @Sendable (RedisLane.ConnectionState) -> Void
    ) -> RedisLane

    /// Establishes that the servers can be reached and used.
    ///
    /// - Throws: within the dial time-out.
    func connect() async throws(RedisError)

    /// Fails what waits, and closes all connections.
    func shutdown() async
}

extension RedisTopology {
    package var taskExecutor: (any TaskExecutor)? { nil }

    /// Sends commands together. Replies are in order; when the caller is cancelled, `cancelled` errors.
    package func execute(_ commands: [RESPCommand], to route: RedisRoute) async -> [Result<RESPValue, RedisError>] {
        let cancellation = RequestCancellation()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                cancellation.set(submit(commands, to: route) { continuation.resume(returning: $0) })
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
        return StandaloneTopology(self, logger: logger)
    }
}
