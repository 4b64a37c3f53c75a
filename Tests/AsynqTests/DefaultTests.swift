import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Asynq

/// What holds where nothing was set (spec 2, "Server", "Scheduler", "Inspector").
struct DefaultTests {
    private struct Boom: Error {}

    @Test func `a server has the defaults of the contract`() {
        let settings = AsynqServer.Configuration()
        #expect(settings.concurrency == 0 && settings.queues == ["default": 1] && !settings.strictPriority)
        #expect(settings.taskCheckInterval == .seconds(1) && settings.delayedTaskCheckInterval == .seconds(5))
        #expect(settings.isFailure(Boom()) && settings.errorHandler == nil && settings.baseContext == nil)
        let delay = settings.retryDelay(2, Boom(), AsynqTask("t"))
        #expect(delay >= .seconds(16 + 15) && delay <= .seconds(16 + 15 + 29 * 3))
        #expect(settings.shutdownTimeout == .seconds(8))
        #expect(settings.healthCheck == nil && settings.healthCheckInterval == .seconds(15))
        #expect(settings.groupAggregator == nil && settings.groupPolicy == nil)
        #expect(settings.groupGracePeriod == .seconds(60))
        #expect(settings.groupMaxDelay == nil && settings.groupMaxSize == nil)
        #expect(settings.janitorInterval == .seconds(8) && settings.janitorBatchSize == 100)
        #expect(settings.heartbeatInterval == .seconds(5) && settings.recovererInterval == .seconds(60))
    }

    @Test(arguments: [0, 1, 3, 10])
    func `tasks that fail together are tried again spread out, with no second and no moment for most of them`(
        retried: Int
    ) {
        let count = 100_000
        var bySecond: [Int64: Int] = [:]
        var moments: Set<Duration> = []
        for _ in 0..<count {
            let delay = AsynqServer.Configuration.defaultRetryDelay(retried: retried)
            bySecond[delay.components.seconds, default: 0] += 1
            moments.insert(delay)
        }
        let share = count / (29 * (retried + 1))
        #expect(bySecond.count >= 29 * (retried + 1))
        #expect(bySecond.values.allSatisfy { $0 < 2 * share + 100 })
        #expect(moments.count > count * 9 / 10)
        let base = Int64(retried * retried * retried * retried + 15)
        #expect(bySecond.keys.allSatisfy { $0 >= base && $0 <= base + Int64(29 * (retried + 1)) })
    }

    @Test(arguments: [(0, nil), (-3, nil), (7, 7)])
    func `below one place a server has as many as there are cores, and it leaves out queues without a priority`(
        concurrency: Int,
        places: Int?
    ) async throws {
        let broker = MemoryBroker()
        var settings = AsynqServer.Configuration(
            concurrency: concurrency,
            queues: ["a": 2, "off": 0, "b": 1, "no": -1]
        )
        settings.handlesSignals = false
        settings.logger = schedulerConfiguration().logger
        let server = AsynqServer(broker, handler: TaskRouter(), configuration: settings)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await eventually("it is visible") { try await broker.servers().count == 1 }
            let shown = try await broker.servers()[0]
            #expect(shown.concurrency == places ?? ProcessInfo.processInfo.activeProcessorCount)
            #expect(shown.queues == ["a": 2, "b": 1])
            server.shutdown()
            try await group.waitForAll()
        }
    }

    @Test func `a scheduler has the defaults of the contract`() throws {
        let settings = AsynqScheduler.Configuration()
        #expect(settings.timeZone == .gmt && settings.heartbeatInterval == .seconds(10))
        #expect(settings.preEnqueue == nil && settings.postEnqueue == nil)
        #expect(PeriodicTaskConfig("@daily", AsynqTask("t")).missed == .skip)
        #expect(PeriodicTaskManager(MemoryBroker()) { [] }.syncInterval == .minutes(3))
    }

    @Test func `a page is the first, of 30 tasks, and a history of ten days`() async throws {
        let broker = MemoryBroker()
        let tasks = (0..<31).map { AsynqTask("t", .taskID("\($0)")) }
        for result in await AsynqClient(broker).enqueue(batch: tasks) { _ = try result.get() }
        let inspector = AsynqInspector(broker)
        let page = try await inspector.tasks(in: .pending, queue: "default")
        #expect(page.tasks.map(\.id) == (0..<30).map { "\($0)" })
        #expect(page.page == 1 && page.pageSize == 30 && page.pageCount == 2 && page.total == 31)
        #expect(try await inspector.history(of: "default").count == 10)
    }
}
