package import Asynq
package import NIOCore
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension SchedulerEntry {
    package init(decoding bytes: ByteBuffer) throws {
        let stored = try Asynq_SchedulerEntry(serializedBytes: Array(bytes.readableBytesView))
        self.init(
            id: stored.id,
            spec: stored.spec,
            taskType: stored.taskType,
            payload: Array(stored.taskPayload),
            options: stored.enqueueOptions,
            nextEnqueueAt: stored.nextEnqueueTime.dateOrNone,
            previousEnqueueAt: stored.prevEnqueueTime.dateOrNone
        )
    }

    package func encoded() throws -> [UInt8] {
        var stored = Asynq_SchedulerEntry()
        stored.id = id
        stored.spec = spec
        stored.taskType = taskType
        stored.taskPayload = Data(payload)
        stored.enqueueOptions = options
        stored.nextEnqueueTime = .orNone(nextEnqueueAt)
        stored.prevEnqueueTime = .orNone(previousEnqueueAt)
        return try stored.serializedBytes()
    }
}

extension SchedulerEnqueueEvent {
    package init(decoding bytes: ByteBuffer, entryID: String) throws {
        let stored = try Asynq_SchedulerEnqueueEvent(serializedBytes: Array(bytes.readableBytesView))
        self.init(entryID: entryID, taskID: stored.taskID, enqueuedAt: stored.enqueueTime.date)
    }

    package func encoded() throws -> [UInt8] {
        var stored = Asynq_SchedulerEnqueueEvent()
        stored.taskID = taskID
        stored.enqueueTime = Google_Protobuf_Timestamp(date: enqueuedAt)
        return try stored.serializedBytes()
    }
}

extension Google_Protobuf_Timestamp {
    /// Go writes its zero time, the year 1, for none.
    static func orNone(_ date: Date?) -> Self {
        date.map { Google_Protobuf_Timestamp(date: $0) } ?? Google_Protobuf_Timestamp(seconds: -62_135_596_800)
    }

    fileprivate var dateOrNone: Date? {
        // Absent altogether reads as 1970.
        seconds <= 0 ? nil : date
    }
}
