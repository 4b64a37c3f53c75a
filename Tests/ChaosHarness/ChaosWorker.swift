import Asynq
import Foundation
import Logging
import Synchronization

/// A worker of a run. What its handlers do is in its journal.
final class ChaosWorker: Sendable {
    private let journal: Journal
    private let semaphore: AsynqSemaphore
    private let runs = Atomic<Int>(0)

    private init(_ broker: any Broker, _ journal: Journal) throws {
        self.journal = journal
        semaphore = try AsynqSemaphore(broker, scope: ChaosTask.scope, limit: ChaosTask.places)
    }

    static func run(_ uri: String, journal path: String) async throws {
        let broker = try ChaosBroker.make(uri, replicas: 0)
        // Before the journal, by which the run knows that the process expects signals.
        let clock = WanderingClock()
        let worker = try ChaosWorker(broker, Journal(path))
        let queues = Dictionary(uniqueKeysWithValues: ChaosTask.queues.map { ($0, 1) })
        var configuration = AsynqServer.Configuration(concurrency: 20, queues: queues)
        configuration.logger = ChaosBroker.logger("worker")
        configuration.logger.logLevel = .info
        configuration.shutdownTimeout = .seconds(3)
        configuration.retryDelay = { _, _, _ in .milliseconds(Int.random(in: 100...700)) }
        // What takes minutes by default takes seconds here: a run is short.
        configuration.recovererInterval = .seconds(2)
        configuration.janitorInterval = .seconds(2)
        configuration.groupGracePeriod = .seconds(1)
        configuration.groupMaxSize = 50
        configuration.groupMaxDelay = .seconds(3)
        configuration.groupAggregator = ClosureAggregator { tasks, context in
            AsynqTask(ChaosKind.digest.rawValue, payload: Array(context.taskIDs.joined(separator: " ").utf8))
        }
        let handler = ClosureHandler { task, context in try await worker.handle(task, context) }
        let server = AsynqServer(broker, handler: handler, configuration: configuration, clock: clock)
        try await server.run()
        await broker.shutdown()
    }

    private func handle(_ task: AsynqTask, _ context: TaskContext) async throws {
        let run = runs.add(1, ordering: .relaxed).newValue
        guard let kind = ChaosKind(rawValue: task.type) else { throw ChaosFailure("no kind is named \(task.type)") }
        let key = context.headers["key"] ?? "-"
        journal.add(.started(run: run, id: context.taskID, retried: context.retried, kind: kind, key: key))
        do {
            try await work(run, kind, task, context)
            journal.add(.ended(run: run, outcome: .done))
        } catch {
            journal.add(.ended(run: run, outcome: Self.outcome(error)))
            throw error
        }
    }

    private static func outcome(_ error: any Error) -> Entry.Outcome {
        if error is CancellationError { return .cancelled }
        return switch (error as? AsynqError)?.code {
        case .skipRetry: .refused
        case .rateLimited: .limited
        default: .failed
        }
    }

    private func work(_ run: Int, _ kind: ChaosKind, _ task: AsynqTask, _ context: TaskContext) async throws {
        switch kind {
        case .plain, .bulk, .delayed, .dated, .grouped, .probe: break
        case .kept: try await context.writeResult("result")
        case .unique: try await Task.sleep(for: .milliseconds(Int.random(in: 1...30)))
        case .limited:
            try await semaphore.withPermit(context, retryAfter: .milliseconds(200)) {
                journal.add(.took(run: run, id: context.taskID))
                // Given back in the journal first, so that nobody can be seen in the same place.
                defer { journal.add(.gave(run: run, id: context.taskID)) }
                try await Task.sleep(for: .milliseconds(Int.random(in: 5...40)))
            }
        case .flaky: if Bool.random() { throw ChaosFailure("bad luck") }
        case .failing: throw ChaosFailure("as always")
        case .refused: throw AsynqError.skipRetry("not wanted")
        case .digest:
            let members = String(decoding: task.payload ?? [], as: UTF8.self).split(separator: " ").map(String.init)
            journal.add(members.map { .aggregated(run: run, id: $0) })
        case .slow: if context.retried == 0 { try await Task.sleep(for: .seconds(86_400)) }
        case .poison: kill(getpid(), SIGKILL)
        }
    }
}

/// The brokers of a run's processes.
enum ChaosBroker {
    static func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return logger
    }
}
