import Logging

/// Lets at most so many tasks at once do something, over all servers on the same broker (spec 2, "Also").
///
/// ```swift
/// let semaphore = try AsynqSemaphore(broker, scope: "payments-api", limit: 5)
/// try router.handle(ChargeCard.self, middleware: SemaphoreMiddleware(semaphore)) { charge, context in … }
/// ```
///
/// or around a part of a handler:
///
/// ```swift
/// try await semaphore.withPermit(context) { try await api.charge(card) }
/// ```
///
/// A task holds at most one place, under its id. A place is held until it is given back or until the attempt's deadline
/// at the latest, so that a server that dies takes no place with it for longer than that. A handler that ignores its
/// cancellation runs on without a place.
///
/// On Redis the places are shared with the semaphores of Go's asynq (`x/rate`) of the same scope.
public struct AsynqSemaphore: Sendable {
    /// The semaphore's name: what has the same name shares its places.
    public let scope: String
    /// How many places there are. All who use the scope should agree; each takes a place only while fewer than its own
    /// limit are taken.
    public let limit: Int
    private let broker: any SemaphoreBroker

    /// - Parameters:
    ///   - broker: where the places are counted.
    ///   - scope: not blank.
    ///   - limit: at least 1.
    /// - Throws: ``AsynqError`` with code `invalidArgument` for a scope or limit that is not allowed.
    public init(_ broker: any SemaphoreBroker, scope: String, limit: Int) throws(AsynqError) {
        guard !scope.isBlank else { throw AsynqError(.invalidArgument, "the scope of a semaphore is blank") }
        guard limit >= 1 else {
            throw AsynqError(.invalidArgument, "the limit of semaphore \"\(scope)\" is \(limit): it must be at least 1")
        }
        self.scope = scope
        self.limit = limit
        self.broker = broker
    }

    /// A place that a task holds.
    public struct Permit: Sendable {
        private let lease: PermitLease
        private let broker: any SemaphoreBroker

        init(_ lease: PermitLease, _ broker: any SemaphoreBroker) {
            self.lease = lease
            self.broker = broker
        }

        /// Gives the place back. Works in a cancelled task too.
        ///
        /// - Returns: whether it was still held: `false` if its deadline had passed, or it was given back before.
        /// - Throws: ``AsynqError`` if the broker failed; the place is then free at its deadline.
        @discardableResult
        public func release() async throws -> Bool { try await broker.releasePermit(lease) }
    }

    /// Takes a place, if one is free. A task that has one keeps it.
    ///
    /// - Parameters:
    ///   - context: of the task that takes it.
    ///   - duration: how long to hold it at most. Default: until the attempt's deadline.
    /// - Returns: the place, to be given back; `nil` if all are taken.
    /// - Throws: ``AsynqError``: `invalidArgument` if the attempt has no deadline and no duration is given, so that a
    ///   server that dies would take the place with it; `brokerUnavailable` or `brokerFailure`.
    public func tryAcquire(_ context: TaskContext, for duration: Duration? = nil) async throws -> Permit? {
        guard let duration = duration ?? context.timeLeft else {
            throw AsynqError(
                .invalidArgument,
                "task \"\(context.taskID)\" has neither timeout nor deadline, so its place in semaphore \"\(scope)\" "
                    + "would be lost if its server died: give it a timeout, or say how long to hold the place"
            )
        }
        let request = PermitRequest(scope: scope, limit: limit, holder: context.taskID, duration: duration)
        return try await broker.acquirePermit(request).map { Permit($0, broker) }
    }

    /// Takes a place, or ends the attempt: the error makes the server try the task again, without counting a failure.
    ///
    /// - Parameters:
    ///   - context: of the task that takes it.
    ///   - duration: how long to hold it at most. Default: until the attempt's deadline.
    ///   - delay: after which time the task is tried again if all places are taken. Up to half as much is added at
    ///     random, so that those that wait do not come back all at once. Default: 1 s.
    /// - Returns: the place, to be given back.
    /// - Throws: ``AsynqError``: `rateLimited` if all places are taken, otherwise as ``tryAcquire(_:for:)``.
    public func acquire(
        _ context: TaskContext,
        for duration: Duration? = nil,
        retryAfter delay: Duration = .seconds(1)
    ) async throws -> Permit {
        if let permit = try await tryAcquire(context, for: duration) { return permit }
        let places = limit == 1 ? "the only place in" : "all \(limit) places in"
        throw AsynqError.rateLimited(
            "\(places) semaphore \"\(scope)\" \(limit == 1 ? "is" : "are") taken",
            retryAfter: delay * Double.random(in: 1...1.5)
        )
    }

    /// Does something while holding a place, and gives it back however that ends.
    ///
    /// - Throws: what `body` throws, or as ``acquire(_:for:retryAfter:)``. That the place could not be given back is
    ///   logged and fails nothing: it is free at its deadline.
    public func withPermit<Value>(
        _ context: TaskContext,
        for duration: Duration? = nil,
        retryAfter delay: Duration = .seconds(1),
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Value
    ) async throws -> Value {
        let permit = try await acquire(context, for: duration, retryAfter: delay)
        do {
            let value = try await body()
            await giveBack(permit, context)
            return value
        } catch {
            await giveBack(permit, context)
            throw error
        }
    }

    private func giveBack(_ permit: Permit, _ context: TaskContext) async {
        do {
            try await permit.release()
        } catch {
            context.logger.warning(
                "a place in a semaphore could not be given back; it is free at its deadline",
                metadata: ["scope": "\(scope)", "error": "\(error)"]
            )
        }
    }
}
