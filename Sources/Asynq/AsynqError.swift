/// What went wrong, as a code to match on and a sentence to read.
///
/// ```swift
/// do { try await client.enqueue(task) }
/// catch let error as AsynqError where error.code == .duplicateTask { … }
/// ```
///
/// The text never holds a payload or a password.
public struct AsynqError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case duplicateTask, taskIDConflict, taskNotFound, queueNotFound, queueNotEmpty, handlerNotFound
            case invalidArgument, serverClosed, leaseExpired, skipRetry, revokeTask, taskTimeout, taskCancelled
            case payloadDecoding, brokerUnavailable, brokerFailure
            case invalidTaskState
            case rateLimited
            case notReplicated
            case brokerFull
            case duplicateEntry, entryNotFound
        }
        private let kind: Kind
        private init(_ kind: Kind) { self.kind = kind }
        public var description: String { kind.rawValue }

        /// Another task holds the uniqueness lock.
        public static let duplicateTask = Code(.duplicateTask)
        /// A task with this id exists in the queue.
        public static let taskIDConflict = Code(.taskIDConflict)
        /// There is no such task, or it is no longer in the state that the operation needs.
        public static let taskNotFound = Code(.taskNotFound)
        /// The task is in a state that does not allow this: it is running, or where it is to go already.
        public static let invalidTaskState = Code(.invalidTaskState)
        /// There is no such queue.
        public static let queueNotFound = Code(.queueNotFound)
        /// The queue still holds tasks.
        public static let queueNotEmpty = Code(.queueNotEmpty)
        /// No pattern of the router matches the task's type.
        public static let handlerNotFound = Code(.handlerNotFound)
        /// An argument or an option is not allowed; the message says which and why.
        public static let invalidArgument = Code(.invalidArgument)
        /// The server has been started or closed before.
        public static let serverClosed = Code(.serverClosed)
        /// The worker has lost the task: its lease ended and another may run it.
        public static let leaseExpired = Code(.leaseExpired)
        /// Thrown by a handler: archive the task now, whatever retries are left.
        public static let skipRetry = Code(.skipRetry)
        /// Thrown by a handler: drop the task, neither retry nor archive it.
        public static let revokeTask = Code(.revokeTask)
        /// The attempt took longer than its timeout, or its deadline has passed.
        public static let taskTimeout = Code(.taskTimeout)
        /// Somebody cancelled the running task.
        public static let taskCancelled = Code(.taskCancelled)
        /// A typed payload could not be decoded.
        public static let payloadDecoding = Code(.payloadDecoding)
        /// The scheduler has this entry already.
        public static let duplicateEntry = Code(.duplicateEntry)
        /// The scheduler has no such entry.
        public static let entryNotFound = Code(.entryNotFound)
        /// The broker cannot be reached, or did not answer in time. The operation may or may not have happened.
        public static let brokerUnavailable = Code(.brokerUnavailable)
        /// The broker has stored it, but not as safely as it was asked to: a fail-over now may lose it.
        public static let notReplicated = Code(.notReplicated)
        /// The broker has no room: Redis has reached its `maxmemory`, or the disk of a file is full. Tasks that are there can be
        /// worked off and deleted, which makes room.
        public static let brokerFull = Code(.brokerFull)
        /// The broker answered with an error.
        public static let brokerFailure = Code(.brokerFailure)
        /// Thrown by a handler or middleware: there is no room for this task now. It is tried again after
        /// ``AsynqError/retryAfter`` and loses no retry, whatever the server's `isFailure` and `retryDelay` say.
        public static let rateLimited = Code(.rateLimited)
    }

    public var code: Code
    /// One sentence: what was wrong, and where it helps, what to do.
    public var message: String
    /// The error behind this one, if any.
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }

    /// To be thrown by a handler: the task goes to the archive at once, with this text as its error.
    public static func skipRetry(_ reason: String, cause: (any Error)? = nil) -> AsynqError {
        AsynqError(.skipRetry, reason, cause: cause)
    }

    /// To be thrown by a handler: the task is dropped; it is neither retried nor archived.
    public static func revokeTask(_ reason: String, cause: (any Error)? = nil) -> AsynqError {
        AsynqError(.revokeTask, reason, cause: cause)
    }

    /// To be thrown by a handler or middleware: the task is tried again after this time, which neither counts as a
    /// failure nor uses up a retry.
    ///
    /// - Parameters:
    ///   - reason: stored with the task as its last error, so without private data.
    ///   - delay: on the broker's clock; a negative one counts as zero.
    public static func rateLimited(_ reason: String, retryAfter delay: Duration) -> AsynqError {
        AsynqError(.rateLimited, reason, cause: RateLimit(delay: max(.zero, delay)))
    }

    /// After which time a task that was rate-limited is tried again. `nil` for other errors; 1 s if none was given.
    public var retryAfter: Duration? {
        guard code == .rateLimited else { return nil }
        return (cause as? RateLimit)?.delay ?? .seconds(1)
    }

    /// Carries the delay as the cause, so that every other error, of which there are many in arrays, is no larger for it.
    private struct RateLimit: Error {
        let delay: Duration
    }
}
