import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension JSONValue {
    /// A text that may be no text: `KEY`, or `KEY` null and `KEY_base64`.
    private static func bytes(_ key: String, _ bytes: [UInt8]?) -> [Member] {
        guard let bytes else { return [Member(key: key, value: .null)] }
        if let text = String(validating: bytes, as: UTF8.self) { return [Member(key: key, value: .string(text))] }
        return [
            Member(key: key, value: .null),
            Member(key: "\(key)_base64", value: .string(Data(bytes).base64EncodedString())),
        ]
    }

    private static func seconds(_ duration: Duration) -> JSONValue { .int(Int(duration.components.seconds)) }

    init(_ queue: QueueSnapshot) {
        self = .object([
            "queue": .string(queue.queue),
            "paused": .bool(queue.isPaused),
            "paused_at": .time(queue.pausedAt),
            "size": .int(queue.size),
            "active": .int(queue.active),
            "pending": .int(queue.pending),
            "aggregating": .int(queue.aggregating),
            "scheduled": .int(queue.scheduled),
            "retry": .int(queue.retry),
            "archived": .int(queue.archived),
            "completed": .int(queue.completed),
            "groups": .int(queue.groups),
            "latency_msec": .int(queue.latency.milliseconds),
            "memory_usage_bytes": queue.memoryUsage.map(JSONValue.int) ?? .null,
            "processed": .int(queue.processedToday),
            "succeeded": .int(max(0, queue.processedToday - queue.failedToday)),
            "failed": .int(queue.failedToday),
            "processed_total": .int(queue.processed),
            "failed_total": .int(queue.failed),
            "timestamp": .time(queue.time),
        ])
    }

    init(_ day: DailyCounts, queue: String) {
        self = .object([
            "queue": .string(queue),
            "date": .string(Times.day(day.day)),
            "processed": .int(day.processed),
            "succeeded": .int(day.succeeded),
            "failed": .int(day.failed),
        ])
    }

    init(_ task: TaskInfo) {
        var members = [Member(key: "id", value: .string(task.id))]
        func add(_ key: String, _ value: JSONValue) { members.append(Member(key: key, value: value)) }
        add("queue", .string(task.queue))
        add("type", .string(task.type))
        members += Self.bytes("payload", task.payload ?? [])
        add("state", .string(task.state.rawValue))
        add("max_retry", .int(task.maxRetry))
        add("retried", .int(task.retried))
        add("error_message", .optional(task.lastError))
        add("last_failed_at", .time(task.lastFailedAt))
        add("timeout_seconds", task.timeout.map(Self.seconds) ?? .null)
        add("deadline", .time(task.deadline))
        add("next_process_at", .time(task.nextProcessAt))
        add("completed_at", .time(task.completedAt))
        add("retention_seconds", Self.seconds(task.retention))
        add("group", .optional(task.group))
        add("is_orphaned", .bool(task.isOrphaned))
        add(
            "headers",
            .object(task.headers.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: .string($0.value)) })
        )
        members += Self.bytes("result", task.result)
        self = .object(members)
    }

    init(_ server: ServerInfo) {
        self = .object([
            "id": .string(server.identity.id),
            "host": .string(server.identity.host),
            "pid": .int(Int(server.identity.pid)),
            "status": .string(server.status),
            "concurrency": .int(server.concurrency),
            "queue_priorities": .object(
                server.queues.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: .int($0.value)) }
            ),
            "strict_priority_enabled": .bool(server.strictPriority),
            "start_time": .time(server.startedAt),
            "active_workers": .array(
                server.workers.map { worker in
                    .object(
                        [
                            Member(key: "task_id", value: .string(worker.taskID)),
                            Member(key: "queue", value: .string(worker.queue)),
                            Member(key: "task_type", value: .string(worker.taskType)),
                        ] + Self.bytes("task_payload", worker.taskPayload) + [
                            Member(key: "start_time", value: .time(worker.startedAt)),
                            Member(key: "deadline", value: .time(worker.deadline)),
                        ]
                    )
                }
            ),
        ])
    }

    init(_ group: GroupSize) {
        self = .object(["group": .string(group.group), "size": .int(group.size)])
    }

    init(_ entry: SchedulerEntry) {
        self = .object(
            [
                Member(key: "id", value: .string(entry.id)),
                Member(key: "spec", value: .string(entry.spec)),
                Member(key: "task_type", value: .string(entry.taskType)),
            ] + Self.bytes("task_payload", entry.payload) + [
                Member(key: "options", value: .array(entry.options.map(JSONValue.string))),
                Member(key: "next_enqueue_at", value: .time(entry.nextEnqueueAt)),
                Member(key: "prev_enqueue_at", value: .time(entry.previousEnqueueAt)),
            ]
        )
    }

    init(_ event: SchedulerEnqueueEvent) {
        self = .object([
            "entry": .string(event.entryID),
            "task_id": .string(event.taskID),
            "enqueued_at": .time(event.enqueuedAt),
        ])
    }
}
