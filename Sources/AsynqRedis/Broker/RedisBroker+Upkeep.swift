public import Asynq
internal import RedisClient

extension RedisBroker {
    public func extendLeases(_ tasks: [LeasedTask]) async throws -> [Bool] {
        var isLeased = [Bool](repeating: true, count: tasks.count)
        var calls: [(indices: ArraySlice<Int>, request: ScriptRunner.Request)] = []
        for (queue, indices) in Dictionary(grouping: tasks.indices, by: { QueueName(tasks[$0].message.queue) }) {
            let keys = keys(queue.text)
            for chunk in indices.chunks(maxCount: Self.maxTasksPerScript) {
                var call = ScriptCall.Builder(
                    .extendLeases,
                    keys: [keys.lease],
                    argumentCount: 2 + chunk.count,
                    capacity: 48 * chunk.count
                )
                call.append(LeasedTask.leaseDuration.components.seconds)
                call.append(chunk.map { tasks[$0] }.marks)
                for index in chunk { call.append(tasks[index].message.id) }
                calls.append((chunk, .init(call.finish(), .key(keys.base))))
            }
        }
        for (call, reply) in zip(calls, await scripts.run(calls.map(\.request))) {
            for position in try reply.get().array?.compactMap(\.int) ?? []
            where position > 0 && position <= call.indices.count {
                isLeased[call.indices[call.indices.startIndex + Int(position) - 1]] = false
            }
        }
        return isLeased
    }

    public func forward(queues: [String], limit: Int) async throws -> ForwardResult {
        let calls = queues.map { queue in
            let keys = keys(queue)
            var call = ScriptCall.Builder(
                .forward,
                of: keys,
                keys: [keys.scheduled, keys.retry, keys.due, keys.pending, keys.groups],
                argumentCount: 3
            )
            call.append(keys.taskPrefix)
            call.append(keys.groupPrefix)
            // Less than none would be all.
            call.append(min(max(limit, 0), Self.maxTasksPerScript))
            return ScriptRunner.Request(call.finish(), .key(keys.base))
        }
        var result = ForwardResult(moved: 0, nextDueIn: nil)
        for (queue, reply) in zip(queues, await scripts.run(calls)) {
            guard let parts = try reply.get().array, parts.count == 3 else { continue }
            let numbers = parts.prefix(2).map { $0.int ?? 0 }
            reportDropped(parts[2], keys(queue))
            result.moved += Int(numbers[0])
            if numbers[1] >= 0 {
                result.nextDueIn = min(result.nextDueIn ?? .seconds(Int64.max), .milliseconds(numbers[1]))
            }
        }
        return result
    }

    public func deleteExpiredCompleted(queue: String, limit: Int) async throws -> Int {
        let keys = keys(queue)
        var call = ScriptCall.Builder(.deleteExpiredCompleted, of: keys, keys: [keys.completed], argumentCount: 2)
        call.append(keys.taskPrefix)
        call.append(min(max(limit, 0), 1000))
        return Int(try await reply(call.finish(), keys).int ?? 0)
    }

    public func writeResult(_ result: [UInt8], of task: LeasedTask) async throws {
        let keys = keys(task.message.queue)
        var call = ScriptCall.Builder(
            .writeResult,
            keys: [keys.lease, keys.task(task.message.id)],
            argumentCount: 3,
            capacity: result.count
        )
        call.append(task.message.id)
        call.append(task.leaseMark)
        call.append(result)
        guard try await reply(call.finish(), keys).int == 1 else {
            throw AsynqError.taskNotRunning(task)
        }
    }

    public func writeServerState(_ state: ServerState, ttl: Duration) async throws {
        let id = state.identity.key
        let (server, workers) = (RedisKeys.server(id), RedisKeys.workers(of: id))
        var call = ScriptCall.Builder(
            .writeServerState,
            keys: [server, workers],
            argumentCount: 2 + 2 * state.workers.count,
            capacity: 256 * (1 + state.workers.count)
        )
        call.append(max(1, ttl.secondsRoundedUp))
        call.append(try state.encodedInfo())
        for worker in state.workers {
            call.append(worker.task.message.id)
            call.append(try state.encodedInfo(of: worker))
        }
        let expiry = String(clock.seconds + max(1, ttl.secondsRoundedUp))
        let replies = await scripts.run([
            .init(call.finish(), .key(server)),
            .init(RESPCommand("ZADD", RedisKeys.servers, expiry, server), .key(RedisKeys.servers)),
            .init(RESPCommand("ZADD", RedisKeys.workers, expiry, workers), .key(RedisKeys.workers)),
        ])
        for reply in replies { _ = try reply.get() }
    }

    public func clearServerState(_ server: ServerIdentity) async throws {
        let (info, workers) = (RedisKeys.server(server.key), RedisKeys.workers(of: server.key))
        let replies = await scripts.run([
            .init(RESPCommand("ZREM", RedisKeys.servers, info), .key(RedisKeys.servers)),
            .init(RESPCommand("ZREM", RedisKeys.workers, workers), .key(RedisKeys.workers)),
            .init(RESPCommand("DEL", info, workers), .key(info)),
        ])
        for reply in replies { _ = try reply.get() }
    }

    public func makeWatch(
        queues: [String],
        onSignal: @escaping @Sendable (BrokerSignal) -> Void
    ) -> any BrokerWatch {
        RedisWatch(redis: redis, queues: queues.map(keys), logger: logger, onSignal: onSignal)
    }
}
