import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension JSONValue {
    init(_ snapshot: QueueSnapshot) {
        let latency = max(.zero, snapshot.latency)
        self = .object([
            "queue": .string(snapshot.queue),
            "memory_usage_bytes": .int(snapshot.memoryUsage ?? 0),
            "size": .int(snapshot.size),
            "groups": .int(snapshot.groups),
            "latency_msec": .int(Int(latency / .milliseconds(1))),
            "display_latency": .string(Self.display(latency)),
            "active": .int(snapshot.active),
            "pending": .int(snapshot.pending),
            "aggregating": .int(snapshot.aggregating),
            "scheduled": .int(snapshot.scheduled),
            "retry": .int(snapshot.retry),
            "archived": .int(snapshot.archived),
            "completed": .int(snapshot.completed),
            "processed": .int(snapshot.processedToday),
            "succeeded": .int(max(0, snapshot.processedToday - snapshot.failedToday)),
            "failed": .int(snapshot.failedToday),
            "paused": .bool(snapshot.isPaused),
            "timestamp": .time(snapshot.time),
        ])
    }

    /// As Go prints it, to a hundredth of a second.
    private static func display(_ latency: Duration) -> String {
        let hundredths = (latency / .milliseconds(10)).rounded()
        return GoDuration.format(hundredths < 1e15 ? .milliseconds(Int64(hundredths) * 10) : latency)
    }

    init(_ day: DailyCounts, queue: String) {
        self = .object([
            "queue": .string(queue),
            "processed": .int(day.processed),
            "succeeded": .int(day.succeeded),
            "failed": .int(day.failed),
            "date": .string(Times.day(day.day)),
        ])
    }

    init(_ group: GroupSize) {
        self = .object(["group": .string(group.group), "size": .int(group.size)])
    }

    init(_ server: ServerInfo, _ texts: TaskTexts) {
        self = .object([
            "id": .string(server.identity.id),
            "host": .string(server.identity.host),
            "pid": .int(Int(server.identity.pid)),
            "concurrency": .int(server.concurrency),
            "queue_priorities": .map(server.queues.mapValues(JSONValue.int)),
            "strict_priority_enabled": .bool(server.strictPriority),
            "start_time": .time(server.startedAt),
            "status": .string(server.status),
            "active_workers": .array(
                server.workers.map { worker in
                    .object([
                        "task_id": .string(worker.taskID),
                        "queue": .string(worker.queue),
                        "task_type": .string(worker.taskType),
                        "task_payload": .string(texts.shortPayload(worker.taskPayload, type: worker.taskType)),
                        "start_time": .time(worker.startedAt),
                    ])
                }
            ),
        ])
    }

    init(_ entry: SchedulerEntry, _ texts: TaskTexts) {
        let value = JSONValue.object([
            "id": .string(entry.id),
            "spec": .string(entry.spec),
            "task_type": .string(entry.taskType),
            "task_payload": .string(texts.shortPayload(entry.payload, type: entry.taskType)),
            "options": .strings(entry.options),
            "next_enqueue_at": .time(entry.nextEnqueueAt),
        ])
        self = entry.previousEnqueueAt.map { value.adding(["prev_enqueue_at": .time($0)]) } ?? value
    }

    init(_ event: SchedulerEnqueueEvent) {
        self = .object(["task_id": .string(event.taskID), "enqueued_at": .time(event.enqueuedAt)])
    }
}
