import Asynq
import HTTPTypes

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The bytes of a payload, which is sent as text or in base64.
private enum WishedPayload {
    static func bytes(_ text: String?, _ base64: String?) throws(APIError) -> [UInt8]? {
        switch (text, base64) {
        case (let text?, nil): return Array(text.utf8)
        case (nil, let base64?):
            guard let data = Data(base64Encoded: base64) else {
                throw .badRequest("payload_base64 is not valid base64")
            }
            return Array(data)
        case (nil, nil): return nil
        case (_?, _?): throw .badRequest("give payload or payload_base64, and not both")
        }
    }
}

/// A task that is to be enqueued.
struct EnqueueWish: Decodable {
    var type: String
    var payload: String?
    var payload_base64: String?
    var id: String?
    var max_retry: Int?
    var timeout_seconds: Double?
    var deadline: String?
    var process_in_seconds: Double?
    var process_at: String?
    var retention_seconds: Double?
    var unique_seconds: Double?
    var group: String?
    var headers: [String: String]?

    func task(queue: String) throws(APIError) -> AsynqTask {
        var options: [TaskOption] = [.queue(queue)]
        if let id, !id.isEmpty { options.append(.taskID(id)) }
        if let max_retry { options.append(.maxRetry(max_retry)) }
        if let time = try duration(timeout_seconds, "timeout_seconds") { options.append(.timeout(time)) }
        if let date = try date(deadline, "deadline") { options.append(.deadline(date)) }
        if let time = try duration(process_in_seconds, "process_in_seconds") { options.append(.processIn(time)) }
        if let date = try date(process_at, "process_at") { options.append(.processAt(date)) }
        if let time = try duration(retention_seconds, "retention_seconds") { options.append(.retention(time)) }
        if let time = try duration(unique_seconds, "unique_seconds") { options.append(.unique(for: time)) }
        if let group, !group.isEmpty { options.append(.group(group)) }
        let bytes = try WishedPayload.bytes(payload, payload_base64)
        return AsynqTask(type, payload: bytes, headers: headers ?? [:], options: options)
    }

    private func duration(_ seconds: Double?, _ name: String) throws(APIError) -> Duration? {
        guard let seconds else { return nil }
        guard seconds >= 0, seconds < 1e12 else { throw .badRequest("\(name) must be a number of seconds from 0") }
        return .seconds(seconds)
    }

    private func date(_ text: String?, _ name: String) throws(APIError) -> Date? {
        guard let text, !text.isEmpty else { return nil }
        guard let date = Times.date(text) else {
            throw .badRequest("\(name) must be a time as RFC 3339 writes it, such as 2026-01-31T09:30:00Z")
        }
        return date
    }
}

/// A task that is to be enqueued once more, with another payload or the same.
struct AgainWish: Decodable {
    var payload: String?
    var payload_base64: String?
    var delete_original: Bool?

    /// As the original was, but for its id, its group and its uniqueness; a deadline that is over is left out, as the new
    /// one could never run.
    func task(_ original: TaskInfo, now: Date) throws(APIError) -> AsynqTask {
        var options: [TaskOption] = [.queue(original.queue), .maxRetry(original.maxRetry)]
        if let timeout = original.timeout { options.append(.timeout(timeout)) }
        if let deadline = original.deadline, deadline > now { options.append(.deadline(deadline)) }
        if original.retention > .zero { options.append(.retention(original.retention)) }
        let bytes = try WishedPayload.bytes(payload, payload_base64) ?? original.payload
        return AsynqTask(original.type, payload: bytes, headers: original.headers, options: options)
    }
}

/// A bulk job that is to be begun.
struct BulkWish: Decodable {
    struct Filter: Decodable {
        var id: String?
        var type: String?
        var text: String?
        var error: String?
        var older_than: Double?
        var newer_than: Double?
    }

    var action: BulkRequest.Action
    var state: TaskState
    var group: String?
    var filter: Filter?

    func request(queue: String) throws(APIError) -> BulkRequest {
        func text(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        var wanted = TaskFilter()
        wanted.id = text(filter?.id)
        wanted.type = text(filter?.type)
        wanted.text = text(filter?.text)
        // Empty is a message too: of those that have none.
        wanted.error = filter?.error
        wanted.olderThan = filter?.older_than
        wanted.newerThan = filter?.newer_than
        let scope = TaskScope(queue: queue, state: state, group: text(group))
        let request = BulkRequest(action: action, scope: scope, filter: wanted)
        try request.validate()
        return request
    }
}
