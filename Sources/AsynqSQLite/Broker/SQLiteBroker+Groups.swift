public import Asynq

extension SQLiteBroker {
    public func waitingGroups(in queues: [String]) async throws -> [GroupReference] {
        try await read { store in
            try queues.flatMap { name in
                try (store.queue(name).map(store.groups) ?? []).map { GroupReference(queue: name, name: $0) }
            }
        }
    }

    public func stageGroups(
        _ groups: [GroupReference],
        policy: GroupPolicy,
        limit: Int
    ) async -> [Result<GroupCheck, AsynqError>] {
        var results: [Result<GroupCheck, AsynqError>] = []
        do throws(AsynqError) {
            // Looks first: most often none is ready, and then there is nothing to write.
            let waits = try await read { store in
                try groups.map { group in
                    try store.queue(group.queue).flatMap { queue in
                        try store.timeUntilReady(queue, group.name, policy: policy)
                    }
                }
            }
            results = waits.map { .success(GroupCheck(nextDueIn: $0.map { .microseconds($0) })) }
            var staged = 0
            for (index, wait) in waits.enumerated() where wait == 0 && staged < limit {
                do throws(AsynqError) {
                    let group = groups[index]
                    let check = try await writes.perform(weight: policy.setSize) { store in
                        try store.stage(group, policy: policy)
                    }
                    if check.set != nil { staged += 1 }
                    results[index] = .success(check)
                } catch {
                    results[index] = .failure(error)
                }
            }
            return results
        } catch {
            return groups.map { _ in .failure(error) }
        }
    }

    public func completeAggregation(
        _ set: AggregationSet,
        with request: EnqueueRequest
    ) async -> Result<EnqueueReceipt, AsynqError> {
        do throws(AsynqError) {
            return try await writes.perform(weight: set.tasks.count) { store in
                try store.completeAggregation(set, with: request)
            }
        } catch {
            return .failure(error)
        }
    }

    public func releaseAggregation(_ set: AggregationSet, retryIn delay: Duration) async throws {
        try await writes.perform(weight: set.tasks.count) { try $0.releaseAggregation(set, retryIn: delay) }
    }

    public func extendAggregations(_ sets: [AggregationSet]) async throws -> [Bool] {
        guard !sets.isEmpty else { return [] }
        return try await writes.perform(weight: sets.count) { store in try sets.map(store.extendAggregation) }
    }

    public func archiveStaged(_ errors: [String: String], of set: AggregationSet) async throws {
        let isHeld = try await writes.perform(weight: errors.count) { try $0.archiveStaged(errors, of: set) }
        if !isHeld { throw AsynqError.aggregationSetEnded(set) }
    }

    public func reclaimStaleAggregationSets(queues: [String], limit: Int) async throws -> Int {
        let limit = min(max(0, limit), Self.maxTasks)
        let stale = try await read { store in
            try queues.filter { try store.queue($0).map(store.hasStaleSets) ?? false }
        }
        guard !stale.isEmpty else { return 0 }
        return try await writes.perform(weight: limit) { store in
            try stale.reduce(0) { count, name in
                try count + (store.queue(name).map { try store.reclaimSets($0, limit: limit) } ?? 0)
            }
        }
    }
}
