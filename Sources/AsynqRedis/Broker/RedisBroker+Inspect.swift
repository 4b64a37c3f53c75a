public import Asynq
internal import NIOCore
internal import RedisClient

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RedisBroker {
    /// How many tasks at each end of each list are weighed.
    private static let weighed = 5
    /// In so many groups tasks are counted by one script.
    private static let maxGroupsPerScript = 1000

    public func queueNames() async throws -> [String] {
        let names = try await reply(RESPCommand("SMEMBERS", RedisKeys.queues), .key(RedisKeys.queues))
        return names.array?.compactMap(\.string) ?? []
    }

    public func hasQueue(_ queue: String) async throws -> Bool {
        try await reply(RESPCommand("SISMEMBER", RedisKeys.queues, queue), .key(RedisKeys.queues)).int == 1
    }

    // MARK: Figures

    public func snapshots(of queues: [String]) async throws -> [QueueSnapshot?] {
        guard !queues.isEmpty else { return [] }
        let known = RESPCommand("SMISMEMBER", arguments: [RedisKeys.queues] + queues)
        var requests: [ScriptRunner.Request] = [.init(known, .key(RedisKeys.queues))]
        for queue in queues {
            let keys = keys(queue)
            var call = ScriptCall.Builder(
                .inspectQueue,
                of: keys,
                keys: Self.allKeys(keys),
                argumentCount: 4,
                capacity: 96
            )
            call.append(keys.taskPrefix)
            call.append(keys.groupPrefix)
            call.append(Self.weighed)
            call.append(Self.maxGroupsPerScript)
            requests.append(.init(call.finish(), .key(keys.base)))
        }
        let replies = await scripts.run(requests)
        let isKnown = try replies[0].get().array?.map { $0.int == 1 } ?? []
        var snapshots: [QueueSnapshot?] = []
        for (index, queue) in queues.enumerated() {
            guard index < isKnown.count, isKnown[index] else {
                snapshots.append(nil)
                continue
            }
            var snapshot = try snapshot(queue, try replies[index + 1].get())
            if snapshot.aggregating < 0 { snapshot.aggregating = try await countAggregating(keys(queue)) }
            snapshots.append(snapshot)
        }
        return snapshots
    }

    /// The keys of a queue that are not a task's, a lock's, a group's or a day's.
    static func allKeys(_ keys: QueueKeys) -> [String] {
        [
            keys.pending, keys.active, keys.scheduled, keys.retry, keys.archived, keys.completed, keys.groups,
            keys.aggregationSets, keys.paused, keys.processed, keys.failed, keys.lease, keys.due,
        ]
    }

    private func snapshot(_ queue: String, _ reply: RESPValue) throws(AsynqError) -> QueueSnapshot {
        guard let parts = reply.array, parts.count == 16, let time = parts[0].int else {
            throw AsynqError(.brokerFailure, "unexpected reply to a look at queue \"\(queue)\"")
        }
        clock.observe(microseconds: time)
        let number = { (index: Int) in Int(parts[index].int ?? 0) }
        var snapshot = QueueSnapshot(queue: queue, time: Date(timeIntervalSince1970: Double(time) / 1_000_000))
        if let text = parts[1].string, !text.isEmpty {
            // Whatever is there pauses the queue.
            snapshot.pausedAt = Date(timeIntervalSince1970: Double(text) ?? 0)
        }
        if let since = parts[2].int { snapshot.latency = .nanoseconds(max(0, time * 1000 - since)) }
        (snapshot.processed, snapshot.failed) = (number(3), number(4))
        (snapshot.processedToday, snapshot.failedToday) = (number(5), number(6))
        snapshot.memoryUsage = number(7) < 0 ? nil : number(7)
        (snapshot.groups, snapshot.aggregating) = (number(8), number(9))
        for (index, state) in [TaskState.pending, .active, .scheduled, .retry, .archived, .completed].enumerated() {
            snapshot[state] = number(10 + index)
        }
        return snapshot
    }

    /// The tasks in all groups and aggregation sets, where these are too many for one script.
    private func countAggregating(_ keys: QueueKeys) async throws -> Int {
        var count = try await groups(of: keys.queue).reduce(0) { $0 + $1.size }
        var start = 0
        while true {
            let range = RESPCommand(
                "ZRANGE",
                keys.aggregationSets,
                String(start),
                String(start + Self.maxGroupsPerScript - 1)
            )
            let sets = try await reply(range, .key(keys.base)).array?.compactMap(\.string) ?? []
            guard !sets.isEmpty else { return count }
            for reply in await scripts.run(sets.map { .init(RESPCommand("ZCARD", $0), .key(keys.base)) }) {
                count += Int(try reply.get().int ?? 0)
            }
            start += sets.count
        }
    }

    public func history(of queues: [String], days: Int) async throws -> [[DailyCounts]] {
        let days = min(max(days, 1), 90)
        let calls = queues.map { queue in
            let keys = keys(queue)
            var call = ScriptCall.Builder(.history, of: keys, keys: [keys.processed, keys.failed], argumentCount: 1)
            call.append(days)
            return ScriptRunner.Request(call.finish(), .key(keys.base))
        }
        return try await scripts.run(calls).map { reply in
            let numbers = try reply.get().array?.map { $0.int ?? 0 } ?? []
            guard numbers.count == 1 + 2 * days else {
                throw AsynqError(.brokerFailure, "unexpected reply to a look at a queue's history")
            }
            let midnight = numbers[0] / 86_400 * 86_400
            return (0..<days).map { ago in
                DailyCounts(
                    day: Date(timeIntervalSince1970: Double(midnight - Int64(ago) * 86_400)),
                    processed: Int(numbers[1 + 2 * ago]),
                    failed: Int(numbers[2 + 2 * ago])
                )
            }
        }
    }

    public func groups(of queue: String) async throws -> [GroupSize] {
        let keys = keys(queue)
        var sizes: [String: Int] = [:]
        var cursor = "0"
        repeat {
            let scan = RESPCommand("SSCAN", keys.groups, cursor, "COUNT", String(Self.maxGroupsPerScript))
            let page = try await reply(scan, .key(keys.base)).array ?? []
            guard page.count == 2, let next = page[0].string else {
                throw AsynqError(.brokerFailure, "unexpected reply to a look at the groups of queue \"\(queue)\"")
            }
            cursor = next
            let names = page[1].array?.compactMap(\.string) ?? []
            let replies = await scripts.run(
                names.map { .init(RESPCommand("ZCARD", keys.groupPrefix + $0), .key(keys.base)) }
            )
            for (name, reply) in zip(names, replies) { sizes[name] = Int(try reply.get().int ?? 0) }
        } while cursor != "0"
        return sizes.filter { $0.value > 0 }.map { GroupSize(group: $0.key, size: $0.value) }
    }

    // MARK: Tasks

    public func tasks(_ selection: TaskSelection, offset: Int, limit: Int) async throws -> TaskListing {
        let keys = keys(selection.queue)
        var listing = TaskListing(tasks: [], total: 0)
        var seen: Set<String> = []
        // No list is longer, and Lua's numbers are exact to here.
        var (next, left) = (min(max(offset, 0), 1 << 50), max(limit, 0))
        repeat {
            var call = ScriptCall.Builder(
                .listTasks,
                of: keys,
                keys: [keys.source(selection), keys.lease, keys.due],
                argumentCount: 5
            )
            call.append(keys.taskPrefix)
            call.append(selection.state.rawValue)
            call.append(next)
            call.append(min(left, Self.maxTasksPerScript))
            call.append(Self.maxBytesPerScript)
            let parts = try await reply(call.finish(), keys).array ?? []
            guard parts.count == 4, let total = parts[0].int, let lookedAt = parts[1].int, let now = parts[2].int,
                let items = parts[3].array
            else { throw AsynqError(.brokerFailure, "unexpected reply to a look at \(selection.state.rawValue) tasks") }
            listing.total = Int(total)
            for task in taskInfos(items, now: now, keys) where seen.insert(task.id).inserted {
                listing.tasks.append(task)
            }
            if lookedAt == 0 { break }
            next += Int(lookedAt)
            left -= Int(lookedAt)
        } while left > 0
        return listing
    }

    public func tasks(_ tasks: [TaskReference]) async throws -> [TaskInfo?] {
        var infos = [TaskInfo?](repeating: nil, count: tasks.count)
        for (queue, indices) in Dictionary(grouping: tasks.indices, by: { tasks[$0].queue }) {
            let keys = keys(queue)
            for chunk in indices.chunks(maxCount: Self.maxTasksPerScript) {
                var call = ScriptCall.Builder(
                    .getTasks,
                    of: keys,
                    keys: [keys.scheduled, keys.retry, keys.due, keys.lease],
                    argumentCount: 1 + chunk.count,
                    capacity: 40 * chunk.count
                )
                call.append(keys.taskPrefix)
                for index in chunk { call.append(tasks[index].id) }
                let parts = try await reply(call.finish(), keys).array ?? []
                guard parts.count == 2, let now = parts[0].int, let items = parts[1].array else {
                    throw AsynqError(.brokerFailure, "unexpected reply to a look at tasks")
                }
                let found = Dictionary(taskInfos(items, now: now, keys).map { ($0.id, $0) }) { first, _ in first }
                for index in chunk { infos[index] = found[tasks[index].id] }
            }
        }
        return infos
    }

    /// From groups of id, message, state, result and time in milliseconds.
    private func taskInfos(_ items: [RESPValue], now: Int64, _ keys: QueueKeys) -> [TaskInfo] {
        stride(from: 0, to: items.count - 4, by: 5).compactMap { start -> TaskInfo? in
            guard let id = items[start].string, let bytes = items[start + 1].buffer,
                let state = items[start + 2].string.flatMap(TaskState.init)
            else { return nil }
            let message = (try? TaskMessage(decoding: bytes)) ?? .unreadable(bytes)
            let time = items[start + 4].int.map { Date(timeIntervalSince1970: Double($0) / 1000) }
            let present = Date(timeIntervalSince1970: Double(now))
            let result = items[start + 3].buffer.flatMap { $0.readableBytes == 0 ? nil : Array($0.readableBytesView) }
            var info = TaskInfo(
                message,
                state: state,
                nextProcessAt: state == .pending ? present : state == .scheduled || state == .retry ? time : nil,
                isOrphaned: state == .active && (time.map { $0 <= present } ?? true),
                result: result
            )
            // By what it is found, whatever the message says.
            (info.id, info.queue) = (id, keys.queue)
            return info
        }
    }
}

extension TaskMessage {
    /// Stands for one that cannot be read: somebody may want to see its bytes, or delete it.
    fileprivate static func unreadable(_ bytes: ByteBuffer) -> TaskMessage {
        var message = TaskMessage(type: "(unreadable)", payload: Array(bytes.readableBytesView), id: "", queue: "")
        message.errorMessage = "the stored message cannot be read; the payload shown is all of it"
        return message
    }
}

extension QueueKeys {
    /// Where the tasks of a state lie.
    func source(_ selection: TaskSelection) -> String {
        switch selection.state {
        case .pending: pending
        case .active: active
        case .scheduled: scheduled
        case .retry: retry
        case .archived: archived
        case .completed: completed
        case .aggregating: groupPrefix + (selection.group ?? "")
        }
    }
}
