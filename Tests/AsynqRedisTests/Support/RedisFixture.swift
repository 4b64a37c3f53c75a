import Asynq
import AsynqRedis
import AsynqTesting
import Foundation
import NIOCore
import Synchronization
import TestSupport

/// A broker on a Redis of its own, for the conformance suite.
final class RedisFixture: BrokerFixture {
    private let uri: String
    /// The servers that hold anything: on a Cluster the masters.
    private let stores: [RawRedis]
    private let own: RedisBroker
    private let others = Mutex<[RedisBroker]>([])
    /// By how much everything was made older.
    private let elapsed = Mutex(Duration.zero)
    /// The day of the first task, at the earliest.
    private let firstDay = RedisFixture.day()

    /// - Parameter stores: the URIs of the servers that hold anything, if they are not those of the broker.
    private init(_ uri: String, stores: [String]) throws {
        self.uri = uri
        own = try RedisBroker(configuration: .patient(uri, dialTimeout: .seconds(60)), logger: .silent)
        self.stores = try stores.map { try RawRedis($0) }
    }

    /// As a user who may do what the documentation lists, and nothing else.
    static func onEmptied(_ server: RedisServer) async throws -> RedisFixture {
        try LeastUser.create(on: [server])
        return try await onEmptied(
            "redis://\(LeastUser.credentials)@127.0.0.1:\(server.port)",
            stores: [server.uri]
        )
    }

    /// On servers that others have used before.
    static func onEmptied(_ uri: String, stores: [String]? = nil) async throws -> RedisFixture {
        let fixture = try RedisFixture(uri, stores: stores ?? [uri])
        for store in fixture.stores { try await store("FLUSHDB") }
        return fixture
    }

    var broker: any Broker { own }

    func anotherBroker() async throws -> any Broker {
        let broker = try RedisBroker(configuration: .patient(uri, dialTimeout: .seconds(60)), logger: .silent)
        others.withLock { $0.append(broker) }
        return broker
    }

    func tearDown() async {
        for broker in others.withLock({ $0 }) + [own] { await broker.shutdown() }
        for store in stores { await store.topology.shutdown() }
    }

    // MARK: Time

    func now() async throws -> Date {
        let parts = try await stores[0]("TIME").array?.compactMap(\.int) ?? []
        let seconds = Double(parts[0]) + Double(parts[1]) / 1_000_000
        return Date(timeIntervalSince1970: seconds + elapsed.withLock { Double($0.components.seconds) })
    }

    /// The clock of a server cannot be set, so everything in it is made older, and now is where it was.
    func advance(by duration: Duration) async throws {
        for store in stores { try await store("EVAL", Self.age, 0, duration.components.seconds) }
        elapsed.withLock { $0 += duration }
    }

    private static let age = """
        local seconds = tonumber(ARGV[1])
        for _, key in ipairs(redis.call('KEYS', 'asynq:*')) do
          local kind = redis.call('TYPE', key).ok
          if string.sub(key, -9) == ':schedule' or string.find(key, 'scheduler_history', 1, true) then
            -- Times that come from outside: they are in the test's time already.
          elseif kind == 'zset' then
            local unit = string.sub(key, -4) == ':due' and 1000 or 1
            local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
            for i = 1, #entries, 2 do
              redis.call('ZINCRBY', key, -seconds * unit, entries[i])
            end
          elseif string.find(key, ':unique:', 1, true) or string.find(key, 'asynq:scheduler', 1, true) then
            local left = redis.call('PTTL', key) - seconds * 1000
            if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
          end
        end
        """

    // MARK: Contents

    /// Today, by UTC, as counters name it.
    private static func day() -> String { Date().formatted(.iso8601.year().month().day()) }

    func contents(of queue: String) async throws -> StoredQueue {
        let keys = QueueKeys(queue)
        var dump = try await RedisDump(stores[0])
        for store in stores.dropFirst() { dump.merge(try await RedisDump(store)) }
        func ids(_ key: String) -> [String] {
            switch dump.entries[key] {
            case .list(let items): items.reversed().map { String(decoding: $0, as: UTF8.self) }
            case .sortedSet(let members): members.keys.map { String(decoding: $0, as: UTF8.self) }
            default: []
            }
        }
        var contents = StoredQueue(faults: dump.contradictions(queue: queue))
        contents.places = [
            .pending: ids(keys.pending), .active: ids(keys.active), .scheduled: ids(keys.scheduled),
            .retry: ids(keys.retry), .archived: ids(keys.archived), .completed: ids(keys.completed),
            .aggregating: dump.entries.keys.filter { $0.hasPrefix(keys.groupPrefix) }.flatMap(ids),
        ]
        for (key, entry) in dump.entries where key.hasPrefix(keys.taskPrefix) {
            guard case .hash(let fields) = entry, let bytes = fields[Data("msg".utf8)],
                let state = fields[Data("state".utf8)].flatMap({
                    TaskState(rawValue: String(decoding: $0, as: UTF8.self))
                })
            else {
                contents.faults.append("\(key) is no task")
                continue
            }
            let message = try TaskMessage(decoding: ByteBuffer(bytes: bytes))
            contents.tasks[String(key.dropFirst(keys.taskPrefix.count))] = .init(
                message: message,
                state: state,
                hasPendingSince: fields[Data("pending_since".utf8)] != nil,
                result: fields[Data("result".utf8)].map(Array.init)
            )
        }
        func number(_ key: String) -> Int {
            guard case .string(let data) = dump.entries[key] else { return 0 }
            return Int(String(decoding: data, as: UTF8.self)) ?? 0
        }
        // Midnight may have been since then.
        let days = Set([firstDay, Self.day()])
        contents.processed = number(keys.processed)
        contents.failed = number(keys.failed)
        contents.processedToday = days.reduce(0) { $0 + number("\(keys.processed):\($1)") }
        contents.failedToday = days.reduce(0) { $0 + number("\(keys.failed):\($1)") }
        return contents
    }
}
