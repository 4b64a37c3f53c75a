public import Asynq
internal import Logging
internal import RedisClient

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RedisBroker {
    /// A script is given no more entries than this.
    private static let maxEntriesPerScript = 500

    // MARK: Lease

    public func holdSchedulerLease(_ group: String, holder: String, ttl: Duration) async throws -> SchedulerLease {
        let key = RedisKeys.schedulerLease(group)
        var call = ScriptCall.Builder(.schedulerLease, keys: [key], argumentCount: 2)
        call.append(holder)
        call.append(max(1, ttl.millisecondsRoundedUp))
        let reply = try await scripts.run([.init(call.finish(), .key(key))])[0].get()
        guard let numbers = reply.array?.compactMap(\.int), numbers.count == 3 else {
            throw AsynqError(.brokerFailure, "unexpected reply to a request for a scheduler's lease")
        }
        clock.observe(microseconds: numbers[2])
        // A lease without an end, which somebody else must have made, is looked at again as if it were ours.
        let remaining = numbers[1] < 0 ? ttl : .milliseconds(numbers[1])
        return SchedulerLease(isHeld: numbers[0] == 1, remaining: remaining, now: numbers[2])
    }

    public func releaseSchedulerLease(_ group: String, holder: String) async throws {
        let key = RedisKeys.schedulerLease(group)
        var call = ScriptCall.Builder(.releaseSchedulerLease, keys: [key], argumentCount: 1)
        call.append(holder)
        _ = try await scripts.run([.init(call.finish(), .key(key))])[0].get()
    }

    // MARK: Entries

    public func writeSchedulerEntries(
        _ entries: [SchedulerEntry],
        of scheduler: String,
        ttl: Duration
    ) async throws {
        guard !entries.isEmpty else { return try await clearSchedulerEntries(of: scheduler) }
        let key = RedisKeys.entries(ofScheduler: scheduler)
        let seconds = max(1, ttl.secondsRoundedUp)
        let pieces = entries.chunks(
            maxCount: Self.maxEntriesPerScript,
            maxSize: Self.maxBytesPerScript,
            size: { $0.payload.count }
        )
        // One after another: each builds on the one before.
        for (index, piece) in pieces.enumerated() {
            var call = ScriptCall.Builder(
                .writeSchedulerEntries,
                keys: [key, "\(key):new"],
                argumentCount: 3 + piece.count,
                capacity: piece.reduce(0) { $0 + $1.payload.count + 200 }
            )
            call.append(index == 0 ? 1 : 0)
            call.append(index == pieces.count - 1 ? 1 : 0)
            call.append(seconds)
            for entry in piece { call.append(try entry.encoded()) }
            _ = try await scripts.run([.init(call.finish(), .key(key))])[0].get()
        }
        let expiry = String(clock.seconds + seconds)
        _ = try await reply(RESPCommand("ZADD", RedisKeys.schedulers, expiry, key), .key(RedisKeys.schedulers))
    }

    public func clearSchedulerEntries(of scheduler: String) async throws {
        let key = RedisKeys.entries(ofScheduler: scheduler)
        let replies = await scripts.run([
            .init(RESPCommand("ZREM", RedisKeys.schedulers, key), .key(RedisKeys.schedulers)),
            .init(RESPCommand("DEL", key), .key(key)),
        ])
        for reply in replies { _ = try reply.get() }
    }

    public func schedulerEntries() async throws -> [SchedulerEntry] {
        let now = String(clock.seconds)
        let replies = await scripts.run([
            .init(RESPCommand("ZRANGEBYSCORE", RedisKeys.schedulers, now, "+inf"), .key(RedisKeys.schedulers)),
            // Those of schedulers that have died.
            .init(
                RESPCommand("ZREMRANGEBYSCORE", RedisKeys.schedulers, "-inf", "(\(now)"),
                .key(RedisKeys.schedulers)
            ),
        ])
        let keys = try replies[0].get().array?.compactMap(\.string) ?? []
        _ = try replies[1].get()
        let lists = await scripts.run(keys.map { .init(RESPCommand("LRANGE", $0, "0", "-1"), .key($0)) })
        return try lists.flatMap { try $0.get().array ?? [] }.compactMap { value in
            guard let bytes = value.buffer, let entry = try? SchedulerEntry(decoding: bytes) else {
                logger.error("a scheduler's entry cannot be read")
                return nil
            }
            return entry
        }
    }

    // MARK: History

    public func recordEnqueueEvents(_ events: [SchedulerEnqueueEvent]) async throws {
        let age = String(ScheduleLimit.age.components.seconds)
        let requests = try Dictionary(grouping: events, by: \.entryID).flatMap { id, events in
            let key = RedisKeys.history(ofEntry: id)
            var add = RESPCommandBuilder(name: "ZADD", argumentCount: 1 + 2 * events.count)
            add.append(key)
            for event in events {
                add.append(Int64(event.enqueuedAt.timeIntervalSince1970))
                add.append(try event.encoded())
            }
            return [
                ScriptRunner.Request(add.finish(), .key(key)),
                .init(RESPCommand("ZREMRANGEBYRANK", key, "0", String(-ScheduleLimit.events - 1)), .key(key)),
                .init(RESPCommand("EXPIRE", key, age), .key(key)),
            ]
        }
        for reply in await scripts.run(requests) { _ = try reply.get() }
    }

    public func enqueueEvents(
        ofEntry id: String,
        offset: Int,
        limit: Int
    ) async throws -> [SchedulerEnqueueEvent] {
        guard limit > 0 else { return [] }
        let key = RedisKeys.history(ofEntry: id)
        let start = min(max(0, offset), ScheduleLimit.events)
        let end = start + min(limit, ScheduleLimit.events) - 1
        let reply = try await reply(RESPCommand("ZREVRANGE", key, String(start), String(end)), .key(key))
        return (reply.array ?? []).compactMap { value in
            guard let bytes = value.buffer, let event = try? SchedulerEnqueueEvent(decoding: bytes, entryID: id)
            else {
                logger.error("an event of a scheduler's entry cannot be read", metadata: ["entry_id": "\(id)"])
                return nil
            }
            return event
        }
    }
}
