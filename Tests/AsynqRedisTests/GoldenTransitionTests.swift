import Asynq
import AsynqRedis
import Foundation
import NIOCore
import SwiftProtobuf
import Testing

/// How much later than when it was recorded an operation is done again, in seconds, and for how long that took.
struct TimeShift {
    let seconds: Int64
    let duration: Int64

    /// Whether a time may be so much later than the recorded one.
    func explains(_ difference: Int64) -> Bool { (seconds - 2...seconds + duration + 2).contains(difference) }
}

/// Each operation of the Go system that this broker has, on the data that it had then: what is left must be the same.
struct GoldenTransitionTests {
    /// Here the Go system leaves, or has left before, tasks undated that were run by hand (spec 1, fault 3).
    static let undated: Set<String> = [
        "run one scheduled", "archive one scheduled", "archive it again", "run one archived", "archive all scheduled",
        "run all archived", "remove a queue that is not empty", "get an unknown task",
    ]

    static let names: [String] = {
        let rows = (try? Fixtures.load("transitions")) ?? []
        return rows.compactMap { $0["name"] as? String }
    }()

    @Test func `no recorded operation is forgotten`() throws {
        let rows = try Fixtures.load("transitions")
        #expect(rows.count == 43)
        #expect(Set(Self.names).count == 43)
    }

    @Test(arguments: names)
    func `the operation leaves what the Go system leaves`(name: String) async throws {
        let row = try #require(try Fixtures.load("transitions").first { $0["name"] as? String == name })
        let recorded = try #require(row["now_unix_nanoseconds"] as? NSNumber).int64Value / 1_000_000_000
        let before = try RedisDump(recorded: row["before"] as? [String: Any] ?? [:])
        let after = try RedisDump(recorded: row["after"] as? [String: Any] ?? [:])
        let arguments = row["arguments"] as? [String: Any] ?? [:]
        var isLate = false
        for attempt in 1...10 where attempt == 1 || isLate {
            try await withBroker { broker, redis in
                let shift = try await redis.now() - recorded
                try await before.shifted(by: shift).load(into: redis)
                let failure = try await Operation(
                    arguments: arguments,
                    recorded: recorded,
                    shift: shift,
                    broker: broker
                )
                .run(row["operation"] as? String ?? "", result: row["result"])
                let left = try await RedisDump(redis)
                let span = TimeShift(seconds: shift, duration: try await redis.now() - recorded - shift)
                // The shortest time in the records is ten seconds. What lasted for that is gone by then.
                isLate = span.duration >= 9 && attempt < 10
                if isLate { return }
                #expect((failure != nil) == (row["error"] != nil), "\(String(describing: failure))")
                let isUndated = Self.undated.contains(name)
                let faults = left.contradictions()
                #expect(faults.filter { !(isUndated && $0.hasSuffix("pending_since while pending")) } == [])
                let differences = try left.renamingSets(like: after).roundingSchedules()
                    .differences(
                        from: after.shifted(by: shift).roundingSchedules(),
                        shift: span,
                        areUndated: isUndated
                    )
                #expect(differences == [])
            }
        }
    }

    /// Runs one operation through the broker. Returns its failure.
    private struct Operation {
        let arguments: [String: Any]
        let recorded: Int64
        let shift: Int64
        let broker: RedisBroker

        private func number(_ name: String) -> Int64 { (arguments[name] as? NSNumber)?.int64Value ?? 0 }
        private var queue: String { arguments["queue"] as? String ?? "default" }
        private var message: TaskMessage { Fixtures.message(arguments["task"] as? [String: Any] ?? [:]) }

        func run(_ operation: String, result: Any?) async throws -> (any Error)? {
            switch operation {
            case "enqueue", "add_to_group": return await enqueue(.now)
            case "enqueue_unique": return await enqueue(.now, uniqueFor: .seconds(number("ttl_seconds")))
            case "schedule": return await enqueue(start)
            case "schedule_unique":
                // The lock lasts from the start on; Go is given the time from now on.
                let wait = number("process_at") - recorded
                return await enqueue(start, uniqueFor: .seconds(number("ttl_seconds") - wait))
            case "dequeue": return try await dequeue(expected: result as? [String: Any])
            case "extend_lease":
                let ids = arguments["ids"] as? [String] ?? []
                let isLeased = try await broker.extendLeases(ids.map(leased))
                #expect(isLeased == ids.map { $0 != "gone" })
                return nil
            case "write_result":
                let bytes = Array(Fixtures.bytes(arguments["data_hex"] as? String ?? ""))
                let id = arguments["id"] as? String ?? ""
                try await broker.writeResult(bytes, of: leased(id))
                return nil
            case "done", "complete": return await finish(.done)
            case "retry":
                let outcome = FinishRequest.Outcome.retry(
                    delay: .seconds(number("retry_at") - recorded),
                    error: arguments["error"] as? String ?? "",
                    countsAsFailure: arguments["is_failure"] as? Bool ?? true
                )
                return await finish(outcome)
            case "archive": return await finish(.archive(error: arguments["error"] as? String ?? ""))
            case "forward":
                _ = try await broker.forward(queues: ["default"], limit: 100)
                return nil
            case "aggregation_check":
                return try await checkGroup(isReady: (result as? String)?.hasPrefix("a set") == true)
            case "delete_expired_completed":
                _ = try await broker.deleteExpiredCompleted(queue: queue, limit: Int(number("batch")))
                return nil
            case "write_server_state":
                try await broker.writeServerState(Self.server, ttl: .seconds(number("ttl_seconds")))
                return nil
            case "clear_server_state":
                try await broker.clearServerState(Self.server.identity)
                return nil
            case "pause", "unpause":
                try await broker.setPaused(operation == "pause", of: queue)
                return nil
            case "run_task": return await move(.run)
            case "archive_task": return await move(.archive)
            case "delete_task": return await move(.delete)
            case "run_all", "archive_all": return try await moveAll(operation == "run_all" ? .run : .archive, result)
            case "get_task":
                let found = try await broker.tasks([reference])[0]
                return found == nil ? AsynqError.taskNotFound(reference) : nil
            case "update_payload":
                let payload = Array(Fixtures.bytes(arguments["payload_hex"] as? String ?? ""))
                return await failure { try await broker.updatePayload(payload, of: reference) }
            case "remove_queue":
                let force = arguments["force"] as? Bool ?? false
                return await failure { _ = try await AsynqInspector(broker).deleteQueue(queue, force: force) }
            case "write_scheduler_entries":
                let id = arguments["scheduler_id"] as? String ?? ""
                // For the broker to learn the server's time, as a scheduler does.
                _ = try await broker.holdSchedulerLease("g", holder: id, ttl: .seconds(5))
                try await broker.releaseSchedulerLease("g", holder: id)
                let ttl = Duration.seconds(number("ttl_seconds"))
                try await broker.writeSchedulerEntries([Self.entry], of: id, ttl: ttl)
                return nil
            case "record_enqueue_event":
                let event = SchedulerEnqueueEvent(
                    entryID: arguments["entry"] as? String ?? "",
                    taskID: "a1",
                    enqueuedAt: Date(timeIntervalSince1970: 1_767_270_645.6789)
                )
                try await broker.recordEnqueueEvents([event])
                return nil
            default: throw Fixtures.Malformed(what: operation)
            }
        }

        private static let entry = SchedulerEntry(
            id: "e1",
            spec: "*/5 * * * *",
            taskType: "report:build",
            payload: Array("p".utf8),
            options: ["Queue(\"low\")"],
            nextEnqueueAt: Date(timeIntervalSince1970: 1_767_225_900.123_456_789)
        )

        private var start: EnqueueRequest.Start { .at(milliseconds: (number("process_at") + shift) * 1000) }

        private func enqueue(_ start: EnqueueRequest.Start, uniqueFor: Duration? = nil) async -> (any Error)? {
            let request = EnqueueRequest(message: message, start: start, uniqueFor: uniqueFor)
            if case .failure(let error) = await broker.enqueue([request])[0] { return error }
            return nil
        }

        private func dequeue(expected: [String: Any]?) async throws -> (any Error)? {
            let tasks = try await broker.dequeue([DequeueRequest(queue: "default", limit: 1)])
            guard let task = tasks.first else { return AsynqError(.taskNotFound, "no task") }
            #expect(task.message.id == expected?["id"] as? String)
            let leaseEnd = (expected?["lease_until"] as? NSNumber)?.int64Value ?? 0
            // How much later it may be is seen in the data.
            #expect(task.leaseEnd / 1_000_000 >= leaseEnd + shift)
            return nil
        }

        private func finish(_ outcome: FinishRequest.Outcome) async -> (any Error)? {
            let task = LeasedTask(message: message, leaseEnd: 0)
            switch await broker.finish([FinishRequest(task: task, outcome: outcome)])[0] {
            case .finished: return nil
            case .notFound: return AsynqError(.taskNotFound, "not found")
            case .failed(let error): return error
            }
        }

        /// As Go leases tasks: until a whole second.
        private func leased(_ id: String) -> LeasedTask {
            LeasedTask(message: TaskMessage(type: "t", payload: nil, id: id, queue: queue), leaseEnd: 0)
        }

        private var reference: TaskReference { TaskReference(queue: queue, id: arguments["id"] as? String ?? "") }

        private func move(_ move: TaskMove) async -> (any Error)? {
            await failure { _ = try await broker.move([reference], move)[0].get() }
        }

        private func moveAll(_ move: TaskMove, _ result: Any?) async throws -> (any Error)? {
            let state = try #require(TaskState(rawValue: arguments["state"] as? String ?? ""))
            let step = try await broker.moveSome(TaskSelection(queue: queue, state: state), move, limit: 100)
            #expect(step == MoveBatch(moved: (result as? NSNumber)?.intValue ?? -1, remaining: 0))
            return nil
        }

        private func failure(_ body: () async throws -> Void) async -> (any Error)? {
            do {
                try await body()
                return nil
            } catch {
                return error
            }
        }

        private func checkGroup(isReady: Bool) async throws -> (any Error)? {
            let policy = GroupPolicy(
                gracePeriod: .seconds(number("grace_period_seconds")),
                maxDelay: .seconds(number("max_delay_seconds")),
                maxSize: Int(number("max_size"))
            )
            let group = GroupReference(queue: queue, name: arguments["group"] as? String ?? "")
            let check = try await broker.stageGroups([group], policy: policy, limit: 1)[0].get()
            #expect((check.set != nil) == isReady)
            return nil
        }

        private static var server: ServerState {
            let start = Date(timeIntervalSince1970: 1_767_270_645.6789)
            var message = TaskMessage(type: "email:deliver", payload: Array("{}".utf8), id: "a1", queue: "critical")
            message.timeout = 1800
            let worker = ServerState.Worker(
                task: LeasedTask(message: message, leaseEnd: 0),
                startedAt: start,
                deadline: start.addingTimeInterval(1800)
            )
            return ServerState(
                identity: ServerIdentity(host: "web-1", pid: 4242, id: "6f1c1f2e-0000-4000-8000-000000000001"),
                concurrency: 10,
                queues: ["critical": 6],
                strictPriority: true,
                status: "active",
                startedAt: start,
                workers: [worker]
            )
        }
    }
}

extension RedisDump {
    /// The same with a set of a group that has a random id under the name that it has in the other.
    func renamingSets(like other: RedisDump) -> RedisDump {
        let keys = QueueKeys("default")
        func names(_ dump: RedisDump) -> Set<String> {
            guard case .sortedSet(let sets) = dump.entries[keys.aggregationSets] else { return [] }
            return Set(sets.keys.map { String(decoding: $0, as: UTF8.self) })
        }
        var dump = self
        let (mine, theirs) = (names(self).subtracting(names(other)), names(other).subtracting(names(self)))
        guard let new = mine.first, let old = theirs.first, mine.count == 1, theirs.count == 1,
            case .sortedSet(var sets) = entries[keys.aggregationSets]
        else { return self }
        sets[Data(old.utf8)] = sets.removeValue(forKey: Data(new.utf8))
        dump.entries[keys.aggregationSets] = .sortedSet(sets)
        dump.entries[old] = dump.entries.removeValue(forKey: new)
        return dump
    }

    /// The same some seconds later.
    func shifted(by seconds: Int64) -> RedisDump {
        var dump = self
        // What a scheduler has enqueued has a time of its own.
        for (key, entry) in entries where !key.hasPrefix(RedisKeys.history(ofEntry: "")) {
            if case .sortedSet(let members) = entry {
                dump.entries[key] = .sortedSet(members.mapValues { $0 + Double(seconds) })
            }
        }
        return dump
    }

    /// The same with the times of schedulers to 100 µs: a Date is no more exact than a microsecond.
    func roundingSchedules() throws -> RedisDump {
        var dump = self
        for (key, entry) in entries {
            switch entry {
            case .list(let items) where key.hasPrefix(RedisKeys.schedulers):
                dump.entries[key] = .list(
                    try items.map { bytes in
                        var entry = try Asynq_SchedulerEntry(serializedBytes: bytes)
                        entry.nextEnqueueTime.nanos -= entry.nextEnqueueTime.nanos % 100_000
                        return try entry.serializedBytes()
                    }
                )
            case .sortedSet(let members) where key.hasPrefix(RedisKeys.history(ofEntry: "")):
                let rounded = try members.map { bytes, score in
                    var event = try Asynq_SchedulerEnqueueEvent(serializedBytes: bytes)
                    event.enqueueTime.nanos -= event.enqueueTime.nanos % 100_000
                    return (try event.serializedBytes() as Data, score)
                }
                dump.entries[key] = .sortedSet(Dictionary(uniqueKeysWithValues: rounded))
                // Ours ends when the entry has not been enqueued for a long time.
                dump.expiring.remove(key)
            default: break
            }
        }
        return dump
    }

    /// What differs beyond what the fixtures' README allows.
    ///
    /// - Parameters:
    ///   - shift: seconds from the time of the recording to now.
    ///   - areUndated: pending tasks may have no `pending_since` there.
    func differences(from wanted: RedisDump, shift: TimeShift, areUndated: Bool) -> [String] {
        var differences: [String] = []
        let (here, there) = (Set(entries.keys.filter(isLasting)), Set(wanted.entries.keys.filter(isLasting)))
        if here != there { differences.append("keys: \(here.symmetricDifference(there).sorted())") }
        let (mine, theirs) = (expiring.filter(isLasting), wanted.expiring.filter(isLasting))
        if mine != theirs { differences.append("expiring: \(mine.symmetricDifference(theirs).sorted())") }
        for (key, entry) in wanted.entries {
            guard let mine = entries[key] else { continue }
            if key.hasSuffix(":paused"), Self.isSameTime(mine, entry, shift) { continue }
            differences += Self.differences(mine, entry, shift, areUndated).map { "\(key): \($0)" }
            // Go reads the scores of all but these as whole numbers; it compares these with the time only.
            if case .sortedSet(let scores) = mine, !key.hasSuffix(":lease"),
                scores.values.contains(where: { $0 != $0.rounded() })
            {
                differences.append("\(key): a score has a fraction")
            }
        }
        return differences
    }

    /// Not a day's counter: those of the recorded day have expired since.
    private func isLasting(_ key: String) -> Bool {
        key.firstMatch(of: #/:\d{4}-\d\d-\d\d$/#) == nil
    }

    private static func isSameTime(_ mine: RedisEntry, _ wanted: RedisEntry, _ shift: TimeShift) -> Bool {
        guard case .string(let mine) = mine, case .string(let wanted) = wanted,
            let a = Int64(String(decoding: mine, as: UTF8.self)), let b = Int64(String(decoding: wanted, as: UTF8.self))
        else { return false }
        return shift.explains(a - b) || a == b
    }

    private static func differences(
        _ mine: RedisEntry,
        _ wanted: RedisEntry,
        _ shift: TimeShift,
        _ areUndated: Bool
    ) -> [String] {
        switch (mine, wanted) {
        case (.sortedSet(let mine), .sortedSet(let wanted)):
            // These are as late already as the operation began.
            let isClose =
                mine.keys == wanted.keys
                && mine.allSatisfy { (-2...Double(2 + shift.duration)).contains($0.value - (wanted[$0.key] ?? 0)) }
            return isClose ? [] : ["\(mine) instead of \(wanted)"]
        case (.hash(let mine), .hash(let wanted)): return fieldDifferences(mine, wanted, shift, areUndated)
        case (.string(let mine), .string(let wanted)):
            if mine == wanted { return [] }
            guard var a = try? Asynq_ServerInfo(serializedBytes: mine),
                var b = try? Asynq_ServerInfo(serializedBytes: wanted)
            else { return ["\(mine) instead of \(wanted)"] }
            // Go was told of three workers and given one; and a Date is no more exact than a microsecond.
            a.activeWorkerCount = 3
            (a.startTime.nanos, b.startTime.nanos) = (a.startTime.nanos / 100_000, b.startTime.nanos / 100_000)
            return a == b ? [] : ["\(a) instead of \(b)"]
        default: return mine == wanted ? [] : ["\(mine) instead of \(wanted)"]
        }
    }

    private static func fieldDifferences(
        _ mine: [Data: Data],
        _ wanted: [Data: Data],
        _ shift: TimeShift,
        _ areUndated: Bool
    ) -> [String] {
        var differences: [String] = []
        // The Go system leaves the lock's key out of grouped tasks, and does not know when they came.
        let optional: Set<Data> = [
            Data("unique_key".utf8), Data("group_since".utf8),
            Data((areUndated ? "pending_since" : "unique_key").utf8),
        ]
        if Set(mine.keys).subtracting(optional) != Set(wanted.keys).subtracting(optional) {
            differences.append("fields \(mine.keys.map { String(decoding: $0, as: UTF8.self) })")
        }
        for (field, value) in wanted {
            let name = String(decoding: field, as: UTF8.self)
            let own = mine[field] ?? Data()
            switch name {
            case "msg":
                guard let a = try? TaskMessage(decoding: ByteBuffer(bytes: own)),
                    let b = try? TaskMessage(decoding: ByteBuffer(bytes: value))
                else {
                    differences.append("a message cannot be read")
                    continue
                }
                differences += messageDifferences(a, b, shift)
            case "pending_since":
                let (a, b) = (
                    Int64(String(decoding: own, as: UTF8.self)), Int64(String(decoding: value, as: UTF8.self))
                )
                // Those that were there before the operation stay as they were.
                if let a, let b, a == b || shift.explains((a - b) / 1_000_000_000) { continue }
                differences.append("pending_since \(String(describing: a)) instead of \(String(describing: b))")
            case "a1":
                guard var a = try? Asynq_WorkerInfo(serializedBytes: own),
                    var b = try? Asynq_WorkerInfo(serializedBytes: value)
                else {
                    differences.append("a worker cannot be read")
                    continue
                }
                (a.startTime.nanos, b.startTime.nanos) = (a.startTime.nanos / 100_000, b.startTime.nanos / 100_000)
                (a.deadline.nanos, b.deadline.nanos) = (a.deadline.nanos / 100_000, b.deadline.nanos / 100_000)
                if a != b { differences.append("\(a) instead of \(b)") }
            default:
                if own != value { differences.append("\(name) is not as it should be") }
            }
        }
        return differences
    }

    private static func messageDifferences(_ mine: TaskMessage, _ wanted: TaskMessage, _ shift: TimeShift) -> [String] {
        func isSame(_ a: Int64, _ b: Int64) -> Bool { a == b || (b != 0 && shift.explains(a - b)) }
        var (a, b) = (mine, wanted)
        let areTimesSame =
            isSame(a.lastFailedAt, b.lastFailedAt) && isSame(a.completedAt, b.completedAt)
        a.lastFailedAt = 0
        b.lastFailedAt = 0
        a.completedAt = 0
        b.completedAt = 0
        return a == b && areTimesSame ? [] : ["message \(mine) instead of \(wanted)"]
    }
}
