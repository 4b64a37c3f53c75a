package import Asynq
package import NIOCore
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TaskMessage {
    /// Decodes what lies in the field `msg`.
    package init(decoding bytes: ByteBuffer) throws {
        self.init(try Asynq_TaskMessage(serializedBytes: MessageBytes(buffer: bytes)))
    }

    private init(_ stored: Asynq_TaskMessage) {
        // Copied at once: a Data that is read as a collection gives byte by byte.
        let payload = stored.payload.withUnsafeBytes { Array($0) }
        self.init(type: stored.type, payload: payload, id: stored.id, queue: stored.queue)
        maxRetry = stored.retry
        retried = stored.retried
        errorMessage = stored.errorMsg
        timeout = stored.timeout
        deadline = stored.deadline
        uniqueKey = stored.uniqueKey
        lastFailedAt = stored.lastFailedAt
        retention = stored.retention
        completedAt = stored.completedAt
        group = stored.groupKey
        headers = stored.headers
        unknownFields = stored.unknownFields.data.withUnsafeBytes { Array($0) }
    }

    /// The bytes of the field `msg`.
    package func encoded() throws -> [UInt8] {
        var stored = Asynq_TaskMessage()
        if !unknownFields.isEmpty { try stored.merge(serializedBytes: unknownFields) }
        stored.type = type
        if let payload { stored.payload = Data(payload) }
        stored.id = id
        stored.queue = queue
        stored.retry = maxRetry
        stored.retried = retried
        stored.errorMsg = errorMessage
        stored.timeout = timeout
        stored.deadline = deadline
        stored.uniqueKey = uniqueKey
        stored.lastFailedAt = lastFailedAt
        stored.retention = retention
        stored.completedAt = completedAt
        stored.groupKey = group
        if !headers.isEmpty { stored.headers = headers }
        return try stored.serializedBytes()
    }
}

/// Lets the decoder read a reply where it lies.
private struct MessageBytes: SwiftProtobufContiguousBytes {
    var buffer: ByteBuffer

    init(buffer: ByteBuffer) {
        self.buffer = buffer
    }

    init(repeating: UInt8, count: Int) {
        buffer = ByteBuffer(repeating: repeating, count: count)
    }

    init<Bytes: Sequence>(_ sequence: Bytes) where Bytes.Element == UInt8 {
        buffer = ByteBuffer(bytes: sequence)
    }

    var count: Int { buffer.readableBytes }

    func withUnsafeBytes<Value>(_ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        try buffer.withUnsafeReadableBytes(body)
    }

    mutating func withUnsafeMutableBytes<Value>(_ body: (UnsafeMutableRawBufferPointer) throws -> Value) rethrows
        -> Value
    {
        try buffer.withUnsafeMutableReadableBytes(body)
    }
}
