internal import Asynq
internal import RedisClient

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Keys that a script names beyond those that it reads by their places.
///
/// A Cluster that moves a queue's slot to another node runs a script only where all keys that it names are. One that it does
/// not name may have been moved already, and the script would fail in the middle.
extension RedisBroker {
    func named(_ ids: some Sequence<String>, _ keys: QueueKeys) -> [String] {
        redis.spreadsKeys ? ids.map(keys.task) : []
    }

    /// What a script touches that enqueues: tasks, and their locks and groups.
    func named(enqueueing tasks: some Sequence<(message: TaskMessage, lock: String)>, _ keys: QueueKeys) -> [String] {
        guard redis.spreadsKeys else { return [] }
        var more: Set<String> = []
        for task in tasks {
            if !task.lock.isEmpty { more.insert(task.lock) }
            if !task.message.group.isEmpty { more.insert(keys.group(task.message.group)) }
        }
        return named(tasks.map(\.message.id), keys) + more
    }

    /// What a script touches that ends attempts: tasks, locks and the counters of the day.
    func named(finishing messages: some Sequence<TaskMessage>, _ keys: QueueKeys) -> [String] {
        guard redis.spreadsKeys else { return [] }
        let locks = messages.lazy.map(\.uniqueKey).filter { !$0.isEmpty }
        return named(messages.lazy.map(\.id), keys) + locks + countersOfToday(keys)
    }

    func countersOfToday(_ keys: QueueKeys) -> [String] {
        guard redis.spreadsKeys else { return [] }
        let today = Date(timeIntervalSince1970: Double(clock.seconds)).formatted(.iso8601.year().month().day())
        return ["\(keys.processed):\(today)", "\(keys.failed):\(today)"]
    }
}
