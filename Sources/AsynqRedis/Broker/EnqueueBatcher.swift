internal import Asynq
internal import RedisClient
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A task ready to be stored.
private struct EncodedTask: Sendable {
    let id: String
    let bytes: [UInt8]

    init(_ message: TaskMessage) throws {
        id = message.id
        bytes = try message.encoded()
    }
}

/// Puts what many callers enqueue to one queue into common scripts. Nobody waits on purpose: while fewer than
/// ``maxInFlight`` scripts are on their way a caller's tasks go in the next turn of the event loop, with those that come
/// until then; others go together as soon as a script is answered.
final class EnqueueBatcher: Sendable {
    /// Some of a caller's tasks, which go in one script, maybe with others.
    private struct Part: Sendable {
        let call: EnqueueCall
        /// Where among the caller's tasks they begin.
        let start: Int
        let tasks: [EncodedTask]
        /// The queue is named with these, as it is with each call: somebody may have removed it since.
        let isNaming: Bool
    }

    private struct State {
        var waiting: [Part] = []
        var inFlight = 0
    }

    /// Enough to keep Redis busy while a reply is on its way back.
    private static let maxInFlight = 2
    /// From so many tasks on a caller's go in two parts while Redis is idle: it works on the first while the second is encoded.
    private static let leastToSplit = 48

    private let keys: QueueKeys
    private let scripts: ScriptRunner
    private let durability: RedisDurability
    private let state = Mutex(State())

    init(keys: QueueKeys, scripts: ScriptRunner, durability: RedisDurability) {
        self.keys = keys
        self.scripts = scripts
        self.durability = durability
    }

    func enqueue(_ messages: [TaskMessage]) async -> [Result<EnqueueReceipt, AsynqError>] {
        let call = EnqueueCall(messages.count)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard call.begin(continuation) else { return }
                let isSplit = messages.count >= Self.leastToSplit && state.withLock { $0.inFlight == 0 }
                let first = isSplit ? min(messages.count / 3, RedisBroker.maxTasksPerScript) : messages.count
                let isNamed = add(messages[..<first], call, isNaming: true)
                if isSplit { add(messages[first...], call, isNaming: !isNamed) }
            }
        } onCancel: {
            // Its tasks may be on their way; only the caller no longer waits.
            call.cancel()
        }
    }

    /// Returns whether all are on their way.
    @discardableResult
    private func add(_ messages: ArraySlice<TaskMessage>, _ call: EnqueueCall, isNaming: Bool) -> Bool {
        do {
            let tasks = try messages.map(EncodedTask.init)
            add(Part(call: call, start: messages.startIndex, tasks: tasks, isNaming: isNaming))
            return true
        } catch  where messages.count == 1 {
            call.complete(from: messages.startIndex, [.failure(.unencodable(error))])
        } catch {
            // One that cannot be stored does not hold up the others.
            for index in messages.indices { add(messages[index...index], call, isNaming: true) }
        }
        return false
    }

    private func add(_ part: Part) {
        let isToSend = state.withLock { state in
            state.waiting.append(part)
            guard state.inFlight < Self.maxInFlight else { return false }
            state.inFlight += 1
            return true
        }
        if isToSend { scripts.redis.inNextTurn(for: .key(keys.base)) { [self] in sendWaiting() } }
    }

    /// Uses one of ``maxInFlight`` places for what waits, or frees it.
    private func sendWaiting() {
        let parts = state.withLock { state -> [Part] in
            if state.waiting.isEmpty { state.inFlight -= 1 }
            return state.waiting.takeAll()
        }
        if !parts.isEmpty { send(parts) }
    }

    private func send(_ parts: [Part]) {
        let tasks = parts.count == 1 ? parts[0].tasks : parts.flatMap(\.tasks)
        let chunks = tasks.chunks(
            maxCount: RedisBroker.maxTasksPerScript,
            maxSize: RedisBroker.maxBytesPerScript,
            size: \.bytes.count
        )
        var requests: [ScriptRunner.Request] = []
        let isNaming = parts.contains(where: \.isNaming)
        if isNaming {
            let naming = RESPCommand("SADD", RedisKeys.queues, keys.queue)
            requests.append(.init(naming, .key(RedisKeys.queues)))
        }
        for chunk in chunks { requests.append(.init(call(chunk), .key(keys.base), durability)) }
        scripts.submit(requests) { [self] replies in
            var results: [Result<EnqueueReceipt, AsynqError>] = []
            results.reserveCapacity(tasks.count)
            for (chunk, reply) in zip(chunks, replies.dropFirst(isNaming ? 1 : 0)) {
                results += self.results(of: chunk, reply)
            }
            sendWaiting()
            var start = 0
            for part in parts {
                // Both must have been stored.
                if part.isNaming, case .failure(let error) = replies[0] { part.call.fail(error) }
                part.call.complete(from: part.start, results[start..<start + part.tasks.count])
                start += part.tasks.count
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
