import Asynq
import Synchronization

extension BrokerConformance {
    static let watchRules: [Rule] = [
        Rule("a watch that listens is told of a pending task, whoever adds it (fault 11)") { subject in
            let other = try await subject.fixture.anotherBroker()
            try await subject.withWatch(queues: ["default", "low"]) { watch, signals in
                try await signals.wait(for: .live)
                for (broker, id) in [(subject.broker, "own"), (other, "other's")] {
                    watch.listenForPending(in: "default", after: .zero)
                    watch.listenForPending(in: "low", after: .zero)
                    _ = try await broker.enqueue([EnqueueRequest(message: message(id, queue: "low"))])[0].get()
                    try await signals.wait(for: .pending(queue: "low"))
                    try expect(!signals.all.contains(.pending(queue: "default")), "a signal for an empty queue")
                    _ = try await subject.take(queue: "low")
                    signals.clear()
                }
            }
        },
        Rule("a watch that listens to a queue with tasks is told at once, of a paused one when it goes on") { subject in
            try await subject.put("a")
            try await subject.fixture.setPaused(true, queue: "paused")
            try await subject.put("b", queue: "paused")
            try await subject.withWatch(queues: ["default", "paused"]) { watch, signals in
                try await signals.wait(for: .live)
                watch.listenForPending(in: "paused", after: .zero)
                watch.listenForPending(in: "default", after: .milliseconds(2))
                try await signals.wait(for: .pending(queue: "default"))
                try expect(!signals.all.contains(.pending(queue: "paused")), "a signal for a paused queue")
                try await subject.fixture.setPaused(false, queue: "paused")
                // A change that is not a task of its own may only be seen at the next one.
                try await subject.put("c", queue: "paused")
                try await signals.wait(for: .pending(queue: "paused"))
            }
        },
        Rule("a watch is told of tasks that are handed back, forwarded or recovered") { subject in
            try await subject.withWatch(queues: ["default"]) { watch, signals in
                try await signals.wait(for: .live)
                let task = try await subject.start(message("a"))
                signals.clear()
                watch.listenForPending(in: "default", after: .zero)
                try await subject.end([task], .requeue)
                try await signals.wait(for: .pending(queue: "default"))
                try await subject.end(try await subject.take(), .retry(after: 5))
                try await subject.advance(7)
                signals.clear()
                watch.listenForPending(in: "default", after: .zero)
                try await subject.forward()
                try await signals.wait(for: .pending(queue: "default"))
            }
        },
        Rule("a watch is told when a due time is added (fault 10)") { subject in
            let other = try await subject.fixture.anotherBroker()
            try await subject.withWatch(queues: ["default", "low"]) { watch, signals in
                try await signals.wait(for: .live)
                var seconds: Int64 = 3600
                for broker in [subject.broker, other] {
                    await watch.listenForDue(in: ["default", "low"])
                    signals.clear()
                    seconds -= 1000
                    let request = EnqueueRequest(
                        message: message("due in \(seconds)"),
                        start: .after(milliseconds: seconds * 1000)
                    )
                    _ = try await broker.enqueue([request])[0].get()
                    try await signals.wait(for: .due(queue: "default"))
                }
                let task = try await subject.start(message("a"))
                await watch.listenForDue(in: ["default"])
                signals.clear()
                try await subject.end([task], .retry(after: 5))
                try await signals.wait(for: .due(queue: "default"))
            }
        },
        Rule("a watch is told of a group's first task, and of each that it waits for, whoever adds it") { subject in
            let other = try await subject.fixture.anotherBroker()
            func put(_ id: String, _ group: String, _ broker: any Broker) async throws {
                var task = message(id)
                task.group = group
                _ = try await broker.enqueue([EnqueueRequest(message: task)])[0].get()
            }
            try await subject.withWatch(queues: ["default", "low"]) { watch, signals in
                try await signals.wait(for: .live)
                for (broker, name) in [(subject.broker, "own"), (other, "other's")] {
                    let group = GroupReference(queue: "default", name: name)
                    await watch.listenForGroups(in: ["default", "low"])
                    signals.clear()
                    try await put("\(name) 1", name, broker)
                    try await signals.wait(for: .groups(queue: "default"))
                    await watch.listenForGrowth(of: [group, GroupReference(queue: "low", name: name)])
                    signals.clear()
                    try await put("\(name) 2", name, broker)
                    try await signals.wait(for: .grown(group))
                    try expect(!signals.all.contains(.groups(queue: "low")), "a signal for an empty queue")
                }
                // One that comes due is as good as one that is enqueued.
                await watch.listenForGroups(in: ["default"])
                var task = message("due")
                task.group = "due"
                try await subject.accept(EnqueueRequest(message: task, start: .after(milliseconds: 5000)))
                try await subject.advance(7)
                signals.clear()
                try await subject.forward()
                try await signals.wait(for: .groups(queue: "default"))
            }
        },
        Rule("every watch is told of a cancellation, from any broker") { subject in
            let other = try await subject.fixture.anotherBroker()
            try await subject.withWatch(queues: ["default"]) { _, first in
                try await subject.withWatch(queues: ["low"], on: other) { _, second in
                    try await first.wait(for: .live)
                    try await second.wait(for: .live)
                    for (broker, id) in [(subject.broker, "task 1"), (other, "task 2")] {
                        try await broker.cancel(taskID: id)
                        try await first.wait(for: .cancel(taskID: id))
                        try await second.wait(for: .cancel(taskID: id))
                    }
                }
            }
        },
    ]
}

/// What a watch has said.
private final class Signals: Sendable {
    private struct State {
        var all: [BrokerSignal] = []
        var waiters: [(signal: BrokerSignal, continuation: AsyncStream<Void>.Continuation)] = []
    }

    private let state = Mutex(State())

    var all: [BrokerSignal] { state.withLock { $0.all } }

    func add(_ signal: BrokerSignal) {
        let waiters = state.withLock { state in
            state.all.append(signal)
            return state.waiters.filter { $0.signal == signal }
        }
        for waiter in waiters { waiter.continuation.yield() }
    }

    func clear() { state.withLock { $0.all = [] } }

    /// Returns as soon as this has been said.
    func wait(for signal: BrokerSignal, line: UInt = #line) async throws {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let isThere = state.withLock { state in
            state.waiters.append((signal, continuation))
            return state.all.contains(signal)
        }
        if isThere { return }
        let limit = Task {
            try await Task.sleep(for: .seconds(120))
            continuation.finish()
        }
        defer { limit.cancel() }
        for await _ in stream { return }
        throw BrokenRule("no signal \(signal) within 120 s; heard: \(all)", line)
    }
}

extension ConformanceSubject {
    fileprivate func withWatch(
        queues: [String],
        on broker: (any Broker)? = nil,
        _ body: (any BrokerWatch, Signals) async throws -> Void
    ) async throws {
        let signals = Signals()
        let watch = (broker ?? self.broker).makeWatch(queues: queues) { signals.add($0) }
        do {
            try await body(watch, signals)
        } catch {
            await watch.close()
            throw error
        }
        await watch.close()
    }
}
