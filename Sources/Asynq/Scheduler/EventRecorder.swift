import Logging
import Synchronization

/// Writes the histories of entries, beside the enqueueing and in batches of what has happened meanwhile.
final class EventRecorder: Sendable {
    /// So many may wait while the broker is away; then the oldest are given up.
    private static let capacity = 50_000
    private static let batch = 1000

    private let broker: any ScheduleBroker
    private let clock: LoopClock
    private let logger: Logger
    private let waiting = Mutex<[SchedulerEnqueueEvent]>([])
    private let added = Wakeup()

    init(broker: any ScheduleBroker, clock: LoopClock, logger: Logger) {
        self.broker = broker
        self.clock = clock
        self.logger = logger
    }

    func add(_ events: [SchedulerEnqueueEvent]) {
        guard !events.isEmpty else { return }
        let lost = waiting.withLock { waiting in
            waiting += events
            let lost = max(0, waiting.count - Self.capacity)
            waiting.removeFirst(lost)
            return lost
        }
        if lost > 0 {
            logger.warning("the broker is away: events are missing from histories", metadata: ["events": "\(lost)"])
        }
        added.notify()
    }

    /// Runs until it is cancelled.
    func run() async {
        var retry = Backoff()
        while !Task.isCancelled {
            do {
                try await writeAll()
                if retry.succeeded() { logger.info("histories of entries are written again") }
                await added.wait()
            } catch {
                if Task.isCancelled { return }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error("cannot write histories of entries; trying again", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(delay)
            }
        }
    }

    /// Writes what is left, if it can.
    func flush() async {
        do {
            try await writeAll()
        } catch {
            let count = waiting.withLock { $0.count }
            logger.warning(
                "events are missing from histories",
                metadata: ["events": "\(count)", "error": "\(error)"]
            )
        }
    }

    private func writeAll() async throws {
        while true {
            let events = waiting.withLock { waiting in
                let events = Array(waiting.prefix(Self.batch))
                waiting.removeFirst(events.count)
                return events
            }
            if events.isEmpty { return }
            do {
                try await broker.recordEnqueueEvents(events)
            } catch {
                waiting.withLock { $0.insert(contentsOf: events, at: 0) }
                throw error
            }
        }
    }
}
