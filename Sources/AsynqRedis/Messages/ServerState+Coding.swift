package import Asynq
package import NIOCore
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

/// How Go writes that there is no time: the year 1.
private let goZeroTime: Int64 = -62_135_596_800

extension ServerState {
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
        info.taskPayload = Data((message.payload ?? []).prefix(ServerInfo.maxPayload))
        info.queue = message.queue
        info.startTime = Google_Protobuf_Timestamp(date: worker.startedAt)
        info.deadline =
            worker.deadline.map { Google_Protobuf_Timestamp(date: $0) }
            ?? Google_Protobuf_Timestamp(seconds: goZeroTime)
        return try info.serializedBytes()
    }
}

extension ServerInfo {
    /// - Parameter workers: those that cannot be read are left out.
    package init(decoding bytes: ByteBuffer, workers: [ByteBuffer]) throws {
        let info = try Asynq_ServerInfo(serializedBytes: Array(bytes.readableBytesView))
        self.init(
            identity: ServerIdentity(host: info.host, pid: info.pid, id: info.serverID),
            concurrency: Int(info.concurrency),
            queues: info.queues.mapValues(Int.init),
            strictPriority: info.strictPriority,
            status: info.status,
            startedAt: info.startTime.date,
            workers: workers.compactMap { bytes in
                (try? Asynq_WorkerInfo(serializedBytes: Array(bytes.readableBytesView))).map(Worker.init)
            }
        )
    }
}

extension ServerInfo.Worker {
    fileprivate init(_ info: Asynq_WorkerInfo) {
        let deadline = info.hasDeadline && info.deadline.seconds != goZeroTime ? info.deadline.date : nil
        self.init(
            taskID: info.taskID,
            queue: info.queue,
            taskType: info.taskType,
            taskPayload: Array(info.taskPayload),
            startedAt: info.startTime.date,
            deadline: deadline
        )
    }
}
