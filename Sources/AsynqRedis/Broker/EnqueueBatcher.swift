internal import Asynq
internal import RedisClient
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A task ready to be stored.
struct EncodedTask: Sendable {
    let id: String
    let bytes: [UInt8]
}

/// Puts what many callers enqueue to one queue into common scripts. Nobody waits on purpose: while nothing is on its way a
/// caller's tasks go at once, and while fewer than ``maxInFlight`` scripts are in the next turn of the event loop, with those
/// that come until then; others go together as soon as a script is answered.
final class EnqueueBatcher: Sendable {
    /// One caller's tasks.
    private final class Job: Sendable {
        private let waiter: Mutex<CheckedContinuation<[Result<EnqueueReceipt, AsynqError>], Never>?>
        let tasks: [EncodedTask]

        init(_ tasks: [EncodedTask], _ waiter: CheckedContinuation<[Result<EnqueueReceipt, AsynqError>], Never>) {
            self.tasks = tasks
            self.waiter = Mutex(waiter)
        }

        func complete(_ results: [Result<EnqueueReceipt, AsynqError>]) {
            waiter.withLock { $0.take() }?.resume(returning: results)
        }
    }

    private struct State {
        var waiting: [Job] = []
        var inFlight = 0
    }

    /// Enough to keep Redis busy while a reply is on its way back.
    private static let maxInFlight = 2

    private let keys: QueueKeys
    private let announcement: ScriptRunner.Request
    private let scripts: ScriptRunner
    private let durability: RedisDurability
    private let state = Mutex(State())

    init(keys: QueueKeys, scripts: ScriptRunner, durability: RedisDurability) {
        self.keys = keys
        announcement = .announcement(of: keys)
        self.scripts = scripts
        self.durability = durability
    }

    nonisolated(nonsending) func enqueue(_ tasks: [EncodedTask]) async -> [Result<EnqueueReceipt, AsynqError>] {
        let cancelled = Mutex<(job: Job?, isCancelled: Bool)>((nil, false))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let job = Job(tasks, continuation)
                let isCancelled = cancelled.withLock { state in
                    state.job = job
                    return state.isCancelled
                }
                if isCancelled {
                    job.complete(Self.cancellation(tasks.count))
                } else {
                    add(job)
                }
            }
        } onCancel: {
            let job = cancelled.withLock { state in
                state.isCancelled = true
                return state.job
            }
            // The script may be on its way; only the caller no longer waits.
            job?.complete(Self.cancellation(tasks.count))
        }
    }

    private static func cancellation(_ count: Int) -> [Result<EnqueueReceipt, AsynqError>] {
        let error = AsynqError(
            .brokerUnavailable,
            "the caller was cancelled; the task may be stored or not",
            cause: CancellationError()
        )
        return Array(repeating: .failure(error), count: count)
    }

    private func add(_ job: Job) {
        let isToSend = state.withLock { state in
            state.waiting.append(job)
            guard state.inFlight < Self.maxInFlight else { return false }
            state.inFlight += 1
            return true
        }
        guard isToSend else { return }
        let isOneRequest = scripts.sendsTogether(durability)
        scripts.redis.nowOrInNextTurn(for: .key(keys.base), isOneRequest: isOneRequest) { [self] in sendWaiting() }
    }

    /// Uses one of ``maxInFlight`` places for what waits, or frees it.
    private func sendWaiting() {
        let jobs = state.withLock { state -> [Job] in
            if state.waiting.isEmpty { state.inFlight -= 1 }
            return state.waiting.takeAll()
        }
        if !jobs.isEmpty { send(jobs) }
    }

    private func send(_ jobs: [Job]) {
        let tasks = jobs.count == 1 ? jobs[0].tasks : jobs.flatMap(\.tasks)
        let chunks = tasks.chunks(
            maxCount: RedisBroker.maxTasksPerScript,
            maxSize: RedisBroker.maxBytesPerScript,
            size: { $0.bytes.count }
        )
        var requests = [announcement]
        for chunk in chunks { requests.append(.init(call(chunk), .key(keys.base), durability)) }
        scripts.submit(requests) { [self] replies in
            var results: [Result<EnqueueReceipt, AsynqError>] = []
            results.reserveCapacity(tasks.count)
            for (chunk, reply) in zip(chunks, replies.dropFirst()) {
                // Both must have been stored.
                results += self.results(of: chunk, replies[0].flatMap { _ in reply })
            }
            sendWaiting()
            if jobs.count == 1 { return jobs[0].complete(results) }
            var start = 0
            for job in jobs {
                job.complete(Array(results[start..<start + job.tasks.count]))
                start += job.tasks.count
            }
        }
    }

    private func call(_ tasks: ArraySlice<EncodedTask>) -> ScriptCall {
        var call = ScriptCall.Builder(
            .enqueue,
            of: keys,
            keys: [keys.pending],
            argumentCount: 1 + 2 * tasks.count,
            capacity: tasks.reduce(0) { $0 + $1.bytes.count + 36 }
        )
        call.append(keys.taskPrefix)
        for task in tasks {
            call.append(task.id)
            call.append(task.bytes)
        }
        return call.finish()
    }

    private func results(
        of tasks: ArraySlice<EncodedTask>,
        _ reply: Result<RESPValue, AsynqError>
    ) -> [Result<EnqueueReceipt, AsynqError>] {
        switch reply {
        case .failure(let error):
            return Array(repeating: .failure(error), count: tasks.count)
        case .success(let value):
            let receipt = EnqueueReceipt(state: .pending, nextProcessAt: Date())
            var results = [Result<EnqueueReceipt, AsynqError>](repeating: .success(receipt), count: tasks.count)
            for position in value.array?.compactMap(\.int) ?? [] {
                let index = Int(position) - 1
                guard results.indices.contains(index) else { continue }
                results[index] = .failure(.taskIDConflict(tasks[tasks.startIndex + index].id, queue: keys.queue))
            }
            return results
        }
    }
}

extension Array {
    fileprivate mutating func takeAll() -> [Element] {
        defer { self = [] }
        return self
    }
}
