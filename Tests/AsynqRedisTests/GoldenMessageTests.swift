import Asynq
import AsynqRedis
import Foundation
import NIOCore
import SwiftProtobuf
import Testing

/// The bytes that Go's asynq writes, and the keys that it makes.
struct GoldenMessageTests {
    @Test func `task messages are read and written as in Go`() throws {
        let rows = try Fixtures.load("messages").filter { $0["message"] as? String == "TaskMessage" }
        #expect(rows.count == 7)
        for row in rows {
            let bytes = Fixtures.bytes(row["hex"] as? String ?? "")
            let wanted = Fixtures.message(row["fields"] as? [String: Any] ?? [:])
            let decoded = try TaskMessage(decoding: ByteBuffer(bytes: bytes))
            #expect(decoded == wanted, "\(row["name"] ?? "")")
            #expect(try TaskMessage(decoding: ByteBuffer(bytes: wanted.encoded())) == wanted)
        }
    }

    @Test func `the other messages are read and written as in Go`() throws {
        let rows = try Fixtures.load("messages").filter { $0["message"] as? String != "TaskMessage" }
        #expect(rows.count == 5)
        for row in rows {
            let bytes = Fixtures.bytes(row["hex"] as? String ?? "")
            let fields = row["fields"] as? [String: Any] ?? [:]
            func text(_ name: String) -> String { fields[name] as? String ?? "" }
            func number(_ name: String) -> Int64 { (fields[name] as? NSNumber)?.int64Value ?? 0 }
            switch row["message"] as? String {
            case "ServerInfo":
                let info = try Asynq_ServerInfo(serializedBytes: bytes)
                #expect(info.host == text("host") && Int64(info.pid) == number("pid"))
                #expect(info.serverID == text("server_id") && Int64(info.concurrency) == number("concurrency"))
                #expect(info.queues == ["critical": 6] && info.strictPriority && info.status == text("status"))
                #expect(Int64(info.activeWorkerCount) == number("active_worker_count"))
                #expect(info.startTime.seconds == 1_767_270_645 && info.startTime.nanos == 678_900_000)
                #expect(try Asynq_ServerInfo(serializedBytes: info.serializedBytes() as [UInt8]) == info)
            case "WorkerInfo":
                let info = try Asynq_WorkerInfo(serializedBytes: bytes)
                #expect(info.taskID == text("task_id") && info.taskType == text("task_type"))
                #expect(info.queue == text("queue") && info.taskPayload == Fixtures.bytes(text("task_payload_hex")))
                #expect(info.deadline.seconds - info.startTime.seconds == 1800)
            case "SchedulerEntry":
                let entry = try Asynq_SchedulerEntry(serializedBytes: bytes)
                #expect(entry.id == text("id") && entry.spec == text("spec") && entry.taskType == text("task_type"))
                #expect(entry.enqueueOptions == fields["enqueue_options"] as? [String])
                let isNone = text("prev_enqueue_time") == "none"
                #expect(isNone == (entry.prevEnqueueTime.seconds == -62_135_596_800))
            case "SchedulerEnqueueEvent":
                let event = try Asynq_SchedulerEnqueueEvent(serializedBytes: bytes)
                #expect(event.taskID == text("task_id") && event.enqueueTime.seconds == 1_767_270_645)
            default: Issue.record("an unknown message: \(row["message"] ?? "")")
            }
        }
    }

    @Test func `fields of a newer version survive a rewrite`() throws {
        // Field 99, a varint of 5; and field 100, three bytes.
        let unknown: [UInt8] = [0x98, 0x06, 0x05, 0xA2, 0x06, 0x03, 1, 2, 3]
        var message = TaskMessage(type: "t", payload: [1], id: "1", queue: "q")
        let bytes = try message.encoded() + unknown
        message = try TaskMessage(decoding: ByteBuffer(bytes: bytes))
        #expect(message.unknownFields == unknown)
        message.errorMessage = "boom"
        let again = try TaskMessage(decoding: ByteBuffer(bytes: message.encoded()))
        #expect(again.unknownFields == unknown && again.errorMessage == "boom")
    }

    @Test func `uniqueness locks have the keys that Go gives them`() throws {
        let rows = try Fixtures.load("unique-keys")
        #expect(rows.count == 4)
        for row in rows {
            let payload = (row["payload_hex"] as? String).map { Array(Fixtures.bytes($0)) }
            let keys = QueueKeys(row["queue"] as? String ?? "")
            #expect(keys.unique(type: row["type"] as? String ?? "", payload: payload) == row["key"] as? String)
        }
    }
}
