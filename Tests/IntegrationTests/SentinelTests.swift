import Asynq
import AsynqRedis
import Synchronization
import TestSupport
import Testing

/// A fail-over under load.
struct SentinelTests {
    /// What is asserted is what Redis promises: a task whose enqueue was acknowledged and replicated is not lost. Each of the
    /// first hundred is, as WAIT says; none is acknowledged between that and the death of the master.
    @Test func `a fail-over loses no task, and those in work end on the new master`() async throws {
        try await SentinelSet.withSet(patience: .seconds(30)) { set in
            let broker = try RedisBroker(set.uri, logger: .silent)
            let ran = Recorder<String>()
            let (started, gate) = (Recorder<Void>(), Recorder<Void>())
            let handler = ClosureHandler { _, context in
                started.add(())
                await gate.wait(for: 1)
                ran.add(context.taskID)
            }
            let client = AsynqClient(broker)
            try await withServer(broker, handler: handler) { _ in
                try await put((0..<100).map { "before-\($0)" }, client)
                await started.wait(for: 10)
                #expect(try set.servers[0].waitForReplicas(2) == 2)
                try set.setPatience(SentinelSet.littlePatience)
                set.servers[0].kill()

                try await put(["after-0"], client)
                // From now on none is replaced: what comes is not replicated when it is acknowledged.
                try set.setPatience(.seconds(30))
                try await put((1..<100).map { "after-\($0)" }, client)
                gate.add(())
                let wanted = Set((0..<100).flatMap { ["before-\($0)", "after-\($0)"] })
                try await eventually("all have run") { wanted.isSubset(of: ran.elements) }
                let master = try #require(set.master())
                #expect(master.port != set.servers[0].port)
                try await eventually("all are stored as done") { try master.isEmpty() }
                #expect(Set(ran.elements) == wanted)
            }
            await broker.shutdown()
        }
    }

    /// Nothing stops for the death of the master. Each acknowledged task was confirmed by a replica, and Sentinels elect the
    /// replica that has most.
    @Test func `a fail-over loses no task that was acknowledged by a replica`() async throws {
        try await SentinelSet.withSet(patience: .seconds(30)) { set in
            let broker = try RedisBroker(
                configuration: RedisConfiguration(set.uri),
                durability: .replicas(1, within: .seconds(2)),
                logger: .silent
            )
            let (acknowledged, ran) = (Recorder<String>(), Recorder<String>())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for producer in 0..<4 {
                    group.addTask {
                        for number in 0... {
                            let task = AsynqTask("t", .taskID("\(producer)-\(number)"))
                            guard case .success(let info) = await AsynqClient(broker).enqueue(batch: [task])[0] else {
                                continue
                            }
                            acknowledged.add(info.id)
                            if acknowledged.count >= 2000 { break }
                        }
                    }
                }
                await acknowledged.wait(for: 500)
                try set.setPatience(SentinelSet.littlePatience)
                set.servers[0].kill()
                try await group.waitForAll()
            }
            let handler = ClosureHandler { _, context in ran.add(context.taskID) }
            try await withServer(broker, handler: handler) { _ in
                let wanted = Set(acknowledged.elements)
                try await eventually("all have run") { ran.count >= wanted.count && wanted.isSubset(of: ran.elements) }
            }
            await broker.shutdown()
        }
    }

    /// Enqueues one after another, each until it is acknowledged.
    private func put(_ ids: [String], _ client: AsynqClient) async throws {
        for id in ids {
            var isStored = false
            while !isStored {
                do {
                    try await client.enqueue(AsynqTask("t"), .taskID(id))
                    isStored = true
                } catch let error as AsynqError where error.code == .taskIDConflict {
                    // It was stored although the answer was lost.
                    isStored = true
                } catch let error as AsynqError where error.code == .brokerUnavailable {
                    continue
                }
            }
        }
    }
}

extension RedisServer {
    /// Waits until so many replicas have all that was written before. Returns how many have.
    func waitForReplicas(_ count: Int, key: String = "written") throws -> Int {
        // WAIT is about what its own connection has written, and so about all that was written before that.
        let replies = try cli(["SET", key, "1"], ["WAIT", "\(count)", "10000"])
        return Int(replies[1]) ?? -1
    }
}
