import Asynq
import AsynqRedis
import Foundation
import NIOCore
import Testing

/// What calls of the Go client store, stored by ours.
struct GoldenClientTests {
    @Test func `the client stores what the Go client stores`() async throws {
        let rows = try Fixtures.load("client")
        #expect(rows.count == 27)
        try await withBroker { broker, redis in
            let client = AsynqClient(broker)
            // In order and on one server: some are refused because of those before.
            for row in rows { try await check(row, client, redis) }
            #expect(try await RedisDump(redis).contradictions() == [])
        }
    }

    private func check(_ row: [String: Any], _ client: AsynqClient, _ redis: RawRedis) async throws {
        let name = row["name"] as? String ?? ""
        let payload = (row["payload_hex"] as? String).map { Array(Fixtures.bytes($0)) }
        let task = AsynqTask(
            row["type"] as? String ?? "",
            payload: payload,
            options: try (row["task_options"] as? [String] ?? []).map(Self.option)
        )
        let options = try (row["enqueue_options"] as? [String] ?? []).map(Self.option)
        let start = try await redis.now()
        let result = await client.enqueue(batch: [
            AsynqTask(task.type, payload: task.payload, options: task.options + options)
        ])[0]
        if let error = row["error"] as? String {
            guard case .failure(let failure) = result else {
                Issue.record("\(name): not refused")
                return
            }
            #expect(failure.code == (error == "task already exists" ? .duplicateTask : .invalidArgument), "\(name)")
            return
        }
        let info = try result.get()
        #expect(info.state.rawValue == row["state"] as? String, "\(name)")
        let key = QueueKeys(info.queue).task(info.id)
        let fields = try await redis.hash(key)
        var wantedFields = Set(row["hash_fields"] as? [String] ?? [])
        var wanted = Fixtures.message(row["message"] as? [String: Any] ?? [:])
        switch name {
        case "timeout below a second": wanted.timeout = 1
        case "timeout with a fraction": wanted.timeout = 2
        case "group, scheduled": wantedFields.insert("group")
        case "group and unique": wantedFields.insert("unique_key")
        default: break
        }
        // Of our own: when it came into its group.
        let names = Set(fields.keys.map { String(decoding: $0, as: UTF8.self) }).subtracting(["group_since"])
        #expect(names == wantedFields, "\(name)")
        let message = try TaskMessage(decoding: ByteBuffer(bytes: fields[Data("msg".utf8)] ?? Data()))
        #expect(message == wanted, "\(name)")
        if let ttl = (row["unique_ttl_seconds"] as? NSNumber)?.int64Value {
            let left = try await redis.int("PTTL", wanted.uniqueKey) ?? 0
            // The clock is read in whole seconds.
            let passed = try await redis.now() + 1 - start
            #expect(left >= (ttl - passed) * 1000 && left <= ttl * 1000, "\(name)")
            #expect(try await redis("GET", wanted.uniqueKey).string == info.id)
        }
    }

    /// The option that Go writes so.
    private static func option(_ text: String) throws -> TaskOption {
        guard let open = text.firstIndex(of: "("), text.hasSuffix(")") else { throw Fixtures.Malformed(what: text) }
        let value = String(text[text.index(after: open)...].dropLast())
        func string() throws -> [String] {
            let json = value.hasPrefix("[") ? value : "[\(value)]"
            return try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String] ?? []
        }
        switch text[..<open] {
        case "MaxRetry": return .maxRetry(Int(value) ?? -1)
        case "Timeout": return .timeout(try duration(value))
        case "Retention": return .retention(try duration(value))
        case "Unique": return .unique(for: try duration(value))
        case "ProcessIn": return .processIn(try duration(value))
        case "Queue": return .queue(try string()[0])
        case "TaskID": return .taskID(try string()[0])
        case "Group": return .group(try string()[0])
        case "Header": return .header(try string()[0], try string()[1])
        case "Deadline": return .deadline(try date(value))
        case "ProcessAt": return .processAt(try date(value))
        default: throw Fixtures.Malformed(what: text)
        }
    }

    private static func duration(_ text: String) throws -> Duration {
        let known: [String: Duration] = [
            "20m0s": .minutes(20), "3m0s": .minutes(3), "1m0s": .minutes(1), "1h0m0s": .hours(1),
            "24h0m0s": .hours(24), "500ms": .milliseconds(500), "999ms": .milliseconds(999),
            "1.5s": .milliseconds(1500), "-1s": .seconds(-1),
        ]
        guard let duration = known[text] else { throw Fixtures.Malformed(what: text) }
        return duration
    }

    private static func date(_ text: String) throws -> Date {
        switch text {
        case "Fri Jan  1 00:00:00 UTC 2100": return Date(timeIntervalSince1970: 4_102_444_800)
        case "Thu Jan  1 00:00:01 UTC 1970": return Date(timeIntervalSince1970: 1)
        default: throw Fixtures.Malformed(what: text)
        }
    }
}
