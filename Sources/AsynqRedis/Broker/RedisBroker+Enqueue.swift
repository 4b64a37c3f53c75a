public import Asynq
internal import RedisClient
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RedisBroker {
    /// One script holds up Redis for as long as it runs, so it is given no more than this.
    static let maxTasksPerScript = 256
    static let maxBytesPerScript = 1 << 20

    nonisolated(nonsending) public func enqueue(
        _ requests: [EnqueueRequest]
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        if let queue = Self.queue(ofPlain: requests) {
            return await enqueuePlain(requests, to: queue)
        }
        let byQueue = Dictionary(grouping: requests.indices) { QueueName(requests[$0].message.queue) }
        var results = [Result<EnqueueReceipt, AsynqError>?](repeating: nil, count: requests.count)
        await withTaskGroup(of: [(Int, Result<EnqueueReceipt, AsynqError>)].self) { group in
            for (queue, indices) in byQueue {
                let own = indices.map { requests[$0] }
                group.addTask {
                    Array(zip(indices, await self.enqueue(own, to: queue.text)))
                }
            }
            for await part in group {
                for (index, result) in part { results[index] = result }
            }
        }
        return results.map { $0 ?? .failure(AsynqError(.brokerFailure, "no answer for this task")) }
    }

    /// The queue of all of these, if that is one and none asks for more than to be stored: the most frequent case, which
    /// needs no sorting.
    private static func queue(ofPlain requests: [EnqueueRequest]) -> String? {
        // Looked at where they lie: copies of requests would cost more than all else here.
        let requests = requests.span
        guard !requests.isEmpty else { return nil }
        let queue = requests[0].message.queue
        for index in requests.indices {
            guard requests[index].isPlain, requests[index].message.queue.hasSameBytes(as: queue) else { return nil }
        }
        return queue
    }

    nonisolated(nonsending) private func enqueuePlain(
        _ requests: [EnqueueRequest],
        to queue: String
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        let tasks: [EncodedTask]
        do {
            tasks = try Self.encoded(requests)
        } catch {
            return Array(repeating: .failure(.unencodable(error)), count: requests.count)
        }
        return await batcher(queue).enqueue(tasks)
    }

    private static func encoded(_ requests: [EnqueueRequest]) throws -> [EncodedTask] {
        let requests = requests.span
        var tasks: [EncodedTask] = []
        tasks.reserveCapacity(requests.count)
        for index in requests.indices {
            tasks.append(EncodedTask(id: requests[index].message.id, bytes: try requests[index].message.encoded()))
        }
        return tasks
    }

    nonisolated(nonsending) private func enqueue(
        _ requests: [EnqueueRequest],
        to queue: String
    ) async -> [Result<EnqueueReceipt, AsynqError>] {
        if requests.allSatisfy({ $0.isPlain }) { return await enqueuePlain(requests, to: queue) }
        do {
            return try await enqueueWithOptions(requests, keys(queue))
        } catch {
            let failure = error as? AsynqError ?? .unencodable(error)
            return requests.map { _ in .failure(failure) }
        }
    }

    private func batcher(_ queue: String) -> EnqueueBatcher {
        batchers.withLock { batchers in
            if let batcher = batchers[QueueName(queue)] { return batcher }
            if batchers.count >= 10_000 { batchers.removeAll() }
            let batcher = EnqueueBatcher(keys: keys(queue), scripts: enqueues, durability: durability)
            batchers[QueueName(queue)] = batcher
            return batcher
        }
    }

    nonisolated(nonsending) private func enqueueWithOptions(
        _ requests: [EnqueueRequest],
        _ keys: QueueKeys
    ) async throws -> [Result<EnqueueReceipt, AsynqError>] {
        let encoded = try requests.map { try Self.encoded($0, keys) }
        var calls: [ScriptRunner.Request] = [.announcement(of: keys)]
        for chunk in encoded.chunks(
            maxCount: Self.maxTasksPerScript,
            maxSize: Self.maxBytesPerScript,
            size: { $0.2.count }
        ) {
            calls.append(.init(Self.call(chunk, keys), .key(keys.base), durability))
        }
        let replies = await enqueues.run(calls)
        _ = try replies[0].get()
        var results: [Result<EnqueueReceipt, AsynqError>] = []
        var replied = replies.dropFirst()
        for chunk in encoded.chunks(
            maxCount: Self.maxTasksPerScript,
            maxSize: Self.maxBytesPerScript,
            size: { $0.2.count }
        ) {
            switch replied.removeFirst() {
            case .success(let reply):
                let numbers = reply.array?.compactMap(\.int) ?? []
                for (index, item) in chunk.enumerated() {
                    let isAnswered = numbers.count > 2 * index + 1
                    results.append(
                        isAnswered
                            ? Self.receipt(numbers[2 * index], numbers[2 * index + 1], item.0.message)
                            : .failure(AsynqError(.brokerFailure, "unexpected reply to an enqueue"))
                    )
                }
            case .failure(let error):
                results += chunk.map { _ in .failure(error) }
            }
        }
        return results
    }

    /// A request with its lock and its message.
    static func encoded(_ request: EnqueueRequest, _ keys: QueueKeys) throws -> (EnqueueRequest, String, [UInt8]) {
        var message = request.message
        if request.uniqueFor != nil {
            message.uniqueKey = keys.unique(type: message.type, payload: message.payload)
        }
        return (request, message.uniqueKey, try message.encoded())
    }

    /// - Parameters:
    ///   - script: enqueue_with_options.lua, or one that does more and takes more keys.
    ///   - more: the keys beyond those of enqueue_with_options.lua.
    static func call(
        _ tasks: ArraySlice<(EnqueueRequest, String, [UInt8])>,
        _ keys: QueueKeys,
        script: RedisScript = .enqueueWithOptions,
        more: [String] = []
    ) -> ScriptCall {
        var call = ScriptCall.Builder(
            script,
            of: keys,
            keys: [keys.pending, keys.scheduled, keys.due, keys.groups] + more,
            argumentCount: 2 + 7 * tasks.count,
            capacity: tasks.reduce(0) { $0 + $1.2.count + 160 }
        )
        call.append(keys.taskPrefix)
        call.append(keys.groupPrefix)
        for (request, lock, bytes) in tasks { append(request, lock: lock, bytes: bytes, to: &call) }
        return call.finish()
    }

    /// The seven arguments of a task.
    static func append(_ request: EnqueueRequest, lock: String, bytes: [UInt8], to call: inout ScriptCall.Builder) {
        call.append(request.message.id)
        call.append(bytes)
        switch request.start {
        case .now:
            call.append(0)
            call.append(0)
        case .at(let milliseconds):
            call.append(max(0, milliseconds))
            call.append(0)
        case .after(let milliseconds):
            call.append(0)
            call.append(max(0, milliseconds))
        }
        call.append(lock)
        call.append(request.uniqueFor?.millisecondsRoundedUp ?? 0)
        call.append(request.message.group)
    }

    static func receipt(
        _ outcome: Int64,
        _ start: Int64,
        _ message: TaskMessage
    ) -> Result<EnqueueReceipt, AsynqError> {
        let date = Date(timeIntervalSince1970: Double(start) / 1000)
        return switch outcome {
        case 0: .success(EnqueueReceipt(state: .pending, nextProcessAt: date))
        case 1: .success(EnqueueReceipt(state: .scheduled, nextProcessAt: date))
        case 2: .success(EnqueueReceipt(state: .aggregating, nextProcessAt: nil))
        case -1: .failure(.taskIDConflict(message.id, queue: message.queue))
        default: .failure(.duplicateTask(type: message.type, queue: message.queue))
        }
    }
}

extension ScriptRunner.Request {
    /// Puts a queue on the list of queues. Goes with each enqueue, as somebody may have removed the queue.
    static func announcement(of keys: QueueKeys) -> Self {
        .init(RESPCommand("SADD", RedisKeys.queues, keys.queue), .key(RedisKeys.queues))
    }
}

extension EnqueueRequest {
    /// Neither unique nor scheduled nor grouped.
    fileprivate var isPlain: Bool { start == .now && uniqueFor == nil && message.group.isEmpty }
}

extension AsynqError {
    static func unencodable(_ error: any Error) -> AsynqError {
        AsynqError(.invalidArgument, "the task cannot be encoded: \(error)", cause: error)
    }
}
