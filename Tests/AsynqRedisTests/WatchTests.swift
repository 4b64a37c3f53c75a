import Asynq
import AsynqRedis
import TestSupport
import Testing

/// The wake-up by client tracking (spec 2, "Server").
struct WatchTests {
    private let keys = QueueKeys("default")

    private func withWatch(
        _ body: (any BrokerWatch, Recorder<BrokerSignal>, RedisBroker, RawRedis) async throws -> Void
    ) async throws {
        try await withBroker { broker, redis in
            let signals = Recorder<BrokerSignal>()
            let watch = broker.makeWatch(queues: ["default"]) { signals.add($0) }
            await signals.wait(for: 1)
            #expect(signals.elements == [.live] && watch.isLive(for: "default"))
            try await body(watch, signals, broker, redis)
            await watch.close()
            #expect(!watch.isLive(for: "default"))
        }
    }

    @Test func `a task that anybody enqueues is signalled, once`() async throws {
        try await withWatch { watch, signals, broker, redis in
            watch.listenForPending(in: "default", after: .zero)
            try await eventually("it listens") { try await Self.isTracking(redis) }
            // As the Go client does.
            try await redis("LPUSH", keys.pending, "a")
            await signals.wait(for: 2)
            try await redis("LPUSH", keys.pending, "b")
            // Comes after all that Redis has told the watch before.
            try await broker.cancel(taskID: "c")
            await signals.wait(for: 3)
            #expect(signals.elements == [.live, .pending(queue: "default"), .cancel(taskID: "c")])
        }
    }

    @Test func `what waits already is signalled at once`() async throws {
        try await withWatch { watch, signals, broker, _ in
            try await broker.put(["a"])
            watch.listenForPending(in: "default", after: .zero)
            await signals.wait(for: 2)
            #expect(signals.elements.last == .pending(queue: "default"))
        }
    }

    @Test func `a paused queue is signalled when it goes on`() async throws {
        try await withWatch { watch, signals, broker, redis in
            try await broker.put(["a"])
            try await redis("SET", keys.paused, "1")
            watch.listenForPending(in: "default", after: .zero)
            try await eventually("it listens") { try await Self.isTracking(redis) }
            // Comes after the answer to its look.
            try await broker.cancel(taskID: "c")
            await signals.wait(for: 2)
            #expect(signals.elements == [.live, .cancel(taskID: "c")])
            try await redis("DEL", keys.paused)
            await signals.wait(for: 3)
            #expect(signals.elements.last == .pending(queue: "default"))
        }
    }

    @Test func `a change of due times is signalled`() async throws {
        try await withWatch { watch, signals, broker, _ in
            await watch.listenForDue(in: ["default"])
            let request = EnqueueRequest(message: message("a"), start: .after(milliseconds: 60_000))
            _ = try await broker.enqueue([request])[0].get()
            await signals.wait(for: 2)
            #expect(signals.elements.last == .due(queue: "default"))
        }
    }

    @Test func `a cancellation is signalled`() async throws {
        try await withWatch { _, signals, broker, _ in
            try await broker.cancel(taskID: "a\u{0}b")
            await signals.wait(for: 2)
            #expect(signals.elements.last == .cancel(taskID: "a\u{0}b"))
        }
    }

    @Test func `a lost connection is told, and comes back by itself`() async throws {
        try await withWatch { watch, signals, _, redis in
            try await redis("CLIENT", "KILL", "TYPE", "pubsub")
            await signals.wait(for: 3)
            #expect(signals.elements == [.live, .lost, .live])
            watch.listenForPending(in: "default", after: .zero)
            try await redis("LPUSH", keys.pending, "a")
            await signals.wait(for: 4)
        }
    }

    @Test func `a flush of everything is signalled to those who listen`() async throws {
        try await withWatch { watch, signals, _, redis in
            watch.listenForPending(in: "default", after: .zero)
            await watch.listenForDue(in: ["default"])
            try await redis("FLUSHALL")
            await signals.wait(for: 3)
            #expect(Set(signals.elements) == [.live, .pending(queue: "default"), .due(queue: "default")])
        }
    }

    @Test func `nothing is signalled after the end`() async throws {
        try await withBroker { broker, redis in
            let signals = Recorder<BrokerSignal>()
            let watch = broker.makeWatch(queues: ["default"]) { signals.add($0) }
            await signals.wait(for: 1)
            watch.listenForPending(in: "default", after: .zero)
            try await eventually("it listens") { try await Self.isTracking(redis) }
            await watch.close()
            try await redis("LPUSH", keys.pending, "a")
            try await broker.cancel(taskID: "c")
            // Nothing more can come then.
            try await eventually("its connection is closed") {
                try await redis("INFO", "clients").string?.contains("tracking_clients:0") == true
            }
            watch.listenForPending(in: "default", after: .zero)
            #expect(signals.elements == [.live])
        }
    }

    /// Whether Redis tracks the two keys that a look at a queue reads.
    private static func isTracking(_ redis: RawRedis) async throws -> Bool {
        let info = try await redis("INFO", "stats").string ?? ""
        return info.contains("tracking_total_keys:2")
    }
}
