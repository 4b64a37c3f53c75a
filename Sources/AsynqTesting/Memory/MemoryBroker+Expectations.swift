public import Asynq

/// What a test asks for.
extension MemoryBroker {
    /// Everything that was ever enqueued, in order, as it was stored then, whatever became of it since.
    public var enqueued: [TaskInfo] { read { state, _ in state.log } }

    /// The payloads of this type that were ever enqueued, in order.
    ///
    /// - Throws: ``AsynqError`` with code `payloadDecoding` for a task of this type whose payload is something else.
    public func enqueued<Payload: TaskPayload>(_ type: Payload.Type) throws -> [Payload] {
        try enqueued.filter { $0.type == Payload.taskType }.map { info in
            try Payload(decoding: AsynqTask(info.type, payload: info.payload))
        }
    }

    /// That this payload was enqueued, once or more.
    ///
    /// - Returns: the tasks that carry it, to look at their queue, time and options.
    /// - Throws: ``UnmetExpectation`` if none does.
    @discardableResult
    public func expectEnqueued<Payload: TaskPayload>(_ payload: Payload) throws -> [TaskInfo] {
        try expectEnqueued(Payload.taskType, payload: try Payload.coder.encode(payload))
    }

    /// That a task of this type with exactly these bytes was enqueued, once or more.
    ///
    /// - Returns: the tasks.
    /// - Throws: ``UnmetExpectation`` if none was.
    @discardableResult
    public func expectEnqueued(_ type: String, payload: [UInt8]?) throws -> [TaskInfo] {
        let all = enqueued
        let found = all.filter { $0.type == type && ($0.payload ?? []) == (payload ?? []) }
        guard found.isEmpty else { return found }
        let sameType = all.count { $0.type == type }
        let others = Set(all.map(\.type)).subtracting([type]).sorted()
        throw UnmetExpectation(
            (sameType == 0
                ? "no task of type \"\(type)\" was enqueued"
                : "\(sameType) of type \"\(type)\" were enqueued, none with this payload")
                + (others.isEmpty ? "" : "; other types that were: \(others.joined(separator: ", "))")
        )
    }

    /// That no task was ever enqueued, or none of this type.
    ///
    /// - Throws: ``UnmetExpectation`` if one was.
    public func expectNothingEnqueued(_ type: String? = nil) throws {
        let found = enqueued.filter { type == nil || $0.type == type }
        guard let first = found.first else { return }
        throw UnmetExpectation("\(found.count) tasks were enqueued, the first of type \"\(first.type)\"")
    }

    /// The tasks that are in this state now, oldest or earliest first.
    public func tasks(in state: TaskState, queue: String = "default") -> [TaskInfo] {
        read { all, now in
            guard let queue = all.queues[queue] else { return [] }
            let ids =
                switch state {
                case .pending: Array(queue.pending)
                case .active: queue.active.sorted()
                case .scheduled, .retry: queue.waiting.ids.filter { queue.tasks[$0]?.state == state }
                case .archived: queue.archived.ids
                case .completed: queue.completed.ids
                case .aggregating:
                    queue.groups.keys.sorted().flatMap { queue.groups[$0]?.ids ?? [] }
                        + queue.sets.values.flatMap(\.ids)
                }
            return ids.compactMap { queue.tasks[$0].map { TaskInfo($0, now: now) } }
        }
    }

    /// A task as it is now; `nil` if there is none (any more).
    public func task(_ id: String, queue: String = "default") -> TaskInfo? {
        read { all, now in all.queues[queue]?.tasks[id].map { TaskInfo($0, now: now) } }
    }

    /// Whether a queue gives no tasks to servers.
    public func setPaused(_ isPaused: Bool, queue: String = "default") {
        change { state, now in state.setPaused(isPaused, queue, now) }
    }
}

/// An expectation of a test that does not hold. Says what is there instead, without payloads.
public struct UnmetExpectation: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension TaskInfo {
    init(_ task: MemoryQueue.Task, now: Int64) {
        let next: Int64? =
            switch task.state {
            case .pending: now
            case .scheduled, .retry: task.time
            case .active, .archived, .completed, .aggregating: nil
            }
        self.init(
            task.message,
            state: task.state,
            nextProcessAt: next.map { .init(unixNanoseconds: $0) },
            isOrphaned: task.state == .active && task.time <= now,
            result: task.result
        )
    }
}
