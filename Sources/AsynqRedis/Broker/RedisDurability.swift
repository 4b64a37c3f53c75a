internal import Asynq
internal import RedisClient

/// What must have a task before its enqueue is acknowledged. Redis replicates after it has answered: a fail-over in between
/// loses what only the old master had.
public struct RedisDurability: Sendable, Hashable {
    private enum Kind: Sendable, Hashable {
        case master
        case replicas(Int)
        case files(replicas: Int)
    }

    private let kind: Kind
    /// How long is waited for it.
    let limit: Duration

    private init(_ kind: Kind, _ limit: Duration) {
        self.kind = kind
        self.limit = limit
    }

    /// The master has it in memory, and on disk as its `appendfsync` says. The default.
    public static let master = Self(.master, .zero)

    /// So many replicas have it in memory too (`WAIT`).
    ///
    /// - Parameters:
    ///   - count: at least 1. Only if it is all that there are, a fail-over keeps each task: of two replicas the one that has not
    ///     confirmed it may become the master.
    ///   - limit: how long is waited, at least 1 ms. When it is over the enqueue fails with ``AsynqError`` of code
    ///     `notReplicated`, although the task is stored.
    public static func replicas(_ count: Int, within limit: Duration = .seconds(1)) -> Self {
        Self(.replicas(count), limit)
    }

    /// The append-only files of the master and of so many replicas have it, on disk (`WAITAOF`, of Redis 7.2 and later). All
    /// of them need `appendonly yes`.
    ///
    /// - Parameters:
    ///   - replicas: 0 or more.
    ///   - limit: as for ``replicas(_:within:)``. With `appendfsync everysec` it takes up to a second.
    public static func appendOnlyFiles(replicas: Int = 0, within limit: Duration = .seconds(2)) -> Self {
        Self(.files(replicas: replicas), limit)
    }

    /// - Throws: `RedisError` that says which number is not allowed.
    func validate() throws(RedisError) {
        func refuse(_ text: String) -> RedisError { RedisError(.invalidConfiguration, "durability: \(text)") }
        switch kind {
        case .master: return
        case .replicas(let count): if count < 1 { throw refuse("at least one replica must be waited for") }
        case .files(let count): if count < 0 { throw refuse("the number of replicas must not be negative") }
        }
        // To Redis none means for ever.
        if limit < .milliseconds(1) { throw refuse("the time to wait must be at least a millisecond") }
    }

    /// To be sent behind what is to be waited for, on the same connection. `nil` if nothing is.
    var command: RESPCommand? {
        let milliseconds = "\(limit.millisecondsRoundedUp)"
        return switch kind {
        case .master: nil
        case .replicas(let count): RESPCommand("WAIT", "\(count)", milliseconds)
        case .files(let count): RESPCommand("WAITAOF", "1", "\(count)", milliseconds)
        }
    }

    /// What the answer to ``command`` lacks.
    func shortfall(_ reply: RESPValue) -> AsynqError? {
        let lack: String
        switch kind {
        case .master: return nil
        case .replicas(let count):
            let have = reply.int ?? 0
            if have >= count { return nil }
            lack = "\(have) of \(count) replicas have"
        case .files(let count):
            let numbers = reply.array?.compactMap(\.int) ?? []
            let (local, have) = (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
            if local >= 1, have >= count { return nil }
            lack = "the append-only files of \(local) of 1 masters and \(have) of \(count) replicas have"
        }
        return AsynqError(
            .notReplicated,
            "the task is stored, but after \(limit) only \(lack) confirmed it: a fail-over may lose it"
        )
    }
}
