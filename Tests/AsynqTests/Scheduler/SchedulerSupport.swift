import Asynq
import AsynqTesting
import Foundation
import Logging
import Synchronization
import TestSupport

/// 2026-01-01T00:00:00Z.
let newYear = Date(timeIntervalSince1970: 1_767_225_600)

/// Settings for tests: no signals, no log.
func schedulerConfiguration(
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ change: (inout AsynqScheduler.Configuration) -> Void = { _ in }
) -> AsynqScheduler.Configuration {
    var configuration = AsynqScheduler.Configuration()
    configuration.handlesSignals = false
    configuration.logger = logger
    change(&configuration)
    return configuration
}

/// Runs a scheduler for as long as `body` does.
func running(_ scheduler: AsynqScheduler, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await scheduler.run() }
        defer { scheduler.shutdown() }
        try await body()
        scheduler.shutdown()
        try await group.waitForAll()
    }
}

extension ScheduleBroker {
    /// Waits until so many entries are visible with their next times.
    func waitForEntries(_ count: Int) async throws {
        try await eventually("\(count) entries are visible") {
            let entries = try await schedulerEntries()
            return entries.count == count && entries.allSatisfy { $0.nextEnqueueAt != nil }
        }
    }
}

/// Schedules in memory that fail when a test says so.
final class FlakySchedules: ScheduleBroker {
    enum Fault {
        /// Nothing happens, and an error says so.
        case refused
        /// It happens, and the answer is lost.
        case answerLost
    }

    private let broker: MemoryBroker
    let faults = Mutex<[Fault]>([])

    init(_ broker: MemoryBroker) {
        self.broker = broker
    }

    func enqueueOccurrences(_ occurrences: [EntryOccurrence]) async -> [Result<OccurrenceOutcome, AsynqError>] {
        let fault = faults.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if fault == nil || fault == .answerLost {
            let results = await broker.enqueueOccurrences(occurrences)
            if fault == nil { return results }
        }
        return occurrences.map { _ in .failure(AsynqError(.brokerUnavailable, "away")) }
    }

    func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] {
        await broker.entryMarks(entries)
    }
    func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        try await broker.holdSchedulerLease(group, holder: holder, ttl: ttl)
    }
    func releaseSchedulerLease(_ group: String, holder: String) async throws {
        try await broker.releaseSchedulerLease(group, holder: holder)
    }
    func writeSchedulerEntries(_ entries: [SchedulerEntry], of scheduler: String, ttl: Duration) async throws {
        try await broker.writeSchedulerEntries(entries, of: scheduler, ttl: ttl)
    }
    func clearSchedulerEntries(of scheduler: String) async throws {
        try await broker.clearSchedulerEntries(of: scheduler)
    }
    func schedulerEntries() async throws -> [SchedulerEntry] { try await broker.schedulerEntries() }
    func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {
        try await broker.recordEnqueueEvents(events)
    }
    func enqueueEvents(ofEntry id: String, offset: Int, limit: Int) async throws -> [SchedulerEnqueueEvent] {
        try await broker.enqueueEvents(ofEntry: id, offset: offset, limit: limit)
    }
}
