import Logging

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

    /// Runs a task, and then those in stock, until there are none or this worker has been cancelled.
    func work(_ first: WorkerTable.Ticket) async {
        var next = await run(first)
        while case .run(let ticket) = next { next = await run(ticket) }
    }

    private func run(_ ticket: WorkerTable.Ticket) async -> WorkerTable.Next {
        let context = context(of: ticket.task, deadline: ticket.deadline)
        let task = AsynqTask(ticket.task.message)
        do {
            if let baseContext = configuration.baseContext {
                try await baseContext(context) { try await handler.handle(task, context: context) }
            } else {
                try await handler.handle(task, context: context)
            }
        } catch {
            pool.deciding(ticket)
            let cause = pool.read { $0.cause(of: ticket.slot) }
            return pool.finished(
                ticket,
                await end(cause == nil ? error : cause?.error, cause, task, context),
                isDecided: true
            )
        }
        let next = pool.finished(ticket, .done, isDecided: false)
        guard case .decide(let cause) = next else { return next }
        return pool.finished(ticket, await end(cause.error, cause, task, context), isDecided: true)
    }

    /// Tells of a failed attempt. Returns its outcome.
    private func end(
        _ error: (any Error)?,
        _ cause: CancelCause?,
        _ task: AsynqTask,
        _ context: TaskContext
    ) async -> FinishRequest.Outcome? {
        if let error, let errorHandler = configuration.errorHandler { await errorHandler(error, task, context) }
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
            if let error = cause.error, let errorHandler = configuration.errorHandler {
                // Unstructured, because whoever waits for it must go on cancelling the others.
                Task { await errorHandler(error, task, context) }
            }
        }
        return outcome(of: cause.error, cause, task, context)
    }

    private func context(of task: LeasedTask, deadline: Int64) -> TaskContext {
        var date: Date?
        if deadline != .max {
            date = clock.date().addingTimeInterval(Double(deadline - clock.now()) / 1_000_000_000)
        }
        return TaskContext(task: task, broker: broker, logger: configuration.logger, deadline: date)
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
    fileprivate var error: AsynqError? {
        switch self {
        case .shutdown, .leaseLost: nil
        case .timeout: AsynqError(.taskTimeout, "asynq: task timed out: its timeout or deadline has passed")
        case .cancelled: AsynqError(.taskCancelled, "asynq: task was cancelled")
        }
    }
}

extension AsynqTask {
    /// The task that a handler sees.
    init(_ message: TaskMessage) {
        self.init(message.type, payload: message.payload, headers: message.headers)
    }
}
