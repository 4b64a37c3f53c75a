internal import Asynq
internal import RedisClient

extension RedisBroker {
    /// Keys that begin as ours do and that nothing here makes: of queues that are not in the list of queues, or of another
    /// program. Looks through the keys step by step, those of each master of a Cluster, and at about so many at most.
    ///
    /// - Returns: those that were found, and how many keys were looked at.
    package func unknownKeys(lookingAt limit: Int) async throws -> (keys: [String], lookedAt: Int) {
        let queues = Set(try await queueNames())
        let masters: [RedisConfiguration.Endpoint]
        do {
            masters = try await redis.masters()
        } catch {
            throw AsynqError(error)
        }
        // A key that the scan shows twice is one.
        var unknown: Set<String> = []
        var lookedAt = 0
        for (index, master) in masters.enumerated() {
            // What one node has too few of is left to the others.
            let share = lookedAt + (limit - lookedAt) / (masters.count - index)
            var cursor = "0"
            repeat {
                let scan = RESPCommand("SCAN", cursor, "MATCH", "asynq:*", "COUNT", "1000")
                let page = try await reply(scan, .node(master)).array ?? []
                guard page.count == 2, let next = page[0].string else {
                    throw AsynqError(.brokerFailure, "unexpected reply to a look at the keys")
                }
                cursor = next
                let keys = page[1].array?.compactMap(\.string) ?? []
                lookedAt += keys.count
                unknown.formUnion(keys.filter { !RedisKeys.isKnown($0, queues: queues) })
            } while cursor != "0" && lookedAt < share
        }
        return (unknown.sorted(), lookedAt)
    }
}

extension RedisKeys {
    private static let globals: Set<String> = [queues, servers, workers, schedulers]
    private static let prefixes = [
        "asynq:servers:{", "asynq:workers:{", "asynq:schedulers:{", "asynq:scheduler_history:", "asynq:sema:",
        "asynq:scheduler_lease:",
    ]

    /// Whether a key is one of those that are described here.
    static func isKnown(_ key: String, queues: Set<String>) -> Bool {
        if globals.contains(key) || prefixes.contains(where: key.hasPrefix) { return true }
        guard key.hasPrefix("asynq:{") else { return false }
        // The name of a queue may hold any character, "}:" too.
        var end = key.startIndex
        while let found = key[end...].firstRange(of: "}:") {
            let name = String(key[key.index(key.startIndex, offsetBy: 7)..<found.lowerBound])
            if queues.contains(name), isKnown(part: key[found.upperBound...], QueueKeys(name)) { return true }
            end = found.upperBound
        }
        return false
    }

    /// - Parameter part: what follows ``QueueKeys/base``.
    private static func isKnown(part: Substring, _ keys: QueueKeys) -> Bool {
        let lists = [
            keys.pending, keys.active, keys.lease, keys.scheduled, keys.retry, keys.archived, keys.completed,
            keys.paused,
            keys.processed, keys.failed, keys.groups, keys.aggregationSets, keys.groupHolds, keys.due, keys.marks,
        ]
        if lists.contains(keys.base + part) { return true }
        // Tasks, groups and their sets, locks, and the counters of days.
        return ["t:", "g:", "unique:", "processed:", "failed:"].contains(where: part.hasPrefix)
    }
}
