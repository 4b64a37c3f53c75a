/// What a ``Broker`` does for semaphores: at most so many places are taken over all servers (spec 2, "Also"). A program
/// uses ``AsynqSemaphore``.
public protocol SemaphoreBroker: Sendable {
    /// Takes a place, if one is free. A place is free again when it is given back, and when its deadline has passed on
    /// the broker's clock. A holder that asks again keeps its place, which then lasts until the new deadline.
    ///
    /// - Returns: the place; `nil` if all are taken by others.
    func acquirePermit(_ request: PermitRequest) async throws -> PermitLease?

    /// Gives a place back.
    ///
    /// - Returns: whether it was still held. A place that its holder has taken anew, with another deadline, is not
    ///   touched: the one who gives back may be an attempt that has long lost its task.
    func releasePermit(_ lease: PermitLease) async throws -> Bool
}

/// A wish for a place in a semaphore.
public struct PermitRequest: Sendable, Hashable {
    /// The semaphore's name.
    public var scope: String
    /// How many places it has.
    public var limit: Int
    /// Who takes the place: a task's id.
    public var holder: String
    /// How long the place is held, unless it is given back earlier.
    public var duration: Duration

    public init(scope: String, limit: Int, holder: String, duration: Duration) {
        self.scope = scope
        self.limit = limit
        self.holder = holder
        self.duration = duration
    }

    /// The duration as brokers store it: whole seconds, a fraction rounded up, at least 1 and at most 100 years.
    public var seconds: Int64 { min(max(1, duration.secondsRoundedUp), 100 * 366 * 86_400) }
}

/// A place that is held in a semaphore.
public struct PermitLease: Sendable, Hashable {
    public var scope: String
    public var holder: String
    /// The last Unix second of the broker's clock in which the place is held.
    public var deadline: Int64

    public init(scope: String, holder: String, deadline: Int64) {
        self.scope = scope
        self.holder = holder
        self.deadline = deadline
    }
}
