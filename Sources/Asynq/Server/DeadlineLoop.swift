/// Cancels handlers whose time is up, and leaves behind those that ignore it.
struct DeadlineLoop: Sendable {
    let pool: WorkerPool
    let runner: AttemptRunner
    let clock: LoopClock
    let grace: Duration

    func run() async {
        while !Task.isCancelled {
            for (held, cause) in pool.expire(grace: grace) {
                pool.abandon(held.slot, runner.outcome(of: cause, held))
            }
            let next = pool.read { $0.nextDeadline }
            if next == .max {
                await pool.deadlineChanged.wait()
            } else {
                if next <= clock.now() { continue }
                await pool.deadlineChanged.wait(until: next, clock)
            }
        }
    }
}
