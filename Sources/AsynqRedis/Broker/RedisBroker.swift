public import Asynq
public import Logging
internal import NIOCore
@_exported public import RedisClient
import Synchronization

/// The ``Broker`` on Redis (6.2 or later) or Valkey (7.2 or later), on the same data as Go's asynq.
///
/// ```swift
/// let broker = try RedisBroker("redis://127.0.0.1:6379")
/// ```
///
/// Connects when it is first used and again whenever the connection is lost. One broker serves any number of clients
/// and servers; all that they ask for at the same moment shares round trips.
public final class RedisBroker: Broker {
    let redis: any RedisTopology
    let scripts: ScriptRunner
    /// For enqueues. If they wait for replicas, on connections of their own, which nothing else is held up on.
    let enqueues: ScriptRunner
    let durability: RedisDurability
    let logger: Logger
    let clock = RedisClock()
    private let keyCache = Mutex<[QueueName: QueueKeys]>([:])
    let batchers = Mutex<[QueueName: EnqueueBatcher]>([:])

    /// Without secrets.
    public let name: String

    /// The event loop of the connection; with several connections, that of the first.
    public var taskExecutor: (any TaskExecutor)? { redis.taskExecutor }

    /// Whether this is a Cluster: each queue lies on one of its nodes.
    public var servesQueuesApart: Bool { redis.spreadsKeys }

    /// - Parameters:
    ///   - uri: `redis://[user[:password]@]host[:port][/db]`, `rediss://…` for TLS, `redis-socket://[:password@]path[?db=n]`,
    ///     `redis-sentinel://…`, `redis-cluster://…`, or `host:port`; see `RedisConfiguration` (spec 2, "Connection").
    ///   - logger: for connections that are lost and tasks that cannot be read. Payloads never appear.
    /// - Throws: `RedisError` that says which part of the URI is wrong.
    public convenience init(_ uri: String, logger: Logger = Logger(label: "asynq.redis")) throws {
        try self.init(configuration: RedisConfiguration(uri), logger: logger)
    }

    /// - Parameters:
    ///   - configuration: how to reach Redis.
    ///   - durability: what must have a task before a client's enqueue is acknowledged. Default: the master.
    ///   - logger: for connections that are lost and tasks that cannot be read. Payloads never appear.
    /// - Throws: `RedisError` that says which setting is not allowed.
    public init(
        configuration: RedisConfiguration,
        durability: RedisDurability = .master,
        logger: Logger = Logger(label: "asynq.redis")
    ) throws {
        try durability.validate()
        name = configuration.description
        redis = try configuration.makeTopology(logger: logger)
        let scripts = ScriptRunner(redis: redis)
        self.scripts = scripts
        self.durability = durability
        if durability == .master {
            enqueues = scripts
        } else {
            var waiting = configuration
            waiting.readTimeout += durability.limit
            enqueues = ScriptRunner(redis: try waiting.makeTopology(logger: logger))
        }
        self.logger = logger
    }

    public func connect() async throws {
        do {
            try await redis.connect()
        } catch {
            throw AsynqError(error)
        }
    }

    public func ping() async throws {
        _ = try await reply(RESPCommand("PING"), .any)
    }

    public func shutdown() async {
        await redis.shutdown()
        if durability != .master { await enqueues.redis.shutdown() }
    }

    public func cancel(taskID: String) async throws {
        _ = try await reply(RESPCommand("PUBLISH", RedisKeys.cancelChannel, taskID), .any)
    }

    /// The keys of a queue.
    func keys(_ queue: String) -> QueueKeys {
        keyCache.withLock { cache in
            if let keys = cache[QueueName(queue)] { return keys }
            let keys = QueueKeys(queue)
            // A program that makes up queue names without end must not fill the memory.
            if cache.count >= 10_000 { cache.removeAll() }
            cache[QueueName(queue)] = keys
            return keys
        }
    }

    /// The reply to one command.
    func reply(_ command: RESPCommand, _ route: RedisRoute) async throws(AsynqError) -> RESPValue {
        try await scripts.run([.init(command, route)])[0].get()
    }

    /// The reply to one script.
    func reply(_ call: ScriptCall, _ keys: QueueKeys) async throws(AsynqError) -> RESPValue {
        try await scripts.run([.init(call, .key(keys.base))])[0].get()
    }
}

extension AsynqError {
    /// A failure of Redis in the terms of a broker.
    init(_ error: any Error) {
        guard let error = error as? RedisError else {
            self.init(.brokerUnavailable, String(describing: error), cause: error)
            return
        }
        let code: AsynqError.Code
        var text = error.description
        switch error.code {
        case .serverError where error.isOutOfMemory:
            code = .brokerFull
            text = "Redis is full (maxmemory) and takes nothing new: raise the limit, or work off or delete tasks"
        case .serverError where error.isPassing: code = .brokerUnavailable
        case .serverError, .invalidConfiguration: code = .brokerFailure
        default: code = .brokerUnavailable
        }
        self.init(code, text, cause: error)
    }
}
