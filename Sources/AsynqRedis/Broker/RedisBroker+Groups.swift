public import Asynq
internal import Logging
internal import NIOCore
internal import RedisClient

extension RedisBroker {
    /// Groups that one script looks at.
    private static let maxGroupsPerScript = 100

    public func waitingGroups(in queues: [String]) async throws -> [GroupReference] {
        var groups: Set<GroupReference> = []
        for queue in queues {
            let keys = keys(queue)
            var cursor = "0"
            repeat {
                let reply = try await reply(
                    RESPCommand("SSCAN", keys.groups, cursor, "COUNT", "1000"),
                    .key(keys.base)
                )
                guard let parts = reply.array, parts.count == 2, let next = parts[0].string, let names = parts[1].array
                else { throw AsynqError(.brokerFailure, "unexpected reply to a list of groups") }
                for name in names.compactMap(\.string) { groups.insert(GroupReference(queue: queue, name: name)) }
                cursor = next
            } while cursor != "0"
        }
        return Array(groups)
    }

    public func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>] {
        var results = groups.map { _ in Result<GroupCheck, AsynqError>.success(GroupCheck(nextDueIn: nil)) }
        var left = limit
        // One script after the other: what one stages counts for the next, and others get their turn.
        for (queue, indices) in Dictionary(grouping: groups.indices, by: { groups[$0].queue }) {
            let keys = keys(queue)
            for chunk in indices.chunks(maxCount: Self.maxGroupsPerScript) {
                let names = chunk.map { (name: groups[$0].name, set: TaskID.random()) }
                let reply = await scripts.run([
                    .init(Self.stageCall(names, keys, policy, limit: left), .key(keys.base))
                ])[0]
                for (place, index) in chunk.enumerated() {
                    switch reply {
                    case .success(let value):
                        guard let parts = value.array, parts.indices.contains(place), let check = parts[place].array,
                            check.count == 2, let wait = check[0].int, let ids = check[1].array
                        else {
                            results[index] = .failure(
                                AsynqError(.brokerFailure, "unexpected reply to a look at groups")
                            )
                            continue
                        }
                        var result = GroupCheck(nextDueIn: wait < 0 ? nil : .milliseconds(wait))
                        if !ids.isEmpty {
                            left -= 1
                            result.set = await stagedSet(groups[index], names[place].set, ids, keys)
                        }
                        results[index] = .success(result)
                    case .failure(let error): results[index] = .failure(error)
                    }
                }
            }
        }
        return results
    }

    private static func stageCall(
        _ groups: [(name: String, set: String)],
        _ keys: QueueKeys,
        _ policy: GroupPolicy,
        limit: Int
    ) -> ScriptCall {
        var call = ScriptCall.Builder(
            .stageGroups,
            of: keys,
            keys: [keys.groups, keys.aggregationSets, keys.groupHolds],
            argumentCount: 9 + 2 * groups.count,
            capacity: 64 * groups.count
        )
        call.append(keys.taskPrefix)
        call.append(keys.groupPrefix)
        call.append(policy.gracePeriod.millisecondsRoundedUp)
        call.append(policy.maxDelay.map { String($0.millisecondsRoundedUp) } ?? "")
        call.append(policy.maxSize.map { String($0) } ?? "")
        call.append(policy.setSize)
        call.append(AggregationSet.maxBytes)
        call.append(AggregationSet.lifetime.components.seconds)
        call.append(max(0, limit))
        for group in groups {
            call.append(group.name)
            call.append(group.set)
        }
        return call.finish()
    }

    /// Reads the messages of what was staged, in pieces. What does not decode is archived as it is. If they cannot be read the
    /// set waits until it is stale, and its tasks are in their group again.
    private func stagedSet(
        _ group: GroupReference,
        _ id: String,
        _ ids: [RESPValue],
        _ keys: QueueKeys
    ) async -> AggregationSet? {
        var tasks: [(message: TaskMessage, since: Int64?)] = []
        var unreadable: [String] = []
        for chunk in ids.compactMap(\.string).chunks(maxCount: Self.maxTasksPerScript) {
            let requests = chunk.map { id in
                ScriptRunner.Request(RESPCommand("HMGET", keys.task(id), "msg", "group_since"), .key(keys.base))
            }
            for (id, reply) in zip(chunk, await scripts.run(requests)) {
                switch reply {
                case .success(let value):
                    // None if somebody has deleted it just now.
                    guard let fields = value.array, fields.count == 2, let bytes = fields[0].buffer else { continue }
                    if let message = try? TaskMessage(decoding: bytes), message.queue == keys.queue, message.id == id {
                        tasks.append((message, fields[1].int))
                    } else {
                        unreadable.append(id)
                    }
                case .failure(let error):
                    logger.error(
                        "cannot read the tasks of a group; they will be back in it within \(AggregationSet.lifetime)",
                        metadata: ["group": "\(group.name)", "queue": "\(group.queue)", "error": "\(error)"]
                    )
                    return nil
                }
            }
        }
        // The times of a group are whole seconds. The Go system knows no finer ones.
        if tasks.allSatisfy({ $0.since != nil }) { tasks.sort { ($0.since ?? 0) < ($1.since ?? 0) } }
        let set = AggregationSet(group: group, id: id, tasks: tasks.map(\.message))
        if !unreadable.isEmpty, await !moveAside(unreadable, of: set, keys) { return nil }
        return set
    }

    /// - Returns: whether that was possible.
    private func moveAside(_ ids: [String], of set: AggregationSet, _ keys: QueueKeys) async -> Bool {
        for id in ids {
            logger.error(
                "archiving a grouped task whose message cannot be read",
                metadata: ["queue": "\(keys.queue)", "group": "\(set.group.name)", "task_id": "\(id)"]
            )
        }
        do {
            try await archive(ids.map { ($0, []) }, of: set, keys)
            return true
        } catch {
            logger.error(
                "cannot archive them; all will be back in their group within \(AggregationSet.lifetime)",
                metadata: ["queue": "\(keys.queue)", "group": "\(set.group.name)", "error": "\(error)"]
            )
            return false
        }
    }

    public func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError> {
        let keys = keys(set.group.queue)
        let message = request.message
        guard message.queue == set.group.queue else {
            return .failure(AsynqError(.invalidArgument, "the aggregated task must be in the queue of its group"))
        }
        let encoded: (EnqueueRequest, String, [UInt8])
        do {
            encoded = try Self.encoded(request, keys)
        } catch {
            return .failure(.unencodable(error))
        }
        let locks = Set(set.tasks.map(\.uniqueKey) + [encoded.1]).subtracting([""])
        let call = Self.call(
            [encoded],
            keys,
            script: .completeAggregation,
            more: [keys.aggregationSets, Self.key(of: set, keys)] + locks
        )
        let replies = await scripts.run([
            .announcement(of: keys),
            .init(call, .key(keys.base)),
        ])
        // A Redis that is full takes no names. It has had this one, as there is a group, and the aggregation makes room.
        let isNamed: Bool
        if case .failure(let error) = replies[0], error.code != .brokerFull { isNamed = false } else { isNamed = true }
        switch isNamed ? replies[1] : replies[0] {
        case .success(let reply):
            guard let numbers = reply.array?.compactMap(\.int), numbers.count == 2 else {
                return .failure(AsynqError(.brokerFailure, "unexpected reply to an aggregation"))
            }
            guard numbers[0] == -3 else { return Self.receipt(numbers[0], numbers[1], message) }
            do throws(AsynqError) {
                // The queue may have been deleted, and is not to be there again for nothing.
                if case .success(let naming) = replies[0], naming.int == 1 { try await forget(keys) }
                return .failure(.aggregationSetEnded(set))
            } catch {
                return .failure(error)
            }
        case .failure(let error): return .failure(error)
        }
    }

    private static func key(of set: AggregationSet, _ keys: QueueKeys) -> String {
        keys.group(set.group.name) + ":" + set.id
    }

    public func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws {
        let keys = keys(set.group.queue)
        let key = Self.key(of: set, keys)
        let first = try await putBack(keys, limit: 1000, set: key, retryIn: delay)
        // The rest of a large set is stale.
        if first.hasMore { while try await putBack(keys, limit: 1000).hasMore {} }
    }

    public func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int {
        guard limit > 0 else { return 0 }
        var count = 0
        for queue in queues { count += try await putBack(keys(queue), limit: min(limit, 1000)).count }
        return count
    }

    private func putBack(
        _ keys: QueueKeys,
        limit: Int,
        set: String = "",
        retryIn delay: Duration = .zero
    ) async throws -> (count: Int, hasMore: Bool) {
        var call = ScriptCall.Builder(
            .returnAggregationSets,
            of: keys,
            keys: [keys.aggregationSets, keys.groups, keys.groupHolds],
            argumentCount: 4
        )
        call.append(keys.groupPrefix)
        call.append(limit)
        call.append(set)
        call.append(max(0, delay.millisecondsRoundedUp))
        let numbers = try await reply(call.finish(), keys).array?.compactMap(\.int) ?? []
        guard numbers.count == 2 else { throw AsynqError(.brokerFailure, "unexpected reply to a reclaim") }
        return (Int(numbers[0]), numbers[1] == 1)
    }

    public func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool] {
        // A set's time is extended as a lease is.
        let calls = sets.map { set in
            let keys = keys(set.group.queue)
            var call = ScriptCall.Builder(.extendLeases, keys: [keys.aggregationSets], argumentCount: 3)
            call.append(AggregationSet.lifetime.components.seconds)
            call.append("")
            call.append(Self.key(of: set, keys))
            return ScriptRunner.Request(call.finish(), .key(keys.base))
        }
        return try await scripts.run(calls).map { reply in try reply.get().array?.isEmpty == true }
    }

    public func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws {
        let now = clock.seconds
        let tasks = try set.tasks.filter { errors[$0.id] != nil }.map { task in
            var message = task
            message.errorMessage = errors[task.id] ?? ""
            message.lastFailedAt = now
            return (message.id, try message.encoded())
        }
        try await archive(tasks, of: set, keys(set.group.queue))
    }

    private func archive(_ tasks: [(id: String, message: [UInt8])], of set: AggregationSet, _ keys: QueueKeys)
        async throws
    {
        for chunk in tasks.chunks(
            maxCount: Self.maxTasksPerScript,
            maxSize: Self.maxBytesPerScript,
            size: { $0.message.count }
        ) {
            var call = ScriptCall.Builder(
                .archiveStaged,
                of: keys,
                keys: [keys.aggregationSets, Self.key(of: set, keys), keys.archived],
                argumentCount: 3 + 2 * chunk.count,
                capacity: chunk.reduce(0) { $0 + $1.message.count + 40 }
            )
            call.append(keys.taskPrefix)
            call.append(ArchiveLimit.count)
            call.append(ArchiveLimit.age.components.seconds)
            for task in chunk {
                call.append(task.id)
                call.append(task.message)
            }
            if try await reply(call.finish(), keys).int == -1 { throw AsynqError.aggregationSetEnded(set) }
        }
    }
}
