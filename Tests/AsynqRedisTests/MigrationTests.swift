import Asynq
import AsynqRedis
import Foundation
import TestSupport
import Testing

/// A queue's slot on its way to another node of a Cluster, stopped half-way: some of its keys are at the old node, others at
/// the new one.
struct MigrationTests {
    private let keys = QueueKeys("default")

    /// How attempts end while the slot moves, and the prefix of the ids of their tasks.
    private static let endings: [(prefix: String, outcome: FinishRequest.Outcome)] = [
        ("done", .done), ("completed", .done), ("dropped", .drop), ("back", .requeue), ("lost", .archive(error: "e")),
        ("retried", .retry(delay: .hours(1), error: "e", countsAsFailure: true)),
    ]

    /// Tasks in every state, more of each than are moved at first, and everything that the scripts name. Returns their ids,
    /// and those that are at work.
    private func fill(_ broker: RedisBroker, _ old: RawRedis) async throws -> (ids: Set<String>, leased: [LeasedTask]) {
        var requests: [EnqueueRequest] = []
        var ids: Set<String> = []
        func add(_ prefix: String, _ count: Int, _ change: (inout TaskMessage) -> Void = { _ in }) {
            for number in 0..<count {
                var task = message("\(prefix)-\(number)")
                change(&task)
                ids.insert(task.id)
                requests.append(EnqueueRequest(message: task))
            }
        }
        add("taken", 6)
        add("failed", 6)
        add("archived", 6)
        add("kept", 6) { $0.retention = 3600 }
        for ending in Self.endings {
            add(ending.prefix, 6) { if ending.prefix == "completed" { $0.retention = 3600 } }
            for index in requests.indices.suffix(6) {
                requests[index].message.payload = Array(requests[index].message.id.utf8)
                requests[index].uniqueFor = .hours(1)
            }
        }
        for result in await broker.enqueue(requests) { _ = try result.get() }
        let tasks = try await broker.take(100)
        func end(_ prefix: String, _ outcome: FinishRequest.Outcome) async {
            let own = tasks.filter { $0.message.id.hasPrefix(prefix) }
            #expect(await broker.end(own, outcome) == Array(repeating: "finished", count: 6))
        }
        await end("failed", .retry(delay: .milliseconds(1), error: "e", countsAsFailure: true))
        await end("archived", .archive(error: "e"))
        await end("kept", .done)
        // Those that are left: their leases ended long ago.
        for task in tasks where task.message.id.hasPrefix("taken") {
            try await old("ZINCRBY", keys.lease, -100, task.message.id)
        }
        requests = []
        add("waiting", 6)
        add("g", 6) { $0.group = "g" }
        add("h", 6) { $0.group = "h" }
        for number in 0..<6 {
            let task = message("due-\(number)")
            ids.insert(task.id)
            requests.append(EnqueueRequest(message: task, start: .after(milliseconds: 1 + Int64(number))))
        }
        for result in await broker.enqueue(requests) { _ = try result.get() }
        // One that is due at a fraction of a second, much later.
        ids.insert("later")
        let later = EnqueueRequest(message: message("later"), start: .after(milliseconds: 3_600_123))
        _ = try await broker.enqueue([later])[0].get()
        // A set that nobody holds any more, and a group that is left alone for a while.
        let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: nil, maxSize: 6)
        let group = GroupReference(queue: "default", name: "h")
        let set = try #require(try await broker.stageGroups([group], policy: policy, limit: 1)[0].get().set)
        try await old("ZADD", keys.aggregationSets, 1, keys.group("h") + ":" + set.id)
        try await old("ZADD", keys.groupHolds, 1, "none")
        return (ids, tasks.filter { task in Self.endings.contains { task.message.id.hasPrefix($0.prefix + "-") } })
    }

    /// All that servers and inspectors do, each once, as it is done while the slot moves.
    private func work(_ broker: RedisBroker, _ leased: [LeasedTask]) async throws {
        let inspector = AsynqInspector(broker)
        let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: nil, maxSize: 6)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for ending in Self.endings {
                let own = leased.filter { $0.message.id.hasPrefix(ending.prefix + "-") }
                group.addTask {
                    #expect(await broker.end(own, ending.outcome) == Array(repeating: "finished", count: 6))
                }
            }
            group.addTask { _ = try await broker.forward(queues: ["default"], limit: 100) }
            group.addTask {
                let tasks = try await broker.expiredLeases(queues: ["default"], limit: 100)
                for outcome in await broker.end(tasks, .archive(error: "e"), isRecovery: true) {
                    #expect(outcome == "finished")
                }
            }
            group.addTask {
                let check = try await broker.stageGroups(
                    [GroupReference(queue: "default", name: "g")],
                    policy: policy,
                    limit: 1
                )[0].get()
                if let set = check.set { try await broker.releaseAggregation(set, retryIn: .hours(1)) }
            }
            group.addTask { _ = try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: 100) }
            group.addTask { _ = try await inspector.runAll(.archived, queue: "default") }
            group.addTask { _ = try await inspector.archiveAll(.retry, queue: "default") }
            group.addTask { for id in ["kept-0", "kept-1"] { try await inspector.archive(id, queue: "default") } }
            group.addTask { _ = try await inspector.task("kept-2", queue: "default") }
            group.addTask {
                let occurrence = EntryOccurrence(
                    entryID: "e",
                    time: 1000,
                    request: EnqueueRequest(message: message("periodic"))
                )
                _ = try await broker.enqueueOccurrences([occurrence])[0].get()
            }
            group.addTask { _ = try await broker.enqueue([EnqueueRequest(message: message("new"))])[0].get() }
            try await group.waitForAll()
        }
    }

    /// A Cluster, the slot of the queue, the node that has it and another one, and a broker that waits for the end of a move.
    private func withMove(
        _ body: (ClusterSet, Int, RedisServer, RedisServer, RedisBroker) async throws -> Void
    ) async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            let slot = try set.slot(of: keys.base)
            let old = try #require(try set.master(of: slot))
            let new = try #require(set.servers.prefix(3).first { $0.port != old.port })
            let target = try RedisConfiguration.patient(set.uri, dialTimeout: .seconds(60))
            let broker = try RedisBroker(configuration: target, logger: .silent)
            try await body(set, slot, old, new, broker)
            await broker.shutdown()
        }
    }

    enum Moved: CaseIterable {
        /// The old node has all keys that scripts name, and not all messages.
        case halfOfTheMessages
        /// The new node has all keys that scripts name, and no message.
        case allButTheMessages
    }

    @Test(arguments: Moved.allCases)
    func `all that is asked for while a part of a slot's keys has moved waits for the others, and loses nothing`(
        moved: Moved
    ) async throws {
        try await withMove { set, slot, old, new, broker in
            let (before, after) = (try RawRedis(old.uri), try RawRedis(new.uri))
            let filled = try await fill(broker, before)
            var ids = filled.ids
            #expect(try await RedisDump(before).contradictions() == [])

            try set.beginMove(slot, from: old, to: new)
            let all = try old.cli("CLUSTER", "GETKEYSINSLOT", "\(slot)", "1000").split(separator: "\n").map(String.init)
            let messages = all.filter { $0.hasPrefix(keys.taskPrefix) }.sorted()
            #expect(messages.count > 40)
            let part =
                switch moved {
                case .halfOfTheMessages:
                    messages.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
                case .allButTheMessages: all.filter { !$0.hasPrefix(keys.taskPrefix) }
                }
            let answer = try old.cli(["MIGRATE", "127.0.0.1", "\(new.port)", "", "0", "5000", "KEYS"] + part)[0]
            #expect(answer == "OK")
            // Wherever the leases are by now.
            #expect(try await broker.extendLeases(filled.leased).allSatisfy(\.self))
            func hasFailed() throws -> Bool { try old.cli("INFO", "errorstats").contains("errorstat_ERR") }
            #expect(try !hasFailed(), "a script has failed in the middle")
            // That may have been refused as well.
            try old.cli("CONFIG", "RESETSTAT")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await work(broker, filled.leased) }
                try await eventually("a script is refused") {
                    try old.cli("INFO", "errorstats").contains(
                        moved == .halfOfTheMessages ? "errorstat_TRYAGAIN" : "errorstat_ASK"
                    )
                }
                while try set.moveKeys(slot, from: old, to: new, limit: 10) > 0 {}
                try set.endMove(slot, to: new)
                try await group.waitForAll()
            }
            #expect(try !hasFailed(), "a script has failed in the middle")
            let dump = try await RedisDump(after)
            #expect(dump.contradictions() == [])
            ids.formUnion(["periodic", "new"])
            for prefix in ["done-", "dropped-"] { ids = ids.filter { !$0.hasPrefix(prefix) } }
            let stored = dump.entries.keys.filter { $0.hasPrefix(keys.taskPrefix) }
            #expect(Set(stored.map { String($0.dropFirst(keys.taskPrefix.count)) }) == ids)
            for redis in [before, after] { await redis.topology.shutdown() }
        }
    }

    enum Emptied: CaseIterable {
        /// The list of active tasks: so many leave it in one go that it is put together again of what is left.
        case list
        /// A group, whose last task is run.
        case group
    }

    /// All of its keys are still at the old node, which does not serve one that a script has emptied and fills again.
    @Test(arguments: Emptied.allCases)
    func `a script does not run half when it empties a key of a slot that is about to move`(
        emptied: Emptied
    ) async throws {
        try await withMove { set, slot, old, new, broker in
            let inspector = AsynqInspector(broker)
            let (before, after) = (try RawRedis(old.uri), try RawRedis(new.uri))

            // Every key that the scripts name is there, and in some there is little.
            let ended = (0..<9).map { "ended-\($0)" }
            var tasks = (["done", "failed", "archived", "kept", "active"] + ended).map { message($0) }
            tasks[3].retention = 3600
            for result in await broker.enqueue(tasks.map { EnqueueRequest(message: $0) }) { _ = try result.get() }
            let leased = try await broker.take(tasks.count)
            let outcomes: [FinishRequest.Outcome] = [
                .done, .retry(delay: .hours(1), error: "e", countsAsFailure: true), .archive(error: "e"), .done,
            ]
            for (task, outcome) in zip(leased, outcomes) { #expect(await broker.end([task], outcome) == ["finished"]) }
            var alone = message("alone")
            alone.group = "g"
            let more = [
                EnqueueRequest(message: alone), EnqueueRequest(message: message("waiting")),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 3_600_123)),
            ]
            for result in await broker.enqueue(more) { _ = try result.get() }

            try set.beginMove(slot, from: old, to: new)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    switch emptied {
                    case .list:
                        #expect(await broker.end(Array(leased[5..<14]), .done) == ended.map { _ in "finished" })
                    case .group: try await inspector.run("alone", queue: "default")
                    }
                }
                try await eventually("the script is refused") {
                    try old.cli("INFO", "errorstats").contains(/errorstat_(TRYAGAIN|ERR):/)
                }
                while try set.moveKeys(slot, from: old, to: new, limit: 10) > 0 {}
                try set.endMove(slot, to: new)
                try await group.waitForAll()
            }
            #expect(try !old.cli("INFO", "errorstats").contains("errorstat_ERR"), "a script has failed in the middle")
            let dump = try await RedisDump(after)
            #expect(dump.contradictions() == [])
            var left: Set = ["failed", "archived", "kept", "active", "alone", "waiting", "later"]
            if emptied == .group { left.formUnion(ended) }
            let stored = dump.entries.keys.filter { $0.hasPrefix(keys.taskPrefix) }
            #expect(Set(stored.map { String($0.dropFirst(keys.taskPrefix.count)) }) == left)
            #expect(try await inspector.task("active", queue: "default").state == .active)
            let expected: TaskState = emptied == .group ? .pending : .aggregating
            #expect(try await inspector.task("alone", queue: "default").state == expected)
            for redis in [before, after] { await redis.topology.shutdown() }
        }
    }
}
