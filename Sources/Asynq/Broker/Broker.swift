/// The only thing that moves a task from state to state. Client, server, scheduler and inspector ask a broker.
///
/// Every operation takes and gives arrays, and each element stands for itself: it happens whole or not at all, and its
/// result is true whatever became of its neighbours. Each transition is the one of spec 1, "Transitions". Times are
/// the broker's own (spec 1, fault 15): a caller's clock only measures durations. With a limit of zero or less
/// a call takes and moves nothing.
///
/// An implementation must allow any number of concurrent calls from any number of processes.
public protocol Broker: GroupBroker, InspectionBroker, ScheduleBroker, SemaphoreBroker {
    /// What this broker is, for logs, such as `redis://127.0.0.1:6379/0`. Without secrets.
    var name: String { get }

    /// How the ids of tasks that were given none are made. ``TaskIDScheme/random`` unless a broker says otherwise.
    var taskIDScheme: TaskIDScheme { get }

    /// Runs tasks where the broker's connection lives; `nil`, which it is unless a broker says otherwise, if there is no such
    /// place.
    var taskExecutor: (any TaskExecutor)? { get }

    /// Whether queues may lie on servers of their own, so that one answers while another does not. A worker server then asks
    /// each queue in a call of its own, and goes on without those that do not answer. `false` unless a broker says otherwise.
    var servesQueuesApart: Bool { get }

    /// Establishes that the broker can be reached and is fit for use.
    ///
    /// - Throws: ``AsynqError`` that says what is wrong and with which host.
    func connect() async throws

    /// Asks for a sign of life.
    func ping() async throws

    /// Lets go of connections and files. Calls that still wait fail; later calls fail.
    func shutdown() async

    /// Stores tasks: pending, scheduled or in a group. Results are in the order of the requests.
    ///
    /// Begins where its caller runs, which may be an actor: must neither block nor compute for long there.
    nonisolated(nonsending) func enqueue(_ requests: [EnqueueRequest]) async -> [Result<EnqueueReceipt, AsynqError>]

    /// Takes up to `limit` tasks from each of the queues, oldest first, and leases them to the caller for
    /// ``LeasedTask/leaseDuration``, and up to a second more. A paused queue gives none. What cannot be decoded is moved aside and logged, and never given out.
    ///
    /// May give fewer than there are, where they are many or large. Does not end early when the caller is cancelled: the
    /// tasks in an answer that nobody reads would wait for the end of their leases.
    func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask]

    /// Ends attempts. Results are in the order of the requests.
    func finish(_ requests: [FinishRequest]) async -> [FinishResult]

    /// Sets the leases of attempts that are still leased to a full ``LeasedTask/leaseDuration`` from now, and up to a second
    /// more.
    ///
    /// - Returns: for each whether it still has its lease; one that is gone stays gone, also if the task is leased again.
    func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool]

    /// Moves scheduled tasks and retries that are due to their queues or groups: up to `limit` in each queue.
    func forward(queues: [String], limit: Int) async throws -> ForwardResult

    /// Tasks whose lease ended at least 30 s ago: up to `limit` in each queue. To be ended with
    /// ``FinishRequest/Condition/isLeaseExpired`` only: their ``LeasedTask/leaseEnd`` may be 0.
    func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask]

    /// Deletes completed tasks whose retention is over: up to `limit`.
    ///
    /// - Returns: how many were deleted.
    func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int

    /// Stores what a handler gives as its result.
    ///
    /// - Throws: ``AsynqError`` with code ``AsynqError/Code/taskNotFound`` if this attempt of the task is not active.
    func writeResult(_ result: [UInt8], of task: LeasedTask) async throws

    /// Asks whichever server runs the task to cancel its handler. Not an error if none does.
    func cancel(taskID: String) async throws

    /// Makes a server and its running handlers visible to inspectors for `ttl`.
    func writeServerState(_ state: ServerState, ttl: Duration) async throws

    /// Removes what ``writeServerState(_:ttl:)`` wrote.
    func clearServerState(_ server: ServerIdentity) async throws

    /// A watch that tells a server of changes in these queues without being asked again and again.
    ///
    /// - Parameters:
    ///   - queues: those that the server serves.
    ///   - onSignal: called from any thread; must return at once.
    func makeWatch(queues: [String], onSignal: @escaping @Sendable (BrokerSignal) -> Void) -> any BrokerWatch
}

extension Broker {
    public var taskIDScheme: TaskIDScheme { .random }
    public var taskExecutor: (any TaskExecutor)? { nil }
    public var servesQueuesApart: Bool { false }
}
