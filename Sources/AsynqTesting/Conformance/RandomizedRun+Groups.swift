import Asynq

/// Operations on groups.
extension RandomizedRun {
    private static let policy = GroupPolicy(
        gracePeriod: .seconds(Int(BrokerModel.policy.grace)),
        maxDelay: .seconds(Int(BrokerModel.policy.delay)),
        maxSize: BrokerModel.policy.size
    )

    mutating func aggregate() async throws {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<5: try await stage()
        case 5..<7: try await complete()
        case 7: try await release()
        case 8: try await extendSet()
        default: try await reclaim()
        }
    }

    private mutating func stage() async throws {
        let now = try await now()
        history.append("stage")
        let groups = try await broker.waitingGroups(in: [queue])
        let isReady = model.isGroupReady(now: now)
        try expectEqual(groups.map(\.name), isReady == nil ? [] : ["g"], "groups")
        let group = GroupReference(queue: queue, name: "g")
        let check = try await broker.stageGroups([group], policy: Self.policy, limit: 1)[0].get()
        try expectEqual(check.set != nil, isReady == true, "staged")
        guard let set = check.set else { return }
        let ids = set.tasks.map(\.id)
        try expect(model.areOldest(ids), "staged \(ids), which are not the oldest or not all")
        model.stage(ids, as: set.id, now: now)
        sets.append(set)
        history.append("staged \(ids)")
    }

    private mutating func complete() async throws {
        let now = try await now()
        guard let set = sets.randomElement(using: &random) else { return }
        nextID += 1
        let isOld = Int.random(in: 0..<6, using: &random) == 0
        let id = (isOld ? model.tasks.randomElement(using: &random)?.message.id : nil) ?? "sum\(nextID)"
        // That would be the same request again.
        guard model.replaced[set.id] != id else { return }
        var request = EnqueueRequest(
            message: message(id, type: "a", payload: [UInt8.random(in: 0..<4, using: &random)])
        )
        if Int.random(in: 0..<3, using: &random) == 0 { request.uniqueFor = .seconds(60) }
        history.append("complete \(set.tasks.map(\.id)) as \(id)\(request.uniqueFor == nil ? "" : " unique")")
        let result: String =
            switch await broker.completeAggregation(set, with: request) {
            case .success(let receipt): receipt.state.rawValue
            case .failure(let error): error.code.description
            }
        try expectEqual(result, model.complete(set.id, request, now: now), "result")
        // Some come back to a set that they have ended.
        if Int.random(in: 0..<5, using: &random) > 0 { sets.removeAll { $0.id == set.id } }
    }

    private mutating func release() async throws {
        guard let set = sets.randomElement(using: &random) else { return }
        history.append("release \(set.tasks.map(\.id))")
        try await broker.releaseAggregation(set, retryIn: .zero)
        model.release(set.id)
    }

    private mutating func extendSet() async throws {
        let now = try await now()
        guard let set = sets.randomElement(using: &random) else { return }
        history.append("extend \(set.tasks.map(\.id))")
        try expectEqual(
            try await broker.extendAggregations([set]),
            [model.extend(set: set.id, now: now)],
            "extended"
        )
    }

    private mutating func reclaim() async throws {
        let now = try await now()
        history.append("reclaim")
        let count = try await broker.reclaimStaleAggregationSets(queues: [queue], limit: 1000)
        try expectEqual(count, model.reclaim(now: now), "reclaimed")
    }
}
