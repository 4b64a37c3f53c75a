import Asynq

/// Groups in the words of the rules.
extension ConformanceSubject {
    func stage(
        _ groups: [GroupReference],
        _ policy: GroupPolicy,
        limit: Int,
        line: UInt = #line
    ) async throws -> [GroupCheck] {
        let checks = try await broker.stageGroups(groups, policy: policy, limit: limit).map { try $0.get() }
        for queue in Set(groups.map(\.queue)) { _ = try await contents(queue, line: line) }
        return checks
    }

    func stage(_ group: String, _ policy: GroupPolicy, line: UInt = #line) async throws -> GroupCheck {
        let groups = [GroupReference(queue: "default", name: group)]
        return try await stage(groups, policy, limit: 1, line: line)[0]
    }

    /// A group that must be ready.
    func staged(_ group: String, _ policy: GroupPolicy, line: UInt = #line) async throws -> AggregationSet {
        let check = try await stage(group, policy, line: line)
        guard let set = check.set else {
            throw BrokenRule("\(group) is not ready, but in \(String(describing: check.nextDueIn))", line)
        }
        return set
    }

    /// - Parameter due: in seconds.
    func expectNotReady(
        _ group: String,
        _ policy: GroupPolicy,
        due: ClosedRange<Int64>,
        line: UInt = #line
    ) async throws {
        let check = try await stage(group, policy, line: line)
        try expect(check.set == nil, "\(group) was staged too early", line: line)
        let range = Duration.seconds(due.lowerBound)...Duration.seconds(due.upperBound)
        try expect(
            check.nextDueIn.map(range.contains) == true,
            "\(group) is due in \(String(describing: check.nextDueIn)), expected \(range)",
            line: line
        )
    }

    func complete(
        _ set: AggregationSet,
        with request: EnqueueRequest,
        line: UInt = #line
    ) async throws -> Result<EnqueueReceipt, AsynqError> {
        let result = await broker.completeAggregation(set, with: request)
        _ = try await contents(set.group.queue, line: line)
        return result
    }

    func reclaim(_ queue: String = "default", line: UInt = #line) async throws -> Int {
        let count = try await broker.reclaimStaleAggregationSets(queues: [queue], limit: 1000)
        _ = try await contents(queue, line: line)
        return count
    }

    /// Nothing can be done with this set any more.
    func expectEnded(_ set: AggregationSet, line: UInt = #line) async throws {
        let before = try await contents(set.group.queue, line: line)
        let request = EnqueueRequest(message: message("late", queue: set.group.queue))
        guard case .failure(let error) = try await complete(set, with: request, line: line) else {
            throw BrokenRule("a set that has ended was completed", line)
        }
        try expectEqual(error.code, .leaseExpired, "error", line: line)
        try expectEqual(try await broker.extendAggregations([set]), [false], "extended", line: line)
        try await broker.releaseAggregation(set, retryIn: .zero)
        do {
            try await broker.archiveStaged(Dictionary(uniqueKeysWithValues: set.tasks.map { ($0.id, "late") }), of: set)
            throw BrokenRule("tasks of a set that has ended were archived", line)
        } catch let error as AsynqError {
            try expectEqual(error.code, .leaseExpired, "error", line: line)
        }
        try expectEqual(try await sorted(set.group.queue), sorted(before), "contents", line: line)
    }

    /// Without regard to the order of what has none.
    func sorted(_ queue: String = "default") async throws -> StoredQueue { sorted(try await contents(queue)) }

    func sorted(_ contents: StoredQueue) -> StoredQueue {
        var contents = contents
        for state in TaskState.allCases where state != .pending { contents.places[state, default: []].sort() }
        contents.places = contents.places.filter { !$0.value.isEmpty }
        return contents
    }
}
