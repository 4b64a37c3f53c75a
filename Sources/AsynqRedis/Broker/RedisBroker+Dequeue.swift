public import Asynq
internal import Logging
internal import NIOCore
internal import RedisClient

extension RedisBroker {
    /// So many bytes of messages are enough for one script.
    private static let maxReplySize = 8 << 20

    public func dequeue(_ requests: [DequeueRequest]) async throws -> [LeasedTask] {
        let mark = Int64.random(in: LeasedTask.leaseMarks)
        // A seventh digit keeps the zeros in front of it.
        let markText = String(String(1_000_000 + mark).dropFirst())
        let calls = requests.filter { $0.limit > 0 }.map { request in
            let keys = keys(request.queue)
            var call = ScriptCall.Builder(
                .dequeue,
                of: keys,
                keys: [keys.pending, keys.paused, keys.active, keys.lease],
                argumentCount: 5
            )
            call.append(keys.taskPrefix)
            call.append(min(request.limit, Self.maxTasksPerScript))
            call.append(LeasedTask.leaseDuration.components.seconds)
            call.append(Self.maxReplySize)
            call.append(markText)
            return (keys, ScriptRunner.Request(call.finish(), .key(keys.base)))
        }
        let replies = await scripts.run(calls.map(\.1))
        var tasks: [LeasedTask] = []
        var failure: AsynqError?
        for ((keys, _), reply) in zip(calls, replies) {
            switch reply {
            case .success(let value): tasks += await leasedTasks(value, keys)
            case .failure(let error): failure = error
            }
        }
        // What the other queues gave is ours now: an error must not lose it.
        if let failure, tasks.isEmpty { throw failure }
        return tasks
    }

    private func leasedTasks(_ reply: RESPValue, _ keys: QueueKeys) async -> [LeasedTask] {
        guard let parts = reply.array, parts.count == 4, let lease = parts[0].int, let items = parts[3].array else {
            logger.error("unexpected reply to a dequeue", metadata: ["queue": "\(keys.queue)"])
            return []
        }
        let time = parts[1].int
        if let time { clock.observe(microseconds: time) }
        reportDropped(parts[2], keys)
        return await decode(items, stride: 3, leaseEnd: lease, dequeuedAt: time.map { $0 * 1000 }, keys)
    }

    /// - Parameter ids: as a script gives them.
    func reportDropped(_ ids: RESPValue, _ keys: QueueKeys) {
        for id in ids.array ?? [] {
            logger.error(
                "dropped a task that has no message",
                metadata: ["queue": "\(keys.queue)", "task_id": "\(id.string ?? "")"]
            )
        }
    }

    /// Decodes groups of id, message and maybe pending_since. What does not decode goes to the archive as it is.
    func decode(
        _ items: [RESPValue],
        stride width: Int,
        leaseEnd: Int64,
        dequeuedAt: Int64? = nil,
        _ keys: QueueKeys
    ) async -> [LeasedTask] {
        var tasks: [LeasedTask] = []
        tasks.reserveCapacity(items.count / width)
        var unreadable: [String] = []
        for start in stride(from: 0, to: items.count - width + 1, by: width) {
            guard let bytes = items[start + 1].buffer, let message = try? TaskMessage(decoding: bytes),
                // One that names another task could never be finished.
                message.queue.hasSameBytes(as: keys.queue),
                items[start].buffer?.withUnsafeReadableBytes({ message.id.hasBytes($0.bindMemory(to: UInt8.self)) })
                    == true
            else {
                unreadable.append(items[start].string ?? "")
                continue
            }
            let since = width > 2 ? items[start + 2].int : nil
            tasks.append(
                LeasedTask(message: message, pendingSince: since, dequeuedAt: dequeuedAt, leaseEnd: leaseEnd)
            )
        }
        if !unreadable.isEmpty { await moveAside(unreadable, keys) }
        return tasks
    }

    private func moveAside(_ ids: [String], _ keys: QueueKeys) async {
        for id in ids {
            logger.error(
                "archived a task whose message cannot be read",
                metadata: ["queue": "\(keys.queue)", "task_id": "\(id)"]
            )
        }
        let call = archiveCall(ids.map { ($0, []) }, keys, condition: "")
        if case .failure(let error) = await scripts.run([.init(call, .key(keys.base))])[0] {
            logger.error(
                "cannot archive them; they will be recovered and archived later",
                metadata: ["queue": "\(keys.queue)", "error": "\(error)"]
            )
        }
    }

    public func expiredLeases(queues: [String], limit: Int) async throws -> [LeasedTask] {
        let calls = queues.map { queue in
            let keys = keys(queue)
            var call = ScriptCall.Builder(.expiredLeases, of: keys, keys: [keys.lease, keys.active], argumentCount: 3)
            call.append(keys.taskPrefix)
            call.append(LeasedTask.recoveryGrace.components.seconds)
            call.append(min(max(limit, 0), Self.maxTasksPerScript))
            return (keys, ScriptRunner.Request(call.finish(), .key(keys.base)))
        }
        let replies = await scripts.run(calls.map(\.1))
        var tasks: [LeasedTask] = []
        for ((keys, _), reply) in zip(calls, replies) {
            guard let parts = try reply.get().array, parts.count == 2 else { continue }
            reportDropped(parts[1], keys)
            tasks += await decode(parts[0].array ?? [], stride: 2, leaseEnd: 0, keys)
        }
        return tasks
    }
}
