import Logging
import Synchronization

/// Moves scheduled tasks and retries to their queues when they are due. Sleeps until the earliest due time, and is woken
/// when an earlier one is added.
final class ForwardLoop: Sendable {
    private let broker: any Broker
    private let queues: [String]
    private let interval: Duration
    private let clock: LoopClock
    private let logger: Logger
    private let changed = Wakeup()
    /// The queues whose due times may have changed unseen since they were last listened to.
    private let unheard: Mutex<Set<String>>

    /// Tasks of each queue in one step: few enough that a step does not hold up the broker.
    private static let batch = 200
    /// Signals that come this close together are one.
    private static let pause = Duration.milliseconds(5)

    init(broker: any Broker, queues: [String], interval: Duration, clock: LoopClock, logger: Logger) {
        self.broker = broker
        self.queues = queues
        self.interval = interval
        self.clock = clock
        self.logger = logger
        unheard = Mutex(Set(queues))
    }

    /// The due times of this queue may have changed.
    func dueChanged(_ queue: String) {
        _ = unheard.withLock { $0.insert(queue) }
        changed.notify()
    }

    /// Any due times may have changed.
    func dueChangedAnywhere() {
        unheard.withLock { $0 = Set(queues) }
        changed.notify()
    }

    func run(watch: any BrokerWatch) async {
        var retry = Backoff()
        while !Task.isCancelled {
            // First listen, then look: what is added in between is signalled.
            let queuesToHear = unheard.withLock { unheard in
                defer { unheard = [] }
                return unheard
            }
            await watch.listenForDue(in: Array(queuesToHear))
            let start = clock.now()
            do {
                let result = try await broker.forward(queues: queues, limit: Self.batch)
                if retry.succeeded() { logger.info("forwarding due tasks again") }
                if result.nextDueIn == .zero { continue }
                await changed.wait(until: start.adding(wait(result, watch)), clock)
                if unheard.withLock({ !$0.isEmpty }) { await clock.pause(Self.pause) }
            } catch {
                if Task.isCancelled { return }
                // Whether these are listened to is not known.
                unheard.withLock { $0.formUnion(queuesToHear) }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error("cannot forward due tasks; trying again", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(delay)
            }
        }
    }

    private func wait(_ result: ForwardResult, _ watch: any BrokerWatch) -> Duration {
        // A live watch says when to look again; the long interval is for a signal that was lost.
        let longest = queues.allSatisfy(watch.isLive) ? interval * 12 : interval
        guard let due = result.nextDueIn else { return longest }
        return min(longest, due)
    }
}
