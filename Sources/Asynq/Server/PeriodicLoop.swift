import Logging

/// Repeats a step at an interval until it is cancelled. A failure is logged once, and the next step is as usual.
struct PeriodicLoop: Sendable {
    let name: String
    let interval: Duration
    let clock: LoopClock
    let logger: Logger
    let step: @Sendable () async throws -> Void

    func run() async {
        var retry = Backoff()
        while !Task.isCancelled {
            do {
                try await step()
                if retry.succeeded() { logger.info("\(name) works again") }
            } catch {
                if Task.isCancelled { return }
                _ = retry.failed()
                if retry.isFirst { logger.error("\(name) failed", metadata: ["error": "\(error)"]) }
            }
            try? await clock.sleep(interval * Double.random(in: 0.9...1.1))
        }
    }
}
