import Asynq
import AsynqSQLite
import AsynqTesting
import Foundation
import TestSupport
import Testing

/// Groups that servers aggregate on a file.
struct AggregationTests {
    /// Joins the payloads of a group.
    private static let join = ClosureAggregator { tasks, context in
        let parts = tasks.map { String(decoding: $0.payload ?? [], as: UTF8.self) }
        return AsynqTask("joined", payload: Array("\(context.group): \(parts.joined(separator: " "))".utf8))
    }

    private func configuration(_ change: (inout AsynqServer.Configuration) -> Void) -> AsynqServer.Configuration {
        var configuration = AsynqServer.Configuration(concurrency: 4)
        configuration.handlesSignals = false
        configuration.logger = .silent
        configuration.groupAggregator = Self.join
        configuration.groupGracePeriod = .hours(1)
        change(&configuration)
        return configuration
    }

    private func task(_ text: String, _ group: String = "g", _ options: TaskOption...) -> AsynqTask {
        AsynqTask("part", payload: Array(text.utf8), options: [.group(group)] + options)
    }

    private func handler(_ runs: Recorder<String>) -> ClosureHandler {
        ClosureHandler { task, _ in runs.add(String(decoding: task.payload ?? [], as: UTF8.self)) }
    }

    private func withServers(_ servers: [AsynqServer], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.run() } }
            try await body()
            for server in servers { server.shutdown() }
            try await group.waitForAll()
        }
    }

    @Test func `a group of the maximal size is aggregated at once, whoever adds the last task`() async throws {
        let folder = try TemporaryFolder()
        let (own, other) = (try SQLiteBroker(path: folder.file()), try SQLiteBroker(path: folder.file()))
        let runs = Recorder<String>()
        let server = AsynqServer(own, handler: handler(runs), configuration: configuration { $0.groupMaxSize = 2 })
        try await withServers([server]) {
            for round in 1...5 {
                try await AsynqClient(own).enqueue(task("a\(round)"))
                try await AsynqClient(other).enqueue(task("b\(round)"))
                await runs.wait(for: round)
                #expect(runs.elements.last == "g: a\(round) b\(round)")
            }
        }
        await own.shutdown()
        await other.shutdown()
    }

    @Test func `a group is aggregated at the end of its grace period, a scheduled task with it`() async throws {
        let (folder, clock) = (try TemporaryFolder(), ManualClock())
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent) {
            Int64((clock.date.timeIntervalSince1970 * 1_000_000).rounded())
        }
        let runs = Recorder<String>()
        let settings = configuration { $0.groupGracePeriod = .minutes(1) }
        let server = AsynqServer(broker, handler: handler(runs), configuration: settings, clock: clock)
        let client = AsynqClient(broker)
        try await withServers([server]) {
            try await client.enqueue(task("a", "g", .taskID("a")))
            try await client.enqueue(task("b", "g", .taskID("b"), .processIn(.seconds(30))))
            clock.advance(by: .seconds(30))
            // 8: in a group.
            try await eventually("the second has joined the first") { try folder.ids("state = 8") == ["a", "b"] }
            try await eventually("both have been aggregated") {
                // In steps, as a moment that nobody has slept for yet would be missed.
                clock.advance(by: .seconds(5))
                return runs.count > 0
            }
            #expect(runs.elements == ["g: a b"])
        }
        await broker.shutdown()
    }

    @Test func `tasks of a server that died while it aggregated them are aggregated by another, once`() async throws {
        let (folder, clock) = (try TemporaryFolder(), ManualClock())
        let broker = try SQLiteBroker(path: folder.file(), logger: .silent) {
            Int64((clock.date.timeIntervalSince1970 * 1_000_000).rounded())
        }
        let client = AsynqClient(broker)
        for text in ["a", "b"] { try await client.enqueue(task(text, "g", .unique(for: .hours(9)))) }
        let group = GroupReference(queue: "default", name: "g")
        let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 2)
        let set = try #require(try await broker.stageGroups([group], policy: policy, limit: 1)[0].get().set)
        let runs = Recorder<String>()
        let settings = configuration { $0.groupMaxSize = 2 }
        let server = AsynqServer(broker, handler: handler(runs), configuration: settings, clock: clock)
        try await withServers([server]) {
            try await eventually("it is stale") {
                clock.advance(by: .seconds(10))
                return runs.count > 0
            }
            #expect(runs.elements == ["g: a b"])
            let late = EnqueueRequest(message: TaskMessage(type: "t", payload: [], id: "late", queue: "default"))
            let result = await broker.completeAggregation(set, with: late)
            #expect(throws: AsynqError.self) { try result.get() }
            // Their locks are free.
            try await client.enqueue(task("a", "g", .unique(for: .hours(9))))
        }
        #expect(runs.count == 1)
        await broker.shutdown()
    }

    @Test func `two servers never aggregate a task twice`() async throws {
        let folder = try TemporaryFolder()
        let brokers = [try SQLiteBroker(path: folder.file()), try SQLiteBroker(path: folder.file())]
        let runs = Recorder<String>()
        let handler = ClosureHandler { task, _ in
            let parts = String(decoding: task.payload ?? [], as: UTF8.self).split(separator: " ").dropFirst()
            for part in parts { runs.add(String(part)) }
        }
        let settings = configuration {
            $0.groupMaxSize = 7
            $0.groupGracePeriod = .seconds(1)
        }
        try await withServers(brokers.map { AsynqServer($0, handler: handler, configuration: settings) }) {
            for start in stride(from: 0, to: 1000, by: 100) {
                let tasks = (start..<start + 100).map { task("\($0)", "g\($0 % 5)") }
                for result in await AsynqClient(brokers[0]).enqueue(batch: tasks) { _ = try result.get() }
            }
            await runs.wait(for: 1000)
        }
        #expect(Set(runs.elements).count == 1000)
        #expect(runs.count == 1000)
        for broker in brokers { await broker.shutdown() }
    }

    @Test func `14: an aggregation is done once, though it is asked for again after a restart`() async throws {
        let folder = try TemporaryFolder()
        let group = GroupReference(queue: "default", name: "g")
        let policy = GroupPolicy(gracePeriod: .hours(1), maxSize: 1)
        let first = try SQLiteBroker(path: folder.file())
        try await AsynqClient(first).enqueue(task("a"))
        let set = try #require(try await first.stageGroups([group], policy: policy, limit: 1)[0].get().set)
        let request = EnqueueRequest(message: TaskMessage(type: "t", payload: [], id: "sum", queue: "default"))
        _ = try await first.completeAggregation(set, with: request).get()
        await first.shutdown()
        let second = try SQLiteBroker(path: folder.file())
        let taken = try await second.dequeue([DequeueRequest(queue: "default", limit: 5)])
        #expect(taken.map(\.message.id) == ["sum"])
        _ = await second.finish(taken.map { FinishRequest(task: $0, outcome: .done) })
        _ = try await second.completeAggregation(set, with: request).get()
        #expect(try await second.dequeue([DequeueRequest(queue: "default", limit: 5)]).isEmpty)
        await second.shutdown()
    }
}
