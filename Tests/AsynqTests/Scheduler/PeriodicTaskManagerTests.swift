import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Asynq

/// A scheduler whose entries come from a provider.
struct PeriodicTaskManagerTests {
    private struct Down: Error {}

    /// What the provider gives.
    private final class Source: Sendable {
        private let state: Mutex<Result<[PeriodicTaskConfig], any Error>>

        init(_ configs: PeriodicTaskConfig...) {
            state = Mutex(.success(configs))
        }

        func set(_ configs: PeriodicTaskConfig...) { state.withLock { $0 = .success(configs) } }
        func fail() { state.withLock { $0 = .failure(Down()) } }

        func configs() throws -> [PeriodicTaskConfig] {
            try state.withLock { $0 }.get()
        }
    }

    private let clock = ManualClock(at: newYear)
    private let broker: MemoryBroker
    private let log = LogRecorder()

    init() {
        broker = MemoryBroker(clock: clock)
    }

    private func manager(_ source: Source) -> PeriodicTaskManager {
        PeriodicTaskManager(
            broker,
            configuration: schedulerConfiguration(logger: log.logger),
            syncInterval: .minutes(3),
            clock: clock
        ) {
            try source.configs()
        }
    }

    private func config(_ type: String, _ spec: String = "* * * * *", id: String? = nil) -> PeriodicTaskConfig {
        PeriodicTaskConfig(spec, AsynqTask(type), id: id)
    }

    private func types() async throws -> [String] {
        try await broker.schedulerEntries().map { "\($0.taskType) \($0.spec)" }
    }

    /// Waits for this while time passes.
    private func passing(_ what: String, _ condition: () async throws -> Bool) async throws {
        try await eventually(what) {
            // In steps that are less than a lease.
            clock.advance(by: .seconds(1))
            return try await condition()
        }
    }

    @Test func `the difference is registered and unregistered; what is wrong later changes nothing`() async throws {
        let source = Source(config("a"), config("b"), config("c", id: "mine"))
        let manager = manager(source)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await manager.run() }
            try await broker.waitForEntries(3)
            #expect(manager.isAtWork)
            let changed = ["b * * * * *", "d * * * * *", "c @daily"]
            source.set(config("b"), config("d"), config("c", "@daily", id: "mine"))
            try await passing("the difference is made") { try await types() == changed }
            source.set(config("e"), config("f", "no spec"))
            try await passing("a wrong spec is logged") { log.lines.contains { $0.contains("no spec") } }
            source.set(config("e"), config("e"))
            try await passing("a repetition is logged") {
                log.lines.contains { $0.contains("two entries are the same") }
            }
            source.fail()
            try await passing("the provider's error is logged") { log.lines.contains { $0.contains("Down()") } }
            try await passing("the entries are as they were") { try await types() == changed }
            #expect(log.lines.allSatisfy { !$0.hasPrefix("error") || $0.contains("stay as they are") })
            source.set()
            try await passing("none is left") {
                let hasRemoved = log.lines.contains {
                    $0.contains("periodic tasks have changed") && $0.contains("removed=3")
                }
                return try await types() == [] && hasRemoved
            }
            manager.shutdown()
            try await group.waitForAll()
        }
        #expect(broker.enqueued.allSatisfy { ["a", "b", "c", "d"].contains($0.type) })
    }

    @Test func `what is wrong at start is an error`() async throws {
        let invalid = await #expect(throws: AsynqError.self) {
            try await manager(Source(config("a"), config("b", "99 * * * *"))).run()
        }
        #expect(invalid?.code == .invalidArgument)
        let twice = await #expect(throws: AsynqError.self) {
            try await manager(Source(config("a"), config("a"))).run()
        }
        #expect(twice?.code == .duplicateEntry)
        let source = Source()
        source.fail()
        await #expect(throws: Down.self) { try await manager(source).run() }
        for interval in [Duration.zero, .seconds(-1)] {
            let manager = PeriodicTaskManager(broker, configuration: schedulerConfiguration(), syncInterval: interval) {
                []
            }
            let error = await #expect(throws: AsynqError.self) { try await manager.run() }
            #expect(error?.code == .invalidArgument && error?.message.contains("syncInterval") == true)
        }
    }
}
