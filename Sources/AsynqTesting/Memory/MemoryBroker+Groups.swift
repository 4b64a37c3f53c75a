public import Asynq

extension MemoryBroker {
    public func waitingGroups(in queues: [String]) async throws -> [GroupReference] {
        try check()
        return read { state, _ in
            queues.flatMap { queue in
                (state.queues[queue]?.groups.keys.sorted() ?? []).map { GroupReference(queue: queue, name: $0) }
            }
        }
    }

    public func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>] {
        change { state, now in
            state.groupPolicy = policy
            var staged = 0
            return groups.map { group -> Result<GroupCheck, AsynqError> in
                guard !isClosed else { return .failure(Self.closed) }
                let check = state.queues[group.queue]?
                    .stage(group.name, policy: policy, isWanted: staged < limit, now: now)
                if check?.set != nil { staged += 1 }
                return .success(check ?? GroupCheck(nextDueIn: nil))
            }
        }
    }

    public func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError> {
        change { state, now in
            guard !isClosed else { return .failure(Self.closed) }
            let isFirst = state.queues[set.group.queue]?.sets[set.id] != nil
            let result =
                state.queues[set.group.queue]?.complete(set, with: request, now: now)
                ?? .failure(.aggregationSetEnded(set))
            if isFirst, case .success(let receipt) = result {
                state.log.append(
                    TaskInfo(request.message, state: receipt.state, nextProcessAt: receipt.nextProcessAt)
                )
            }
            return result
        }
    }

    public func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws {
        try check()
        change { state, now in state.queues[set.group.queue]?.release(set.id, retryIn: delay, now: now) ?? () }
    }

    public func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool] {
        try check()
        return change { state, now in
            sets.map { state.queues[$0.group.queue]?.extend($0.id, now: now) ?? false }
        }
    }

    public func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws {
        try check()
        let isHeld = change { state, now in
            state.queues[set.group.queue]?.archiveStaged(errors, of: set, now: now) ?? false
        }
        if !isHeld { throw AsynqError.aggregationSetEnded(set) }
    }

    public func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int {
        try check()
        return change { state, now in
            queues.reduce(0) { $0 + (state.queues[$1]?.reclaimSets(limit: limit, now: now) ?? 0) }
        }
    }
}
