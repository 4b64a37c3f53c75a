import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How the bytes of tasks are shown.
struct TaskTexts: Sendable {
    var payloadLimit: Int
    var resultLimit: Int
    var payloadFormatter: DashboardConfiguration.Formatter?
    var resultFormatter: DashboardConfiguration.Formatter?

    func payload(_ bytes: [UInt8], type: String) -> String {
        payloadFormatter?(type, bytes) ?? PrintedBytes.text(bytes)
    }

    func result(_ bytes: [UInt8], type: String) -> String {
        resultFormatter?(type, bytes) ?? PrintedBytes.text(bytes)
    }

    func shortPayload(_ bytes: [UInt8], type: String) -> String {
        short(bytes, type, payloadLimit, payloadFormatter)
    }

    func shortResult(_ bytes: [UInt8], type: String) -> String {
        short(bytes, type, resultLimit, resultFormatter)
    }

    private func short(
        _ bytes: [UInt8],
        _ type: String,
        _ limit: Int,
        _ formatter: DashboardConfiguration.Formatter?
    ) -> String {
        guard let formatter else { return PrintedBytes.text(bytes, limit: limit) }
        let text = formatter(type, bytes)
        guard let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex), end < text.endIndex
        else { return text }
        return text[..<end] + "…"
    }
}

extension JSONValue {
    /// A task of a list: what all states have, and what its state has (spec 3, "JSON API").
    ///
    /// - Parameters:
    ///   - worker: the handler that runs it, if any is known.
    ///   - now: the broker's time.
    init(_ task: TaskInfo, _ texts: TaskTexts, worker: ServerInfo.Worker?, now: Date) {
        let common = JSONValue.object([
            "id": .string(task.id),
            "type": .string(task.type),
            "payload": .string(texts.shortPayload(task.payload ?? [], type: task.type)),
            "queue": .string(task.queue),
            "max_retry": .int(task.maxRetry),
            "retried": .int(task.retried),
            "error_message": .string(task.lastError ?? ""),
        ])
        switch task.state {
        case .active:
            self = common.adding([
                "start_time": .string(worker.map { Times.rfc3339($0.startedAt) } ?? "-"),
                "deadline": .string(worker?.deadline.map(Times.rfc3339) ?? "-"),
                "is_orphaned": .bool(task.isOrphaned),
            ])
        case .pending: self = common
        case .scheduled, .retry: self = common.adding(["next_process_at": .time(task.nextProcessAt)])
        case .archived: self = common.adding(["last_failed_at": .time(task.lastFailedAt)])
        case .completed:
            self = common.adding([
                "completed_at": .time(task.completedAt),
                "result": .string(texts.shortResult(task.result ?? [], type: task.type)),
                "ttl_seconds": .int(task.secondsLeft(now)),
            ])
        case .aggregating: self = common.adding(["group": .string(task.group ?? "")])
        }
    }

    /// A task in full.
    init(full task: TaskInfo, _ texts: TaskTexts, now: Date) {
        let payload = task.payload ?? []
        let result = task.result ?? []
        self = .object([
            "id": .string(task.id),
            "queue": .string(task.queue),
            "type": .string(task.type),
            "payload": .string(texts.payload(payload, type: task.type)),
            "state": .string(task.state.rawValue),
            "max_retry": .int(task.maxRetry),
            "retried": .int(task.retried),
            "error_message": .string(task.lastError ?? ""),
            "last_failed_at": .time(task.lastFailedAt),
            "timeout_seconds": .int(Int(task.timeout?.secondsRoundedUp ?? 0)),
            "deadline": .time(task.deadline),
            "next_process_at": .time(task.nextProcessAt),
            "completed_at": .time(task.completedAt),
            "result": .string(texts.result(result, type: task.type)),
            "ttl_seconds": .int(task.secondsLeft(now)),
            "headers": .map(task.headers.mapValues(JSONValue.string)),
            "group": .string(task.group ?? ""),
            "payload_base64": .string(Data(payload).base64EncodedString()),
            "result_base64": .string(Data(result).base64EncodedString()),
            "is_orphaned": .bool(task.isOrphaned),
            "actions": .strings(task.actions),
        ])
    }
}

extension TaskInfo {
    /// What can be done to it by hand.
    fileprivate var actions: [String] {
        TaskMove.allCases.filter { $0.isAllowed(from: state) }.map(\.rawValue) + (state == .active ? ["cancel"] : [])
    }

    /// How long a completed task is still kept.
    fileprivate func secondsLeft(_ now: Date) -> Int {
        guard let completedAt else { return 0 }
        let left = completedAt.timeIntervalSince(now) + retention / .seconds(1)
        return left > 0 ? Int(min(left, 1e15)) : 0
    }
}
