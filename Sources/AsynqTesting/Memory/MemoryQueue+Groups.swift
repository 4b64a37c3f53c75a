import Asynq

/// Groups and what is taken out of them.
extension MemoryQueue {
    /// Tasks that a server has taken to aggregate them.
    struct Staged {
        let group: String
        var ids: [String]
        /// When it is stale.
        var end: Int64
    }

    /// - Returns: how long until the group is ready; `nil` if it has no tasks.
    func timeUntilReady(_ name: String, policy: GroupPolicy, now: Int64) -> Duration? {
        guard let group = groups[name], let oldest = group.first, let newest = group.last else { return nil }
        let wait = policy.timeUntilReady(
            count: group.count,
            oldest: .nanoseconds(now - oldest.time),
            newest: .nanoseconds(now - newest.time)
        )
        return max(wait, .nanoseconds(max(0, (groupHolds[name] ?? now) - now)))
    }

    /// - Returns: the time until the first group is ready; `nil` if none will be.
    func timeUntilGroupReady(_ policy: GroupPolicy?, now: Int64) -> Duration? {
        policy.flatMap { policy in groups.keys.compactMap { timeUntilReady($0, policy: policy, now: now) }.min() }
    }

    mutating func stage(_ name: String, policy: GroupPolicy, isWanted: Bool, now: Int64) -> GroupCheck {
        guard isWanted, timeUntilReady(name, policy: policy, now: now) == .zero else {
            return GroupCheck(nextDueIn: timeUntilReady(name, policy: policy, now: now))
        }
        groupHolds[name] = nil
        var (staged, bytes): ([TaskMessage], Int) = ([], 0)
        while staged.count < policy.setSize, bytes < AggregationSet.maxBytes, let (id, time) = groups[name]?.first {
            groups[name]?.remove(id, time)
            guard let message = tasks[id]?.message else { continue }
            staged.append(message)
            bytes += message.payload?.count ?? 0
        }
        if groups[name]?.count == 0 { groups[name] = nil }
        let id = TaskID.random()
        sets[id] = Staged(
            group: name,
            ids: staged.map(\.id),
            end: now.addingClamped(AggregationSet.lifetime.nanosecondsClamped)
        )
        return GroupCheck(
            set: AggregationSet(group: GroupReference(queue: self.name, name: name), id: id, tasks: staged),
            nextDueIn: timeUntilReady(name, policy: policy, now: now)
        )
    }

    mutating func complete(
        _ set: AggregationSet,
        with request: EnqueueRequest,
        now: Int64
    ) -> Result<EnqueueReceipt, AsynqError> {
        guard let staged = sets[set.id] else {
            guard let done = completedSets[set.id], done.task == request.message.id else {
                return .failure(.aggregationSetEnded(set))
            }
            return .success(done.receipt)
        }
        let before = self
        for id in staged.ids {
            unlock(id)
            tasks[id] = nil
        }
        sets[set.id] = nil
        let result = enqueue(request, now: now)
        switch result {
        case .success(let receipt): completedSets[set.id] = (request.message.id, receipt)
        case .failure: self = before
        }
        return result
    }

    /// - Parameter delay: how long to leave the group alone.
    mutating func release(_ id: String, retryIn delay: Duration, now: Int64) {
        guard let staged = sets.removeValue(forKey: id) else { return }
        for id in staged.ids {
            guard let time = tasks[id]?.time else { continue }
            groups[staged.group, default: TimedIDs()].insert(id, time)
        }
        if delay > .zero { groupHolds[staged.group] = now.addingClamped(delay.nanosecondsClamped) }
    }

    mutating func extend(_ id: String, now: Int64) -> Bool {
        guard sets[id] != nil else { return false }
        sets[id]?.end = now.addingClamped(AggregationSet.lifetime.nanosecondsClamped)
        return true
    }

    mutating func archiveStaged(_ errors: [String: String], of set: AggregationSet, now: Int64) -> Bool {
        guard let staged = sets[set.id] else { return false }
        for id in staged.ids {
            guard let error = errors[id] else { continue }
            tasks[id]?.message.errorMessage = error
            tasks[id]?.message.lastFailedAt = now / second
            tasks[id]?.state = .archived
            tasks[id]?.time = now
            archived.insert(id, now)
        }
        sets[set.id]?.ids.removeAll { errors[$0] != nil }
        trimArchive(now)
        return true
    }

    /// - Returns: how many tasks are in their groups again.
    mutating func reclaimSets(limit: Int, now: Int64) -> Int {
        var count = 0
        for (id, set) in sets where set.end <= now && count < limit {
            count += set.ids.count
            release(id, retryIn: .zero, now: now)
        }
        return count
    }
}
