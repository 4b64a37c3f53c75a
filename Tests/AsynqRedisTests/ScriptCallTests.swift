import Asynq
import AsynqRedis
import Foundation
import RedisClient
import TestSupport
import Testing

/// What reaches Redis when a broker does everything that it can, with no time that a caller names.
enum ScriptCalls {
    /// The calls of scripts, each as its words: the command, the script's hash, the number of keys, the keys, the arguments.
    static func recorded() async throws -> [[String]] {
        try await RedisServer.withServer(["--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000"]) { server in
            let broker = try RedisBroker(configuration: .patient(server.uri), logger: .silent)
            let redis = try RawRedis(server)
            try await workAndEnd(broker)
            try await aggregate(broker)
            try await inspect(broker)
            try await schedule(broker)
            let entries = try await redis("SLOWLOG", "GET", "10000").array ?? []
            await broker.shutdown()
            await redis.topology.shutdown()
            // What the scripts themselves call is there as well.
            let calls = entries.compactMap { $0.array?[3].array?.compactMap(\.string) }
                .filter { $0.first?.hasPrefix("EVAL") == true }
            // Of each script at least one.
            let scripts = Set(calls.filter { $0[0] == "EVALSHA" }.map { $0[1] })
            #expect(scripts.count == 32)
            return calls
        }
    }

    private static func put(_ requests: [EnqueueRequest], _ broker: RedisBroker) async throws {
        for request in requests { _ = try await broker.enqueue([request])[0].get() }
    }

    private static func workAndEnd(_ broker: RedisBroker) async throws {
        var kept = message("kept")
        kept.retention = 60
        try await put(
            [
                EnqueueRequest(message: message("plain")), EnqueueRequest(message: kept),
                EnqueueRequest(message: message("unique", payload: [2]), uniqueFor: .minutes(5)),
                EnqueueRequest(message: message("later"), start: .after(milliseconds: 60_500)),
                EnqueueRequest(message: message("retried")), EnqueueRequest(message: message("failed")),
                EnqueueRequest(message: message("back")),
            ],
            broker
        )
        let tasks = try await broker.take(6)
        #expect(tasks.map(\.message.id) == ["plain", "kept", "unique", "retried", "failed", "back"])
        #expect(try await broker.extendLeases([tasks[0]]) == [true])
        try await broker.writeResult([1], of: tasks[0])
        let outcomes: [FinishRequest.Outcome] = [
            .done, .done, .drop, .retry(delay: .milliseconds(60_500), error: "e", countsAsFailure: true),
            .archive(error: "e"), .requeue,
        ]
        for (task, outcome) in zip(tasks, outcomes) { #expect(await broker.end([task], outcome) == ["finished"]) }
        _ = try await broker.forward(queues: ["default"], limit: 10)
        _ = try await broker.expiredLeases(queues: ["default"], limit: 10)
        _ = try await broker.deleteExpiredCompleted(queue: "default", limit: 10)
        let request = PermitRequest(scope: "s", limit: 1, holder: "a", duration: .seconds(9))
        // To give it back names the time that the server has given for it.
        #expect(try await broker.acquirePermit(request) != nil)
    }

    private static func aggregate(_ broker: RedisBroker) async throws {
        for id in ["a", "b", "c"] {
            var task = message(id)
            task.group = id
            try await put([EnqueueRequest(message: task)], broker)
        }
        let groups = ["a", "b", "c"].map { GroupReference(queue: "default", name: $0) }
        let policy = GroupPolicy(gracePeriod: .hours(1), maxDelay: .hours(2), maxSize: 1)
        let sets = try await broker.stageGroups(groups, policy: policy, limit: 3).compactMap { try $0.get().set }
        #expect(sets.count == 3)
        #expect(try await broker.extendAggregations([sets[0]]) == [true])
        try await broker.releaseAggregation(sets[0], retryIn: .seconds(9))
        _ = try await broker.completeAggregation(sets[1], with: EnqueueRequest(message: message("sum"))).get()
        try await broker.archiveStaged([sets[2].tasks[0].id: "e"], of: sets[2])
        _ = try await broker.waitingGroups(in: ["default"])
        _ = try await broker.reclaimStaleAggregationSets(queues: ["default"], limit: 10)
    }

    private static func inspect(_ broker: RedisBroker) async throws {
        let inspector = AsynqInspector(broker)
        try await inspector.pause("default")
        _ = try await inspector.history(of: "default")
        _ = try await inspector.snapshots()
        _ = try await inspector.task("later", queue: "default")
        for state in TaskState.allCases { _ = try await inspector.tasks(in: state, queue: "default") }
        try await inspector.updatePayload([3], of: "later", queue: "default")
        for id in ["later", "retried", "failed", "kept"] { try await inspector.run(id, queue: "default") }
        _ = try await inspector.archiveAll(.pending, queue: "default")
        try await inspector.resume("default")
        let state = ServerState(
            identity: ServerIdentity(host: "h", pid: 1, id: "s"),
            concurrency: 1,
            queues: ["default": 1],
            strictPriority: false,
            status: "active",
            startedAt: Date(),
            workers: [.init(task: LeasedTask(message: message("a"), leaseEnd: 0), startedAt: Date(), deadline: nil)]
        )
        try await broker.writeServerState(state, ttl: .seconds(600))
        #expect(try await inspector.servers().count == 1)
        try await put([EnqueueRequest(message: message("x", queue: "other"))], broker)
        _ = try await inspector.deleteQueue("other", force: true)
    }

    private static func schedule(_ broker: RedisBroker) async throws {
        let entries = ["e"].map { EntryReference(entryID: $0, queue: "default") }
        _ = await broker.entryMarks(entries)
        _ = try await broker.holdSchedulerLease("g", holder: "a", ttl: .seconds(9))
        try await broker.releaseSchedulerLease("g", holder: "a")
    }
}

struct ScriptCallTests {
    @Test func `the keys of each script are of one slot, and all that it may touch begins with one of them`()
        async throws
    {
        for call in try await ScriptCalls.recorded() {
            let count = try #require(Int(call[2]))
            let keys = call[3..<3 + count]
            let slot = try #require(keys.first.map(KeySlot.slot))
            for key in keys { #expect(KeySlot.slot(of: key) == slot, "\(call)") }
            // Prefixes of further keys come as arguments.
            for prefix in call[(3 + count)...] where prefix.hasPrefix("asynq:") {
                let slotOfPrefix = KeySlot.slot(of: prefix)
                #expect(prefix.contains("}") && slotOfPrefix == slot, "\(call)")
            }
        }
    }
}
