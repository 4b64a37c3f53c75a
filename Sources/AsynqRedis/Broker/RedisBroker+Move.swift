public import Asynq
internal import NIOCore
internal import RedisClient

extension RedisBroker {
    public func move(_ tasks: [TaskReference], _ move: TaskMove) async -> [Result<TaskState, AsynqError>] {
        var results = tasks.map { Result<TaskState, AsynqError>.failure(.taskNotFound($0)) }
        for (queue, indices) in Dictionary(grouping: tasks.indices, by: { tasks[$0].queue }) {
            let keys = keys(queue)
            for chunk in indices.chunks(maxCount: Self.maxTasksPerScript) {
                var left = Array(chunk)
                // Places in a long list are looked for a few at a time.
                while !left.isEmpty {
                    let outcomes = await outcomes(of: move, left.map { tasks[$0].id }, keys)
                    var later: [Int] = []
                    for (index, outcome) in zip(left, outcomes) {
                        switch outcome {
                        case .success(let found):
                            guard let state = found.state else { continue }
                            switch found.code {
                            case 1: results[index] = .success(state)
                            case 0: results[index] = .failure(.cannotMove(tasks[index], move, in: state))
                            default: later.append(index)
                            }
                        case .failure(let error): results[index] = .failure(error)
                        }
                    }
                    left = later
                }
            }
        }
        return results
    }

    private func outcomes(
        of move: TaskMove,
        _ ids: [String],
        _ keys: QueueKeys
    ) async -> [Result<(state: TaskState?, code: Int64), AsynqError>] {
        var call = moveCall(.moveTasks, move, keys, source: nil, argumentCount: ids.count)
        for id in ids { call.append(id) }
        do throws(AsynqError) {
            let parts = try await reply(call.finish(), keys).array ?? []
            guard parts.count == 2 * ids.count else {
                throw AsynqError(.brokerFailure, "unexpected reply to a move of tasks")
            }
            return ids.indices.map { index in
                .success((parts[2 * index].string.flatMap(TaskState.init), parts[2 * index + 1].int ?? 0))
            }
        } catch {
            return ids.map { _ in .failure(error) }
        }
    }

    public func moveSome(_ selection: TaskSelection, _ move: TaskMove, limit: Int) async throws -> MoveBatch {
        guard limit > 0 else {
            return MoveBatch(moved: 0, remaining: try await tasks(selection, offset: 0, limit: 0).total)
        }
        let keys = keys(selection.queue)
        var call = moveCall(.moveSome, move, keys, source: keys.source(selection), argumentCount: 3)
        call.append(selection.state.rawValue)
        call.append(min(limit, Self.maxTasksPerScript))
        call.append(selection.group ?? "")
        guard let numbers = try await reply(call.finish(), keys).array?.compactMap(\.int), numbers.count == 2 else {
            throw AsynqError(.brokerFailure, "unexpected reply to a move of \(selection.state.rawValue) tasks")
        }
        return MoveBatch(moved: Int(numbers[0]), remaining: Int(numbers[1]))
    }

    /// What the scripts have in common that move tasks.
    private func moveCall(
        _ script: RedisScript,
        _ move: TaskMove,
        _ keys: QueueKeys,
        source: String?,
        argumentCount: Int
    ) -> ScriptCall.Builder {
        let places = [
            keys.pending, keys.scheduled, keys.retry, keys.archived, keys.completed, keys.due, keys.groups,
        ]
        var call = ScriptCall.Builder(
            script,
            of: keys,
            keys: places + (source.map { [$0] } ?? []),
            argumentCount: 5 + argumentCount,
            capacity: 128 + 40 * argumentCount
        )
        call.append(keys.taskPrefix)
        call.append(keys.groupPrefix)
        call.append(move.rawValue)
        call.append(ArchiveLimit.count)
        call.append(ArchiveLimit.age.components.seconds)
        return call
    }

    public func updatePayload(_ payload: [UInt8]?, of task: TaskReference) async throws {
        let keys = keys(task.queue)
        // As often as somebody else changes it in between, which is next to never.
        for _ in 0..<100 {
            let fields =
                try await reply(
                    RESPCommand("HMGET", keys.task(task.id), "msg", "state"),
                    .key(keys.base)
                ).array ?? []
            guard fields.count == 2, let old = fields[0].buffer, let state = fields[1].string.flatMap(TaskState.init)
            else {
                throw AsynqError.taskNotFound(task)
            }
            guard state == .scheduled else { throw AsynqError.cannotUpdate(task, in: state) }
            var message: TaskMessage
            do {
                message = try TaskMessage(decoding: old)
            } catch {
                throw AsynqError(
                    .brokerFailure,
                    "the message of task \"\(task.id)\" in queue \"\(task.queue)\" cannot be read",
                    cause: error
                )
            }
            let lock = message.uniqueKey
            message.payload = payload
            if !lock.isEmpty { message.uniqueKey = keys.unique(type: message.type, payload: payload) }
            let new = try message.encoded()
            var call = ScriptCall.Builder(
                .updatePayload,
                of: keys,
                keys: [keys.task(task.id)],
                argumentCount: 5,
                capacity: old.readableBytes + new.count + 256
            )
            call.append(task.id)
            call.append(Array(old.readableBytesView))
            call.append(new)
            call.append(lock)
            call.append(message.uniqueKey)
            switch try await reply(call.finish(), keys).string {
            case "ok": return
            case "changed": continue
            case "duplicate": throw AsynqError.duplicateTask(type: message.type, queue: task.queue)
            case let found:
                guard let state = found.flatMap(TaskState.init) else { throw AsynqError.taskNotFound(task) }
                throw AsynqError.cannotUpdate(task, in: state)
            }
        }
        throw AsynqError(.brokerFailure, "task \"\(task.id)\" is being changed by others without end")
    }

    public func setPaused(_ isPaused: Bool, of queue: String) async throws {
        let keys = keys(queue)
        guard isPaused else {
            _ = try await reply(RESPCommand("DEL", keys.paused), .key(keys.base))
            return
        }
        let replies = await scripts.run([
            .announcement(of: keys),
            .init(
                ScriptCall.Builder(.pause, of: keys, keys: [keys.paused], argumentCount: 0).finish(),
                .key(keys.base)
            ),
        ])
        for reply in replies { _ = try reply.get() }
    }

    public func deleteQueue(_ queue: String, force: Bool, limit: Int) async throws -> QueueDeletion {
        guard try await hasQueue(queue) else { throw AsynqError.queueNotFound(queue) }
        let keys = keys(queue)
        var call = ScriptCall.Builder(
            .deleteQueue,
            of: keys,
            keys: Self.allKeys(keys) + [keys.groupHolds, keys.marks],
            argumentCount: 4
        )
        call.append(keys.taskPrefix)
        call.append(keys.groupPrefix)
        call.append(force ? 1 : 0)
        call.append(min(max(limit, 1), Self.maxTasksPerScript))
        let parts = try await reply(call.finish(), keys).array ?? []
        guard parts.count == 4, let outcome = parts[0].string, let deleted = parts[1].int, let left = parts[2].int
        else {
            throw AsynqError(.brokerFailure, "unexpected reply to the deletion of queue \"\(queue)\"")
        }
        switch outcome {
        case "active": throw AsynqError.queueNotEmpty(queue, size: Int(left), active: Int(parts[3].int ?? 0))
        case "full": throw AsynqError.queueNotEmpty(queue, size: Int(left), active: 0)
        case "more": return QueueDeletion(deleted: Int(deleted), remaining: Int(left), isDone: false)
        default:
            try await forget(keys)
            return QueueDeletion(deleted: Int(deleted), remaining: 0, isDone: true)
        }
    }

    /// Takes the name off the list. It is in another hash slot than the rest, so a task may have come in between.
    func forget(_ keys: QueueKeys) async throws(AsynqError) {
        _ = try await reply(RESPCommand("SREM", RedisKeys.queues, keys.queue), .key(RedisKeys.queues))
        let rest = RESPCommand(
            "EXISTS",
            keys.pending,
            keys.active,
            keys.scheduled,
            keys.retry,
            keys.archived,
            keys.completed,
            keys.groups,
            keys.aggregationSets
        )
        guard try await reply(rest, .key(keys.base)).int ?? 0 > 0 else { return }
        _ = try await scripts.run([.announcement(of: keys)])[0].get()
    }
}
