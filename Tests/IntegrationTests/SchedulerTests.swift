import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Synchronization
import TestSupport
import Testing

/// Schedulers in processes of their own, that are killed and paused; and a Redis that goes away.
struct SchedulerTests {
    private static let entries = ["first", "second", "third"]

    /// Counts the runs of each entry's tasks.
    private final class Runs: Sendable {
        private let counts = Mutex<[String: Int]>([:])

        func add(_ id: String) { counts.withLock { $0[id, default: 0] += 1 } }

        func times(of entry: String) -> [Int64] {
            counts.withLock { $0.keys.filter { $0.hasPrefix("\(entry):") } }
                .compactMap { Int64($0.dropFirst(entry.count + 1)) }.sorted()
        }

        var repeated: [String] { counts.withLock { counts in counts.keys.filter { counts[$0] != 1 } } }
    }

    /// Waits until each entry has run so many more times.
    private func wait(for count: Int, _ runs: Runs) async throws {
        let goal = Self.entries.map { runs.times(of: $0).count + count }
        try await eventually("\(count) more runs of each entry") {
            zip(Self.entries, goal).allSatisfy { runs.times(of: $0).count >= $1 }
        }
    }

    /// The process that is at work now, of those that are given.
    private func leader(_ processes: [WorkerProcess]) async throws -> WorkerProcess {
        var found: WorkerProcess?
        try await eventually("one scheduler is at work") {
            let working = processes.filter { process in
                process.lines.elements.last { $0 == "at work" || $0 == "standing by" } == "at work"
            }
            found = working.count == 1 ? working[0] : nil
            return found != nil
        }
        return try #require(found)
    }

    /// Three schedulers with the same entries, whose leaders are paused and killed while a server works on what they
    /// enqueue.
    private func survive(_ uri: String, _ broker: any Broker) async throws {
        let runs = Runs()
        let settings = configuration(queues: Dictionary(uniqueKeysWithValues: Self.entries.map { ($0, 1) }))
        try await withServer(broker, settings, handler: ClosureHandler { _, context in runs.add(context.taskID) }) {
            _ in
            let processes = try (0..<3).map { _ in try WorkerProcess("TestScheduler", [uri, "1000"] + Self.entries) }
            try await wait(for: 2, runs)

            let paused = try await leader(processes)
            paused.signal(SIGSTOP)
            try await wait(for: 3, runs)
            let killed = try await leader(processes.filter { $0 !== paused })
            paused.signal(SIGCONT)
            try await wait(for: 1, runs)

            killed.signal(SIGKILL)
            try await wait(for: 3, runs)
            let left = processes.filter { $0 !== killed }
            _ = try await leader(left)

            for process in left { process.signal(SIGTERM) }
            for process in left { #expect(try await process.wait() == 0) }
            try await eventually("both have closed") { left.allSatisfy { $0.lines.elements.last == "closed" } }
            // The server ends when all that was enqueued has run.
            let enqueued = processes.flatMap { $0.ids("enqueued") }
            try await eventually("all has run") {
                Self.entries.reduce(0) { $0 + runs.times(of: $1).count } >= Set(enqueued).count
            }
        }
        #expect(runs.repeated == [])
        for entry in Self.entries {
            let times = runs.times(of: entry)
            let all = try Array(stride(from: #require(times.first), through: #require(times.last), by: 1000))
            #expect(times == all, "each second once, none left out")
        }
        // Those who closed have taken theirs away; those of the one who was killed end by themselves.
        try await eventually("no entries are left") { try await broker.schedulerEntries().isEmpty }
        #expect(try await broker.enqueueEvents(ofEntry: "first", offset: 0, limit: 100).isEmpty == false)
    }

    @Test func `of three schedulers on Redis any may be killed or paused: each run is enqueued once`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { try await survive(redis.uri, $0) }
        }
    }

    @Test func `of three schedulers on SQLite any may be killed or paused: each run is enqueued once`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("tasks.db").path
        let broker = try SQLiteBroker(path: path, logger: .silent)
        try await survive("sqlite:\(path)", broker)
        await broker.shutdown()
    }

    @Test func `runs that come while Redis is away are made up for when it is back, each once`() async throws {
        try await RedisServer.withServer(["--appendonly", "yes", "--appendfsync", "always"]) { redis in
            try await withBroker(redis) { broker in
                let log = LogRecorder()
                var configuration = AsynqScheduler.Configuration()
                configuration.handlesSignals = false
                configuration.logger = log.logger
                let times = Recorder<Date>()
                configuration.postEnqueue = { run, result in if (try? result.get()) != nil { times.add(run.time) } }
                let scheduler = AsynqScheduler(broker, configuration: configuration)
                try scheduler.register("* * * * * *", AsynqTask("t"), id: "e")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await scheduler.run() }
                    await times.wait(for: 2)
                    redis.kill()
                    try await eventually("it is noticed") {
                        log.lines.contains { $0.hasPrefix("error") }
                    }
                    try await redis.start()
                    await times.wait(for: 6)
                    scheduler.shutdown()
                    try await group.waitForAll()
                }
                let seconds = times.elements.map { Int64($0.timeIntervalSince1970) }
                #expect(seconds == Array(seconds[0]..<seconds[0] + Int64(seconds.count)))
                #expect(try redis.count("pending") == seconds.count)
            }
        }
    }

    @Test func `a scheduler ends with its group of services`() async throws {
        try await RedisServer.withServer { redis in
            try await withBroker(redis) { broker in
                var configuration = AsynqScheduler.Configuration()
                configuration.handlesSignals = false
                configuration.logger = .silent
                let scheduler = AsynqScheduler(broker, configuration: configuration)
                // Never due.
                try scheduler.register("0 0 30 2 *", AsynqTask("t"))
                let task = Task { try await scheduler.run() }
                try await eventually("its entries are visible") {
                    try await broker.schedulerEntries().count == 1
                }
                task.cancel()
                try await task.value
                #expect(try redis.cli("KEYS", "asynq:scheduler*") == "")
            }
        }
    }
}
