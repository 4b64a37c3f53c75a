import Instrumentation
import Logging
import Tracing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Runs handlers, and works out what becomes of their tasks (spec 2, "Server").
struct AttemptRunner: Sendable {
    let broker: any Broker
    let handler: any TaskHandler
    let configuration: AsynqServer.Configuration
    let pool: WorkerPool
    let clock: LoopClock
    let metrics: ServerMetrics?
    let tracing: TaskTracing?

    /// Runs a task, and then those in stock, until there are none or this worker has been cancelled.
    func work(_ first: WorkerTable.Ticket) async {
        var next = await run(first)
        while case .run(let ticket) = next { next = await run(ticket) }
    }

    private func run(_ ticket: WorkerTable.Ticket) async -> WorkerTable.Next {
        let context = context(of: ticket.task, deadline: ticket.deadline)
        let task = AsynqTask(ticket.task.message)
        do {
            try await measured(ticket) {
                if let baseContext = configuration.baseContext {
                    try await baseContext(context) { try await handler.handle(task, context: context) }
                } else {
                    try await handler.handle(task, context: context)
                }
            }
        } catch {
            pool.deciding(ticket)
            let cause = pool.read { $0.cause(of: ticket.slot) }
            return pool.finished(
                ticket,
                await end(cause == nil ? error : cause?.failure, cause, task, context),
                isDecided: true
            )
        }
        let next = pool.finished(ticket, .done, isDecided: false)
        guard case .decide(let cause) = next else { return next }
        return pool.finished(ticket, await end(cause.failure, cause, task, context), isDecided: true)
    }

    /// Tells of a failed attempt. Returns its outcome.
    private func end(
        _ error: (any Error)?,
        _ cause: CancelCause?,
        _ task: AsynqTask,
        _ context: TaskContext
    ) async -> FinishRequest.Outcome? {
        let isFailure = (error as? AsynqError)?.retryAfter == nil
        if isFailure, let error, let errorHandler = configuration.errorHandler {
            await errorHandler(error, task, context)
        }
        return outcome(of: error, cause, task, context)
    }

    /// The outcome of an attempt whose handler ignores its cancellation.
    func outcome(of cause: CancelCause, _ held: WorkerTable.Held) -> FinishRequest.Outcome? {
        let context = context(of: held.task, deadline: held.deadline)
        let task = AsynqTask(held.task.message)
        if !held.handlerHasEnded {
            context.logger.error(
                "handler ignores its cancellation and is left behind",
                metadata: ["cause": "\(cause)"]
            )
            if let error = cause.failure, let errorHandler = configuration.errorHandler {
                // Unstructured, because whoever waits for it must go on cancelling the others.
                Task { await errorHandler(error, task, context) }
            }
        }
        return outcome(of: cause.failure, cause, task, context)
    }

    /// Runs an attempt in a span and takes its time, where somebody wants to know.
    private func measured(_ ticket: WorkerTable.Ticket, _ attempt: () async throws -> Void) async throws {
        guard metrics != nil || tracing != nil else { return try await attempt() }
        let series = metrics?.series(of: ticket.task.message)
        let start = clock.now()
        series?.begin(waited: ticket.waited(until: start))
        defer { series?.end(after: clock.now() - start) }
        guard let tracing else { return try await attempt() }
        let span = tracing.beginAttempt(ticket.task.message)
        do {
            try await InstrumentationContext.withValue(span.context) { try await attempt() }
            tracing.endAttempt(span, pool.read { $0.cause(of: ticket.slot) }?.error)
        } catch {
            tracing.endAttempt(span, pool.read { $0.cause(of: ticket.slot) }?.error ?? error)
            throw error
        }
    }

    private func context(of task: LeasedTask, deadline: Int64) -> TaskContext {
        var date: Date?
        if deadline != .max {
            date = clock.date().addingTimeInterval(Double(deadline - clock.now()) / 1_000_000_000)
        }
        return TaskContext(
            task: task,
            broker: broker,
            logger: configuration.logger,
            deadline: date,
            timing: date.map { _ in TaskContext.Timing(now: clock.now, end: deadline) }
        )
    }

    private func outcome(
        of error: (any Error)?,
        _ cause: CancelCause?,
        _ task: AsynqTask,
        _ context: TaskContext
    ) -> FinishRequest.Outcome? {
        if cause == .leaseLost {
            context.logger.warning("handler was cancelled because its lease is lost; another server has the task")
            return nil
        }
        guard let error else { return .requeue }
        if let delay = (error as? AsynqError)?.retryAfter {
            // No failure, whatever the application makes of failures.
            context.logger.debug(
                "no room for the task now; it will be tried again",
                metadata: ["reason": "\(error)", "retry_in": "\(delay)"]
            )
            return .retry(delay: delay, error: String(describing: error), countsAsFailure: false)
        }
        let text = String(describing: error)
        let metadata: Logger.Metadata = ["error": "\(text)"]
        switch (error as? AsynqError)?.code {
        case .revokeTask:
            context.logger.info("task revoked by its handler", metadata: metadata)
            return .drop
        case .skipRetry, .payloadDecoding:
            context.logger.warning("task failed and is archived: not to be retried", metadata: metadata)
            return .archive(error: text)
        default: break
        }
        let countsAsFailure = configuration.isFailure(error)
        if countsAsFailure, context.retried >= context.maxRetry {
            context.logger.warning("task failed and is archived: out of retries", metadata: metadata)
            return .archive(error: text)
        }
        let delay = configuration.retryDelay(context.retried, error, task)
        context.logger.notice(
            "task failed and will be retried",
            metadata: ["error": "\(text)", "retry_in": "\(delay)"]
        )
        return .retry(delay: delay, error: text, countsAsFailure: countsAsFailure)
    }
}

extension CancelCause {
    /// As what it counts; `nil` if not as a failure of the task.
    fileprivate var failure: AsynqError? {
        switch self {
        case .timeout, .cancelled: error
        case .shutdown, .leaseLost: nil
        }
    }

    /// Why the attempt came to nothing, in words.
    var error: AsynqError {
        switch self {
        case .timeout: AsynqError(.taskTimeout, "asynq: task timed out: its timeout or deadline has passed")
        case .cancelled: AsynqError(.taskCancelled, "asynq: task was cancelled")
        case .leaseLost: AsynqError(.leaseExpired, "asynq: task lease expired")
        case .shutdown: AsynqError(.taskCancelled, "asynq: task was handed back: the server shuts down")
        }
    }
}

extension WorkerTable.Ticket {
    /// How long the task has been waiting, in nanoseconds: on the broker's clock until it was taken, on this server's
    /// since. `nil` if not known.
    func waited(until start: Int64) -> Int64? {
        guard let since = task.pendingSince, let taken = task.dequeuedAt else { return nil }
        return max(0, taken &- since) &+ max(0, start - dequeuedAt)
    }
}

extension AsynqTask {
    /// The task that a handler sees.
    init(_ message: TaskMessage) {
        self.init(message.type, payload: message.payload, headers: message.headers)
    }
}
