import AsynqRedis
import Foundation
import NIOCore
import RedisClient

/// A value in Redis.
enum RedisEntry: Equatable {
    case string(Data)
    case list([Data])
    case set(Set<Data>)
    case sortedSet([Data: Double])
    case hash([Data: Data])
}

/// The whole of a database.
struct RedisDump: Equatable {
    var entries: [String: RedisEntry] = [:]
    var expiring: Set<String> = []

    /// Reads it, in one step.
    init(_ redis: RawRedis) async throws {
        for row in try await redis("EVAL", Self.script, 0).array ?? [] {
            guard let row = row.array, row.count == 4, let key = row[0].string, let items = row[3].array else {
                continue
            }
            let values = items.map(\.data)
            let pairs = stride(from: 0, to: values.count - 1, by: 2).map { (values[$0], values[$0 + 1]) }
            switch row[1].string {
            case "list": entries[key] = .list(values)
            case "set": entries[key] = .set(Set(values))
            case "hash": entries[key] = .hash(Dictionary(uniqueKeysWithValues: pairs))
            case "zset":
                entries[key] = .sortedSet(
                    Dictionary(
                        uniqueKeysWithValues: pairs.map {
                            ($0.0, Double(String(decoding: $0.1, as: UTF8.self)) ?? .nan)
                        }
                    )
                )
            default: entries[key] = .string(values.first ?? Data())
            }
            if row[2].int ?? -1 >= 0 { expiring.insert(key) }
        }
    }

    /// Adds what another server holds.
    mutating func merge(_ other: RedisDump) {
        entries.merge(other.entries) { first, _ in first }
        expiring.formUnion(other.expiring)
    }

    private static let script = """
        local rows = {}
        for _, key in ipairs(redis.call('KEYS', '*')) do
          local kind, items = redis.call('TYPE', key).ok, nil
          if kind == 'list' then items = redis.call('LRANGE', key, 0, -1)
          elseif kind == 'set' then items = redis.call('SMEMBERS', key)
          elseif kind == 'hash' then items = redis.call('HGETALL', key)
          elseif kind == 'zset' then items = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
          else items = { redis.call('GET', key) } end
          rows[#rows + 1] = { key, kind, redis.call('PTTL', key), items }
        end
        return rows
        """

    /// Reads one that was recorded; see the fixtures' README.
    init(recorded: [String: Any]) throws {
        for (key, value) in recorded {
            guard let value = value as? [String: Any], let type = value["type"] as? String else {
                throw Fixtures.Malformed(what: key)
            }
            let content = value["value"] as Any
            switch type {
            case "list": entries[key] = .list(try Fixtures.list(content).map(Fixtures.data))
            case "set": entries[key] = .set(Set(try Fixtures.list(content).map(Fixtures.data)))
            case "zset":
                var members: [Data: Double] = [:]
                for pair in try Fixtures.list(content).map(Fixtures.list) {
                    members[try Fixtures.data(pair[0])] = (pair[1] as? NSNumber)?.doubleValue
                }
                entries[key] = .sortedSet(members)
            case "hash":
                var fields: [Data: Data] = [:]
                for (field, content) in content as? [String: Any] ?? [:] {
                    fields[Data(field.utf8)] = try Fixtures.data(content)
                }
                entries[key] = .hash(fields)
            default: entries[key] = .string(try Fixtures.data(content))
            }
            if value["has_ttl"] as? Bool == true { expiring.insert(key) }
        }
    }

    /// Writes it into an empty database.
    func load(into redis: RawRedis) async throws {
        for (key, entry) in entries {
            switch entry {
            case .string(let value): try await redis("SET", key, value)
            case .list(let items): try await redis.run("RPUSH", [key] + items)
            case .set(let items): try await redis.run("SADD", [key] + Array(items))
            case .sortedSet(let members):
                for (member, score) in members { try await redis("ZADD", key, String(score), member) }
            case .hash(let fields):
                for (field, value) in fields { try await redis("HSET", key, field, value) }
            }
            if expiring.contains(key) { try await redis("EXPIRE", key, 1000) }
        }
    }
}

extension RedisDump {
    /// What contradicts the rule that a task is in exactly one place, and that its hash says which.
    func contradictions(queue: String = "default") -> [String] {
        let keys = QueueKeys(queue)
        var places: [String: [String]] = [:]
        func ids(_ key: String) -> [String] {
            switch entries[key] {
            case .list(let items): items.map { String(decoding: $0, as: UTF8.self) }
            case .sortedSet(let members): members.keys.map { String(decoding: $0, as: UTF8.self) }
            default: []
            }
        }
        let places_ = [
            (keys.pending, "pending"), (keys.active, "active"), (keys.scheduled, "scheduled"), (keys.retry, "retry"),
            (keys.archived, "archived"), (keys.completed, "completed"),
        ]
        for (key, state) in places_ { for id in ids(key) { places[id, default: []].append(state) } }
        for key in entries.keys where key.hasPrefix(keys.groupPrefix) {
            for id in ids(key) { places[id, default: []].append("aggregating") }
        }
        var faults: [String] = []
        for (key, entry) in entries where key.hasPrefix(keys.taskPrefix) {
            guard case .hash(let fields) = entry else { continue }
            let id = String(key.dropFirst(keys.taskPrefix.count))
            let state = fields[Data("state".utf8)].map { String(decoding: $0, as: UTF8.self) } ?? "none"
            if places[id] != [state] { faults.append("\(id) is \(state) but lies in \(places[id] ?? [])") }
            let isDated = fields[Data("pending_since".utf8)] != nil
            if isDated != (state == "pending") { faults.append("\(id): pending_since while \(state)") }
            places[id] = nil
        }
        faults += places.keys.map { "\($0) has no hash" }
        if Set(ids(keys.lease)) != Set(ids(keys.active)) { faults.append("active and lease differ") }
        if !Set(ids(keys.due)).isSubset(of: ids(keys.scheduled) + ids(keys.retry)) {
            faults.append("a due time without a task that waits for it")
        }
        return faults + groupFaults(keys, sets: Set(ids(keys.aggregationSets)))
    }

    /// Groups that nobody knows of, and the reverse.
    private func groupFaults(_ keys: QueueKeys, sets: Set<String>) -> [String] {
        let lists = Set(entries.keys.filter { $0.hasPrefix(keys.groupPrefix) })
        var names: Set<String> = []
        if case .set(let members) = entries[keys.groups] {
            names = Set(members.map { keys.group(String(decoding: $0, as: UTF8.self)) })
        }
        return lists.subtracting(sets).subtracting(names).map { "\($0) is a group that is not listed" }
            + names.union(sets).subtracting(lists).map { "\($0) is listed and does not exist" }
    }
}
