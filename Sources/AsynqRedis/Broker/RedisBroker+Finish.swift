public import Asynq
internal import RedisClient

extension RedisBroker {
    public func finish(_ requests: [FinishRequest]) async -> [FinishResult] {
        var results = [FinishResult](repeating: .finished, count: requests.count)
        var calls: [(indices: ArraySlice<Int>, request: ScriptRunner.Request)] = []
        for (kind, indices) in grouped(requests) {
            // Requests with large messages of their own go in smaller pieces.
            let size = { (index: Int) in
                kind.operation.rewrites ? requests[index].size : 0
            }
            for chunk in indices.chunks(maxCount: Self.maxTasksPerScript, maxSize: Self.maxBytesPerScript, size: size) {
                do {
                    let keys = keys(kind.queue.text)
                    let call = try call(kind, chunk.map { requests[$0] }, keys)
                    calls.append((chunk, .init(call, .key(keys.base))))
                } catch {
                    let failure = AsynqError(.brokerFailure, "the task cannot be encoded: \(error)", cause: error)
                    for index in chunk { results[index] = .failed(failure) }
                }
            }
        }
        let replies = await scripts.run(calls.map(\.request))
        for (call, reply) in zip(calls, replies) {
            switch reply {
            case .success(let value):
                for position in value.array?.compactMap(\.int) ?? []
                where position > 0 && position <= call.indices.count {
                    results[call.indices[call.indices.startIndex + Int(position) - 1]] = .notFound
                }
            case .failure(let error):
                for index in call.indices { results[index] = .failed(error) }
            }
        }
        return results
    }

    private enum Operation: Hashable {
        case done, complete, retry, archive, requeue

        /// The task's message is written anew.
        var rewrites: Bool { self != .done && self != .requeue }
    }

    private struct Kind: Hashable {
        let queue: QueueName
        let operation: Operation
        let condition: FinishRequest.Condition

        init(_ request: FinishRequest) {
            queue = QueueName(request.task.message.queue)
            condition = request.condition
            operation =
                switch request.outcome {
                case .done: request.task.message.retention > 0 ? .complete : .done
                case .drop: .done
                case .retry: .retry
                case .archive: .archive
                case .requeue: .requeue
                }
        }
    }

    /// Which requests can share a script, in the order in which they came.
    private func grouped(_ requests: [FinishRequest]) -> [(Kind, [Int])] {
        var groups: [(Kind, [Int])] = []
        var places: [Kind: Int] = [:]
        for (index, request) in requests.enumerated() {
            let kind = Kind(request)
            if let last = groups.indices.last, groups[last].0 == kind {
                groups[last].1.append(index)
            } else if let place = places[kind] {
                groups[place].1.append(index)
            } else {
                places[kind] = groups.count
                groups.append((kind, [index]))
            }
        }
        return groups
    }

    private func call(_ kind: Kind, _ requests: [FinishRequest], _ keys: QueueKeys) throws -> ScriptCall {
        let condition = requests.map(\.task).text(of: kind.condition)
        switch kind.operation {
        case .done: return doneCall(requests, keys, condition)
        case .complete: return try completeCall(requests, keys, condition)
        case .retry: return try retryCall(requests, keys, condition)
        case .archive:
            return archiveCall(
                try requests.map { ($0.task.message.id, try $0.message(endedAt: clock.seconds).encoded()) },
                keys,
                condition: condition
            )
        case .requeue: return requeueCall(requests.map(\.task.message.id), keys, condition)
        }
    }

    private func doneCall(_ requests: [FinishRequest], _ keys: QueueKeys, _ condition: String) -> ScriptCall {
        // Few tasks have one, and each argument costs.
        let hasLocks = requests.contains { !$0.task.message.uniqueKey.isEmpty }
        var call = ScriptCall.Builder(
            .done,
            of: keys,
            keys: [keys.active, keys.lease, keys.processed],
            argumentCount: 3 + (hasLocks ? 2 : 1) * requests.count,
            capacity: 40 * requests.count
        )
        call.append(keys.taskPrefix)
        call.append(condition)
        call.append(requests.count)
        for request in requests { call.append(request.task.message.id) }
        if hasLocks {
            for request in requests { call.append(request.task.message.uniqueKey) }
        }
        return call.finish()
    }

    private func completeCall(
        _ requests: [FinishRequest],
        _ keys: QueueKeys,
        _ condition: String
    ) throws -> ScriptCall {
        var call = ScriptCall.Builder(
            .complete,
            of: keys,
            keys: [keys.active, keys.lease, keys.processed, keys.completed],
            argumentCount: 2 + 4 * requests.count,
            capacity: 256 * requests.count
        )
        call.append(keys.taskPrefix)
        call.append(condition)
        for request in requests {
            let message = request.message(endedAt: clock.seconds)
            call.append(message.id)
            call.append(message.uniqueKey)
            call.append(try message.encoded())
            call.append(message.retention)
        }
        return call.finish()
    }

    private func retryCall(
        _ requests: [FinishRequest],
        _ keys: QueueKeys,
        _ condition: String
    ) throws -> ScriptCall {
        var call = ScriptCall.Builder(
            .retry,
            of: keys,
            keys: [keys.active, keys.lease, keys.processed, keys.failed, keys.retry, keys.due],
            argumentCount: 2 + 4 * requests.count,
            capacity: 256 * requests.count
        )
        call.append(keys.taskPrefix)
        call.append(condition)
        for request in requests {
            guard case .retry(let delay, _, let countsAsFailure) = request.outcome else { continue }
            call.append(request.task.message.id)
            call.append(try request.message(endedAt: clock.seconds).encoded())
            call.append(max(0, delay.millisecondsRoundedUp))
            call.append(countsAsFailure ? 1 : 0)
        }
        return call.finish()
    }

    /// - Parameters:
    ///   - tasks: id and new message; an empty one leaves the message that is there.
    ///   - condition: as the script reads it.
    func archiveCall(_ tasks: [(id: String, message: [UInt8])], _ keys: QueueKeys, condition: String) -> ScriptCall {
        var call = ScriptCall.Builder(
            .archive,
            of: keys,
            keys: [keys.active, keys.lease, keys.processed, keys.failed, keys.archived],
            argumentCount: 4 + 2 * tasks.count,
            capacity: 256 * tasks.count
        )
        call.append(keys.taskPrefix)
        call.append(condition)
        call.append(ArchiveLimit.count)
        call.append(ArchiveLimit.age.components.seconds)
        for task in tasks {
            call.append(task.id)
            call.append(task.message)
        }
        return call.finish()
    }

    private func requeueCall(_ ids: [String], _ keys: QueueKeys, _ condition: String) -> ScriptCall {
        var call = ScriptCall.Builder(
            .requeue,
            of: keys,
            keys: [keys.active, keys.lease, keys.pending],
            argumentCount: 2 + ids.count,
            capacity: 40 * ids.count
        )
        call.append(keys.taskPrefix)
        call.append(condition)
        for id in ids { call.append(id) }
        return call.finish()
    }
}

extension [LeasedTask] {
    /// A condition as scripts read it, for these tasks.
    fileprivate func text(of condition: FinishRequest.Condition) -> String {
        switch condition {
        case .isActive: ""
        case .isSameAttempt: marks
        case .isLeaseExpired: "expired \(LeasedTask.recoveryGrace.components.seconds)"
        }
    }

    /// Which attempts these are, as scripts read it.
    var marks: String { map { String($0.leaseMark) }.joined(separator: ",") }
}

extension FinishRequest {
    /// Bytes of the message that is written anew, about.
    fileprivate var size: Int {
        let error =
            switch outcome {
            case .retry(_, let error, _), .archive(let error): error.utf8.count
            case .done, .drop, .requeue: 0
            }
        return (task.message.payload?.count ?? 0) + error
    }
}
