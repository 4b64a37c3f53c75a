public import Asynq

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The ``BrokerFixture`` of the ``MemoryBroker``, and an example of one.
public struct MemoryFixture: BrokerFixture {
    private let clock: ManualClock
    private let store: MemoryBroker

    public init() {
        clock = ManualClock()
        store = MemoryBroker(clock: clock)
    }

    public var broker: any Broker { store }

    /// A view of the same store, that can be shut down by itself.
    public func anotherBroker() async throws -> any Broker { MemoryBroker(sharing: store) }

    public func now() async throws -> Date { clock.date }
    public func advance(by duration: Duration) async throws { clock.advance(by: duration) }
    public func tearDown() async { await store.shutdown() }

    public func contents(of queue: String) async throws -> StoredQueue {
        store.read { state, now in
            guard let queue = state.queues[queue] else { return StoredQueue() }
            let waiting = queue.waiting.ids
            let today = queue.byDay[now / (86_400 * second)] ?? .init()
            return StoredQueue(
                tasks: queue.tasks.mapValues { task in
                    .init(
                        message: task.message,
                        state: task.state,
                        hasPendingSince: task.pendingSince != nil,
                        result: task.result
                    )
                },
                places: [
                    .pending: Array(queue.pending), .active: Array(queue.active),
                    .scheduled: waiting.filter { queue.tasks[$0]?.state != .retry },
                    .retry: waiting.filter { queue.tasks[$0]?.state == .retry },
                    .completed: queue.completed.ids, .archived: queue.archived.ids,
                    .aggregating: queue.groups.values.flatMap(\.ids) + queue.sets.values.flatMap(\.ids),
                ],
                processed: queue.total.processed,
                failed: queue.total.failed,
                processedToday: today.processed,
                failedToday: today.failed
            )
        }
    }
}
