import Asynq
import AsynqRedis
import TestSupport
import Testing

/// Servers and clients on a Cluster, on bad days.
struct ClusterTests {
    /// Queues on all three nodes, as long as no slot has moved.
    private let queues = ["default", "low", "critical", "mail", "video", "audio"]

    /// What is asserted is what Redis promises: a task whose enqueue was acknowledged and replicated is not lost. Each of the
    /// first ones is, as WAIT says; none is acknowledged between that and the death of the master.
    @Test func `queues go on when a node dies, and lose no task`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            let broker = try RedisBroker(configuration: .patient(set.uri), logger: .silent)
            let ran = Recorder<String>()
            let (started, gate) = (Recorder<Void>(), Recorder<Void>())
            let handler = ClosureHandler { _, context in
                started.add(())
                await gate.wait(for: 1)
                ran.add(context.taskID)
            }
            let client = AsynqClient(broker)
            let priorities = Dictionary(uniqueKeysWithValues: queues.map { ($0, 1) })
            try await withServer(broker, configuration(queues: priorities), handler: handler) { _ in
                let holders = try queues.map { try set.master(of: set.slot(of: "asynq:{\($0)}:")) }
                #expect(Set(holders.compactMap { $0?.port }).count == 3)
                // In one call: a batch spans nodes.
                try await put((0..<120).map { "before-\($0)" }, client)
                await started.wait(for: 10)
                for server in set.servers.prefix(3) {
                    #expect(try server.waitForReplicas(1, key: server.ownKey()) == 1)
                }
                let victim = try #require(holders[0])
                try set.setPatience(ClusterSet.littlePatience)
                victim.kill()

                // To a queue of the one that is dead.
                try await put(["after-0"], client)
                // From now on none is replaced: what comes is not replicated when it is acknowledged.
                try set.setPatience(.seconds(30))
                try await put((1..<120).map { "after-\($0)" }, client)
                gate.add(())
                let wanted = Set((0..<120).flatMap { ["before-\($0)", "after-\($0)"] })
                try await eventually("all have run") { wanted.isSubset(of: ran.elements) }
                #expect(Set(ran.elements) == wanted)
                for queue in queues {
                    try await eventually("all of \(queue) are stored as done") {
                        let slot = try set.slot(of: "asynq:{\(queue)}:")
                        return try set.master(of: slot)?.isEmpty(queue: queue) == true
                    }
                }
            }
            await broker.shutdown()
        }
    }

    @Test func `a queue in use moves to another node, and loses no task`() async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            let broker = try RedisBroker(configuration: .patient(set.uri), logger: .silent)
            let ran = Recorder<String>()
            let handler = ClosureHandler { _, context in ran.add(context.taskID) }
            let slot = try set.slot(of: "asynq:{default}:")
            let old = try #require(try set.master(of: slot))
            let new = try #require(set.servers.prefix(3).first { $0.port != old.port })
            try await withServer(broker, handler: handler) { _ in
                let client = AsynqClient(broker)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for producer in 0..<4 {
                        group.addTask {
                            for number in 0..<250 {
                                try await store(AsynqTask("t", .taskID("\(producer)-\(number)")), client)
                            }
                        }
                    }
                    await ran.wait(for: 100)
                    try set.move(slot, from: old, to: new)
                    try await group.waitForAll()
                }
                let wanted = Set((0..<4).flatMap { producer in (0..<250).map { "\(producer)-\($0)" } })
                try await eventually("all have run") { wanted.isSubset(of: ran.elements) }
                #expect(Set(ran.elements) == wanted)
                try await eventually("all are stored as done") { try new.isEmpty() }
                // The old node has nothing left, the new one no task, and nothing was counted twice.
                #expect(try old.cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "0")
                let keys = try new.cli("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100")
                #expect(!keys.contains(":t:"), "\(keys)")

                // It wakes up by itself at the new node.
                let count = ran.count
                try await store(AsynqTask("t", .taskID("last")), client)
                await ran.wait(for: count + 1)
                try await eventually("the new node and its replica are known to serve it") {
                    let nodes = try await AsynqInspector(broker).nodes(of: "default")
                    return nodes.first == "127.0.0.1:\(new.port)" && nodes.count == 2
                }
            }
            await broker.shutdown()
        }
    }

    /// With one place for a handler, which must not be kept for the task that cannot be had, while what has ended cannot be
    /// stored.
    @Test(arguments: [false, true])
    func `a queue that stands still while its slot moves does not hold up others`(isStrict: Bool) async throws {
        try await ClusterSet.withCluster(patience: .seconds(30)) { set in
            var target = try RedisConfiguration.patient(set.uri)
            // So long does a call wait for the end of a move.
            target.dialTimeout = .seconds(600)
            let broker = try RedisBroker(configuration: target, logger: .silent)
            let (started, gate, ran) = (Recorder<Void>(), Recorder<Void>(), Recorder<String>())
            let handler = ClosureHandler { _, context in
                started.add(())
                await gate.wait(for: 1)
                ran.add(context.taskID)
            }
            let slot = try set.slot(of: "asynq:{default}:")
            let old = try #require(try set.master(of: slot))
            let new = try #require(set.servers.prefix(3).first { $0.port != old.port })
            let low = try #require(try set.master(of: set.slot(of: "asynq:{low}:")))
            let client = AsynqClient(broker)
            try await client.enqueue(AsynqTask("t", .taskID("begun")))
            let settings = configuration(concurrency: 1, queues: ["default": 2, "low": 1]) {
                $0.strictPriority = isStrict
            }
            try await withServer(broker, settings, handler: handler) { _ in
                await started.wait(for: 1)
                try await client.enqueue(AsynqTask("t", .taskID("held")))
                try set.beginMove(slot, from: old, to: new)
                gate.add(())
                await ran.wait(for: 1)
                for number in 0..<20 {
                    let delay = Duration.milliseconds(number.isMultiple(of: 4) ? 10 : 0)
                    try await client.enqueue(AsynqTask("t", .taskID("\(number)"), .queue("low"), .processIn(delay)))
                    await ran.wait(for: number + 2)
                }
                #expect(ran.elements == ["begun"] + (0..<20).map { "\($0)" })
                try await eventually("what has run of the other queue is stored") { try low.isEmpty(queue: "low") }
                while try set.moveKeys(slot, from: old, to: new, limit: 10) > 0 {}
                try set.endMove(slot, to: new)
                await ran.wait(for: 22)
                #expect(ran.elements.last == "held")
                try await eventually("what has run is stored") { try new.isEmpty() }
            }
            await broker.shutdown()
        }
    }

    private func put(_ ids: [String], _ client: AsynqClient) async throws {
        var left = ids.enumerated().map { AsynqTask("t", .taskID($1), .queue(queues[$0 % queues.count])) }
        while !left.isEmpty {
            let results = await client.enqueue(batch: left)
            left = try zip(left, results).compactMap { task, result in try isStored(result) ? nil : task }
        }
    }

    private func store(_ task: AsynqTask, _ client: AsynqClient) async throws {
        while !(try isStored(await client.enqueue(batch: [task])[0])) {}
    }

    /// - Throws: what no repetition would help against.
    private func isStored(_ result: Result<TaskInfo, AsynqError>) throws -> Bool {
        switch result {
        case .success: return true
        case .failure(let error):
            // It was stored although the answer was lost.
            if error.code == .taskIDConflict { return true }
            guard error.code == .brokerUnavailable else { throw error }
            return false
        }
    }
}

extension RedisServer {
    /// A key in a slot of its own.
    func ownKey() throws -> String {
        for number in 0..<10_000 where try cli("SET", "k\(number)", "1") == "OK" { return "k\(number)" }
        throw NeverHappened(description: "a node serves no slot")
    }
}
