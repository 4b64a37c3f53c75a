public import Asynq
internal import Logging
internal import RedisClient

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RedisBroker {
    private struct EncodedOccurrence {
        let index: Int
        let occurrence: EntryOccurrence
        let lock: String
        let bytes: [UInt8]
    }

    public func enqueueOccurrences(
        _ occurrences: [EntryOccurrence]
    ) async -> [Result<OccurrenceOutcome, AsynqError>] {
        var results = [Result<OccurrenceOutcome, AsynqError>?](repeating: nil, count: occurrences.count)
        var unused: [QueueKeys] = []
        var sent: [(keys: QueueKeys, naming: PendingReplies, pieces: [(indices: [Int], reply: PendingReplies)])] = []
        for (queue, indices) in Dictionary(grouping: occurrences.indices, by: { occurrences[$0].request.message.queue })
        {
            let keys = keys(queue)
            let naming = scripts.start([.announcement(of: keys)])
            var pieces: [(indices: [Int], reply: PendingReplies)] = []
            // Each is sent before the next is encoded, so that Redis works meanwhile.
            for piece in indices.chunks(maxCount: Self.maxTasksPerScript) {
                var encoded: [EncodedOccurrence] = []
                for index in piece {
                    switch Self.encoded(occurrences[index], index, keys) {
                    case .success(let occurrence): encoded.append(occurrence)
                    case .failure(let error): results[index] = .failure(error)
                    }
                }
                for part in encoded.chunks(
                    maxCount: .max,
                    maxSize: Self.maxBytesPerScript,
                    size: { $0.bytes.count }
                ) {
                    let reply = scripts.start([.init(Self.call(part, keys), .key(keys.base))])
                    pieces.append((part.map(\.index), reply))
                }
            }
            sent.append((keys, naming, pieces))
        }
        for (keys, naming, pieces) in sent {
            // Both must have been stored.
            let isNamed = await naming.replies[0]
            var isUsed = false
            for piece in pieces {
                let reply = await piece.reply.replies[0]
                let numbers = isNamed.flatMap { _ in reply }.map { $0.array?.compactMap(\.int) ?? [] }
                for (position, index) in piece.indices.enumerated() {
                    let result: Result<OccurrenceOutcome, AsynqError> = numbers.flatMap { numbers in
                        guard numbers.count > 2 * position + 1 else {
                            return .failure(AsynqError(.brokerFailure, "unexpected reply to an enqueue"))
                        }
                        let message = occurrences[index].request.message
                        return Self.outcome(numbers[2 * position], numbers[2 * position + 1], message)
                    }
                    if case .success(.enqueued) = result { isUsed = true }
                    results[index] = result
                }
            }
            // Named for nothing: the queue may have been deleted, and is not to be there again.
            if !isUsed, (try? isNamed.get().int) == 1 { unused.append(keys) }
        }
        for keys in unused {
            do {
                try await forget(keys)
            } catch {
                logger.warning(
                    "an empty queue stays on the list",
                    metadata: ["queue": "\(keys.queue)", "error": "\(error)"]
                )
            }
        }
        return results.map { $0 ?? .failure(AsynqError(.brokerFailure, "no answer for this occurrence")) }
    }

    private static func encoded(
        _ occurrence: EntryOccurrence,
        _ index: Int,
        _ keys: QueueKeys
    ) -> Result<EncodedOccurrence, AsynqError> {
        var message = occurrence.request.message
        if occurrence.request.uniqueFor != nil {
            message.uniqueKey = keys.unique(type: message.type, payload: message.payload)
        }
        do {
            let bytes = try message.encoded()
            return .success(
                EncodedOccurrence(index: index, occurrence: occurrence, lock: message.uniqueKey, bytes: bytes)
            )
        } catch {
            return .failure(AsynqError(.invalidArgument, "the task cannot be encoded: \(error)", cause: error))
        }
    }

    private static func call(
        _ items: ArraySlice<EncodedOccurrence>,
        _ keys: QueueKeys
    ) -> ScriptCall {
        var call = ScriptCall.Builder(
            .enqueueOccurrences,
            of: keys,
            keys: [keys.pending, keys.scheduled, keys.due, keys.groups, keys.marks],
            argumentCount: 3 + 9 * items.count,
            capacity: items.reduce(0) { $0 + $1.bytes.count + 240 }
        )
        call.append(keys.taskPrefix)
        call.append(keys.groupPrefix)
        call.append(ScheduleLimit.age.millisecondsRoundedUp)
        for item in items {
            call.append(item.occurrence.entryID)
            call.append(item.occurrence.time)
            append(item.occurrence.request, lock: item.lock, bytes: item.bytes, to: &call)
        }
        return call.finish()
    }

    private static func outcome(
        _ outcome: Int64,
        _ number: Int64,
        _ message: TaskMessage
    ) -> Result<OccurrenceOutcome, AsynqError> {
        switch outcome {
        case -3: .success(.settled(mark: number))
        case -4: .success(.early(by: .milliseconds(number)))
        default: receipt(outcome, number, message).map { .enqueued($0) }
        }
    }

    public func entryMarks(_ entries: [EntryReference]) async -> [Result<Int64, AsynqError>] {
        var results = [Result<Int64, AsynqError>?](repeating: nil, count: entries.count)
        var pieces: [(indices: ArraySlice<Int>, request: ScriptRunner.Request)] = []
        for (queue, indices) in Dictionary(grouping: entries.indices, by: { entries[$0].queue }) {
            let keys = keys(queue)
            for piece in indices.chunks(maxCount: Self.maxTasksPerScript) {
                var call = ScriptCall.Builder(
                    .entryMarks,
                    of: keys,
                    keys: [keys.marks],
                    argumentCount: 1 + piece.count,
                    capacity: 40 * piece.count
                )
                call.append(ScheduleLimit.age.millisecondsRoundedUp)
                for index in piece { call.append(entries[index].entryID) }
                pieces.append((piece, .init(call.finish(), .key(keys.base))))
            }
        }
        for (piece, reply) in zip(pieces, await scripts.run(pieces.map(\.request))) {
            let marks = reply.map { $0.array?.compactMap(\.int) ?? [] }
            for (position, index) in piece.indices.enumerated() {
                results[index] = marks.flatMap { marks in
                    marks.indices.contains(position)
                        ? .success(marks[position])
                        : .failure(AsynqError(.brokerFailure, "unexpected reply to a look at marks"))
                }
            }
        }
        return results.map { $0 ?? .failure(AsynqError(.brokerFailure, "no answer for this entry")) }
    }
}
