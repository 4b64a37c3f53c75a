/// The part of a ``Broker`` that collects the tasks of groups, so that each group can be aggregated into one task (spec 1,
/// "Transitions").
///
/// A group's tasks wait until the group is ready by a ``GroupPolicy``. Then they are staged: taken out of the group and put
/// into an ``AggregationSet``, which one server holds. A set ends in one of three ways: it is completed, and its tasks are
/// replaced by the aggregated one; it is released, and they are in their group again; or it becomes stale, because its server
/// has died, and is reclaimed, which is the same. A set that has ended stays ended: whoever is late changes nothing.
///
/// To its task all this is one state, `aggregating`.
public protocol GroupBroker: Sendable {
    /// The groups of these queues that have tasks waiting. What is staged does not count.
    func waitingGroups(in queues: [String]) async throws -> [GroupReference]

    /// Looks at groups, and stages the tasks of those that are ready, oldest first: of up to `limit` groups, and of each no more
    /// than ``GroupPolicy/setSize`` tasks and about ``AggregationSet/maxBytes``. What cannot be decoded is moved aside and
    /// logged.
    ///
    /// Does not end early when the caller is cancelled: sets in an answer that nobody reads would wait until they are stale.
    ///
    /// - Returns: one result a group, in order.
    func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>]

    /// Replaces the tasks of a set by the aggregated one, and frees their uniqueness locks: all of it, or nothing. Asked again
    /// after an answer that was lost it enqueues nothing more, and succeeds again (fault 14).
    ///
    /// - Parameters:
    ///   - set: the tasks, as they were staged.
    ///   - request: for the queue of the group. The tasks of the set are gone when it is judged: it may take over their ids
    ///     and locks.
    /// - Returns: what an enqueue returns, or fails with; after a failure the set is as it was. The code is
    ///   ``AsynqError/Code/leaseExpired`` if the set has ended otherwise.
    func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError>

    /// Puts the tasks of a set back into their group, where they were. Not an error if the set has ended.
    ///
    /// - Parameters:
    ///   - set: the tasks, as they were staged.
    ///   - delay: how long the group is to be left alone, by every server.
    func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws

    /// Lets sets be stale a full ``AggregationSet/lifetime`` from now.
    ///
    /// - Returns: for each whether it is still held; one that has ended stays ended.
    func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool]

    /// Archives tasks of a set that cannot be aggregated. They keep their locks, as all that are archived do.
    ///
    /// - Parameters:
    ///   - errors: by the ids of the tasks.
    ///   - set: the set that they are in.
    /// - Throws: ``AsynqError`` with code ``AsynqError/Code/leaseExpired`` if the set has ended.
    func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws

    /// Puts the tasks of stale sets back into their groups, at their old places: about `limit` tasks in each queue.
    ///
    /// - Returns: how many tasks; zero if no more sets are stale.
    func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int
}

extension AsynqError {
    /// A set of a group's tasks that was reclaimed or released.
    public static func aggregationSetEnded(_ set: AggregationSet) -> AsynqError {
        AsynqError(
            .leaseExpired,
            "the tasks that were taken from group \"\(set.group.name)\" of queue \"\(set.group.queue)\" are back in their "
                + "group, or were aggregated by another server"
        )
    }
}
