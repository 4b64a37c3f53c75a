import Logging
import Synchronization

extension SchedulerEngine {
    /// Takes part in the choice of the one scheduler that is at work for these entries, and learns the broker's time.
    ///
    /// Schedulers with the same entries share a lease: its name follows from the entries. So those with other entries, of
    /// another program or of its next version, do not keep them from their work.
    func keepLease() async {
        var retry = Backoff()
        while !Task.isCancelled {
            // Read first: the clock may move between this and the sleep.
            let start = clock.now()
            do {
                let wait = try await askForLease()
                if retry.succeeded() { logger.info("scheduler reaches the broker again") }
                await groupChanged.wait(until: start.adding(wait), clock)
            } catch {
                if Task.isCancelled { return }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error("scheduler cannot reach the broker; trying again", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(delay)
            }
        }
    }

    /// - Returns: when to ask again, counted from the beginning of this call.
    func askForLease() async throws -> Duration {
        let (group, held) = state.withLock { ($0.table.currentGroup(), $0.lease) }
        guard let group else {
            if let held { try await release(held.group) }
            return .seconds(3600)
        }
        let ttl = configuration.leaseDuration
        let start = clock.now()
        let lease = try await broker.holdSchedulerLease(group, holder: identity, ttl: ttl)
        let jump = time.observe(lease.now, askedAt: start)
        if let held, held.group != group { try await broker.releaseSchedulerLease(held.group, holder: identity) }
        guard lease.isHeld else {
            if held != nil {
                state.withLock { $0.lease = nil }
                logger.notice("another scheduler is at work for these entries; standing by")
                viewChanged.notify()
            }
            return min(ttl / 3, max(.milliseconds(1), lease.remaining))
        }
        let isNew = state.withLock { state in
            let isNew = state.lease.map { $0.until <= clock.now() } ?? true
            // Others may have been at work.
            if isNew { state.table.makeUnread() }
            state.lease = (group, start.adding(ttl))
            return isNew
        }
        if isNew {
            logger.info("scheduler is at work", metadata: ["scheduler_id": "\(identity)"])
        }
        // The loop sleeps by the time as it was thought to be.
        if isNew || abs(jump.nanosecondsClamped) > 5_000_000 { entriesChanged.notify() }
        return ttl / 3
    }

    private func release(_ group: String) async throws {
        state.withLock { $0.lease = nil }
        viewChanged.notify()
        try await broker.releaseSchedulerLease(group, holder: identity)
    }

    /// Makes the entries visible to inspectors while this scheduler is at work.
    func showEntries() async {
        var retry = Backoff()
        var isShown = false
        while !Task.isCancelled {
            let start = clock.now()
            do {
                if isAtWork {
                    isShown = true
                    try await writeEntries()
                } else if isShown {
                    try await broker.clearSchedulerEntries(of: identity)
                    isShown = false
                }
                if retry.succeeded() { logger.info("scheduler's entries are visible again") }
                await viewChanged.wait(until: start.adding(configuration.heartbeatInterval), clock)
            } catch {
                if Task.isCancelled { return }
                let delay = retry.failed()
                if retry.isFirst {
                    logger.error(
                        "cannot make a scheduler's entries visible; trying again",
                        metadata: ["error": "\(error)"]
                    )
                }
                try? await clock.sleep(delay)
            }
        }
    }

    /// What inspectors see, until it has not been written for two heartbeats.
    func writeEntries() async throws {
        let entries = state.withLock { $0.table.shown }
        try await broker.writeSchedulerEntries(entries, of: identity, ttl: configuration.heartbeatInterval * 2)
    }
}
