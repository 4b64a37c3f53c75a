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
        var byQueue: [String: [EncodedOccurrence]] = [:]
        for (index, occurrence) in occurrences.enumerated() {
            var message = occurrence.request.message
            let keys = keys(message.queue)
            if occurrence.request.uniqueFor != nil {
                message.uniqueKey = keys.unique(type: message.type, payload: message.payload)
            }
            do {
                let bytes = try message.encoded()
                byQueue[message.queue, default: []].append(
                    EncodedOccurrence(index: index, occurrence: occurrence, lock: message.uniqueKey, bytes: bytes)
                )
            } catch {
                results[index] = .failure(
                    AsynqError(.invalidArgument, "the task cannot be encoded: \(error)", cause: error)
                )
            }
        }
        var pieces: [(items: ArraySlice<EncodedOccurrence>, naming: Int, call: Int)] = []
        var requests: [ScriptRunner.Request] = []
        for (queue, items) in byQueue {
            let naming = requests.count
            requests.append(.init(RESPCommand("SADD", RedisKeys.queues, queue), .key(RedisKeys.queues)))
            for piece in items.chunks(
                maxCount: Self.maxTasksPerScript,
                maxSize: Self.maxBytesPerScript,
                size: \.bytes.count
            ) {
                pieces.append((piece, naming, requests.count))
                requests.append(.init(Self.call(piece, keys(queue)), .key(keys(queue).base)))
            }
        }
        let replies = await scripts.run(requests)
        var unused: Set<String> = []
        for piece in pieces {
            // Both must have been stored.
            let reply = replies[piece.naming].flatMap { _ in replies[piece.call] }
            let numbers = reply.map { $0.array?.compactMap(\.int) ?? [] }
            for (position, item) in piece.items.enumerated() {
                results[item.index] = numbers.flatMap { numbers in
                    guard numbers.count > 2 * position + 1 else {
                        return .failure(AsynqError(.brokerFailure, "unexpected reply to an enqueue"))
                    }
                    let message = item.occurrence.request.message
                    return Self.outcome(numbers[2 * position], numbers[2 * position + 1], message)
                }
            }
        }
        for piece in pieces where (try? replies[piece.naming].get().int) == 1 {
            // Named for nothing: the queue may have been deleted, and is not to be there again.
            let isUsed = piece.items.contains { item in
                if case .success(.enqueued) = results[item.index] { true } else { false }
            }
            if !isUsed { unused.insert(piece.items[piece.items.startIndex].occurrence.request.message.queue) }
        }
        for queue in unused {
            do {
                try await forget(keys(queue))
            } catch {
                logger.warning(
                    "an empty queue stays on the list",
                    metadata: ["queue": "\(queue)", "error": "\(error)"]
                )
            }
        }
        return results.map { $0 ?? .failure(AsynqError(.brokerFailure, "no answer for this occurrence")) }
    }

    private static func call(_ items: ArraySlice<EncodedOccurrence>, _ keys: QueueKeys) -> ScriptCall {
        var call = ScriptCall.Builder(
            .enqueueOccurrences,
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
