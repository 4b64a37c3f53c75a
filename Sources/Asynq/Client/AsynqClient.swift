#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Puts tasks on queues.
///
/// ```swift
/// let client = AsynqClient(broker)
/// try await client.enqueue(WelcomeEmail(userID: 42), .queue("low"), .processIn(.hours(24)))
/// ```
///
/// Cheap to copy and safe to use from any number of tasks at once: what they enqueue at the same moment shares round
/// trips.
public struct AsynqClient: Sendable {
    private let broker: any Broker

    public init(_ broker: any Broker) {
        self.broker = broker
    }

    /// Enqueues a task. When this returns, the broker has stored it.
    ///
    /// - Returns: the task as it was stored.
    /// - Throws: ``AsynqError``: `invalidArgument`, `duplicateTask`, `taskIDConflict`, `brokerUnavailable` or
    ///   `brokerFailure`; `CancellationError` if the caller was cancelled while waiting (the task may be stored or not).
    @discardableResult
    public func enqueue(_ task: AsynqTask, _ options: TaskOption...) async throws -> TaskInfo {
        try await enqueue(task, options: options)
    }

    /// Enqueues a typed payload.
    ///
    /// - Throws: as ``enqueue(_:_:)-(AsynqTask,_)``, or what the payload's coder throws.
    @discardableResult
    public func enqueue(_ payload: some TaskPayload, _ options: TaskOption...) async throws -> TaskInfo {
        try await enqueue(try payload.asTask(), options: options)
    }

    /// Enqueues many tasks in one round trip: of any kind, to any queues.
    ///
    /// - Parameter options: override those of each task.
    /// - Returns: one result a task, in order. A task that is refused does not hold up the others.
    public func enqueue(batch tasks: [AsynqTask], _ options: TaskOption...) async -> [Result<TaskInfo, AsynqError>] {
        var results = [Result<TaskInfo, AsynqError>?](repeating: nil, count: tasks.count)
        var requests: [EnqueueRequest] = []
        var positions: [Int] = []
        requests.reserveCapacity(tasks.count)
        positions.reserveCapacity(tasks.count)
        for (position, task) in tasks.enumerated() {
            do throws(AsynqError) {
                requests.append(try EnqueueRequest(task, options: options))
                positions.append(position)
            } catch {
                results[position] = .failure(error)
            }
        }
        if !requests.isEmpty {
            let receipts = await broker.enqueue(requests)
            for (index, receipt) in receipts.enumerated() {
                results[positions[index]] = receipt.map { TaskInfo(requests[index].message, $0) }
            }
        }
        return results.map { $0 ?? .failure(AsynqError(.brokerFailure, "the broker gave no answer for this task")) }
    }

    private func enqueue(_ task: AsynqTask, options: [TaskOption]) async throws -> TaskInfo {
        let request = try EnqueueRequest(task, options: options)
        guard let result = await broker.enqueue([request]).first else {
            throw AsynqError(.brokerFailure, "the broker gave no answer for this task")
        }
        switch result {
        case .success(let receipt): return TaskInfo(request.message, receipt)
        case .failure(let error):
            if error.cause is CancellationError { throw CancellationError() }
            throw error
        }
    }
}

extension TaskInfo {
    init(_ message: TaskMessage, _ receipt: EnqueueReceipt) {
        self.init(message, state: receipt.state, nextProcessAt: receipt.nextProcessAt)
    }
}
