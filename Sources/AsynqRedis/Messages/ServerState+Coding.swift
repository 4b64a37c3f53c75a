package import Asynq
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ServerIdentity {
    /// The server in the names of its keys.
    package var key: String { "\(host):\(pid):\(id)" }
}

extension ServerState {
    /// Payloads longer than this are cut: each running task's is written anew at each heartbeat.
    private static let maxPayload = 16 * 1024

    package func encodedInfo() throws -> [UInt8] {
        var info = Asynq_ServerInfo()
        info.host = identity.host
        info.pid = identity.pid
        info.serverID = identity.id
        info.concurrency = Int32(clamping: concurrency)
        info.queues = queues.mapValues { Int32(clamping: $0) }
        info.strictPriority = strictPriority
        info.status = status
        info.startTime = Google_Protobuf_Timestamp(date: startedAt)
        info.activeWorkerCount = Int32(clamping: workers.count)
        return try info.serializedBytes()
    }

    package func encodedInfo(of worker: Worker) throws -> [UInt8] {
        let message = worker.task.message
        var info = Asynq_WorkerInfo()
        info.host = identity.host
        info.pid = identity.pid
        info.serverID = identity.id
        info.taskID = message.id
        info.taskType = message.type
        info.taskPayload = Data((message.payload ?? []).prefix(Self.maxPayload))
        info.queue = message.queue
        info.startTime = Google_Protobuf_Timestamp(date: worker.startedAt)
        // Go writes its zero time, the year 1, for none.
        info.deadline =
            worker.deadline.map { Google_Protobuf_Timestamp(date: $0) }
            ?? Google_Protobuf_Timestamp(seconds: -62_135_596_800)
        return try info.serializedBytes()
    }
}
