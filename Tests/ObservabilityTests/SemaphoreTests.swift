import Asynq
import AsynqTesting
import Foundation
import Synchronization
import TestSupport
import Testing

/// Semaphores in handlers (the page Semaphores); what brokers do for them is in the conformance suite.
struct SemaphoreTests {
    private let clock = ManualClock()

    private func take(_ broker: MemoryBroker, holder: String = "other", for duration: Duration) async throws {
        let request = PermitRequest(scope: "api", limit: 1, holder: holder, duration: duration)
        #expect(try await broker.acquirePermit(request) != nil)
    }

    /// A tester whose handler runs in a semaphore with one place; the broker comes with it.
    private func tester(
        _ configure: (inout AsynqServer.Configuration) -> Void = { _ in },
        limit: Int = 1,
        duration: Duration? = nil,
        handler: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void
    ) throws -> AsynqTester {
        let late = LateBroker()
        var router = TaskRouter()
        let semaphore = try AsynqSemaphore(late, scope: "api", limit: limit)
        router.use(SemaphoreMiddleware(semaphore, retryAfter: .seconds(10), for: duration))
        try router.handle("t", with: handler)
        let tester = makeTester(handler: router, clock: clock, configure: configure)
        late.broker.withLock { $0 = tester.broker }
        return tester
    }

    /// The tester makes its broker after its handler, which needs one.
    private final class LateBroker: SemaphoreBroker {
        let broker = Mutex<MemoryBroker?>(nil)

        func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? {
            try await broker.withLock { $0 }?.acquirePermit(request)
        }

        func releasePermit(_ lease: PermitLease) async throws -> Bool {
            try await broker.withLock { $0 }?.releasePermit(lease) ?? false
        }
    }

    @Test func `a task without a place is tried again, which is no failure whatever the server says`() async throws {
        let ran = Recorder<Int>()
        let failures = Recorder<String>()
        let tester = try tester {
            $0.isFailure = { _ in true }
            $0.retryDelay = { _, _, _ in .hours(100) }
            $0.errorHandler = { error, _, _ in failures.add("\(error)") }
        } handler: { _, context in
            ran.add(context.retried)
        }
        try await take(tester.broker, for: .seconds(60))
        let info = try await tester.client.enqueue(AsynqTask("t", .maxRetry(0)))
        try await tester.runUntilIdle()
        let waiting = tester.broker.task(info.id)
        #expect(waiting?.state == .retry && waiting?.retried == 0)
        #expect(waiting?.lastError == "the only place in semaphore \"api\" is taken")
        let wait = waiting?.nextProcessAt?.timeIntervalSince(clock.date) ?? 0
        #expect(wait >= 10 && wait <= 15)

        try await tester.advance(by: .seconds(59))
        #expect(ran.count == 0)
        try await tester.advance(by: .seconds(17))
        #expect(ran.elements == [0])
        #expect(failures.count == 0)
        #expect(tester.broker.task(info.id) == nil)
    }

    @Test func `a place is given back however the handler ends, and a failure stays a failure`() async throws {
        let clock = clock
        // Held for longer than anything here takes.
        let tester = try tester({ $0.retryDelay = { _, _, _ in .hours(1) } }, duration: .hours(2)) { task, _ in
            switch task.payload {
            case [1]: throw Boom()
            case [2]: throw AsynqError.skipRetry("no use")
            case [3]:
                clock.advance(by: .seconds(25))
                try await clock.sleep(for: .hours(1))
            default: return
            }
        }
        for payload in [[1], [2], [3], [4]] as [[UInt8]] {
            let options: [TaskOption] = [.taskID("\(payload[0])"), .timeout(.seconds(20))]
            try await tester.client.enqueue(AsynqTask("t", payload: payload, options: options))
            try await tester.runUntilIdle()
            try await take(tester.broker, holder: "after \(payload[0])", for: .zero)
            clock.advance(by: .seconds(2))
        }
        #expect(tester.broker.task("1")?.retried == 1)
        #expect(tester.broker.task("2")?.state == .archived)
        #expect(tester.broker.task("3")?.lastError?.contains("timed out") == true)
        #expect(tester.broker.task("4") == nil)
    }

    @Test func `the place of a server that died is free at the task's deadline, and its own task has it before`()
        async throws
    {
        let ran = Recorder<String>()
        let tester = try tester { _, context in ran.add(context.taskID) }
        try await tester.client.enqueue(AsynqTask("t", .taskID("a"), .timeout(.seconds(300))))
        // A server that takes the task and the place, and is never heard of again.
        _ = try await tester.broker.dequeue([DequeueRequest(queue: "default", limit: 1)])
        try await take(tester.broker, holder: "a", for: .seconds(300))
        try await tester.client.enqueue(AsynqTask("t", .taskID("b")))
        clock.advance(by: .seconds(61))
        try await tester.advance(by: .seconds(200))
        // Recovered after 61 s and retried after about 30 s more; that attempt gave the place back for the other.
        #expect(ran.elements == ["a", "b"])
    }

    @Test func `an attempt without an end needs a duration for its place`() async throws {
        let ran = Recorder<Void>()
        let tester = try tester {
            $0.retryDelay = { _, _, _ in .hours(1) }
        } handler: { _, _ in
            ran.add(())
        }
        let info = try await tester.client.enqueue(AsynqTask("t", .timeout(.zero)))
        try await tester.runUntilIdle()
        #expect(ran.count == 0)
        #expect(tester.broker.task(info.id)?.lastError?.contains("neither timeout nor deadline") == true)

        let other = try self.tester(duration: .seconds(30)) { _, _ in ran.add(()) }
        try await other.client.enqueue(AsynqTask("t", .timeout(.zero)))
        try await other.runUntilIdle()
        #expect(ran.count == 1)
    }

    @Test func `a handler can take a place itself, keep it, and give it back once`() async throws {
        let broker = MemoryBroker(clock: clock)
        let semaphore = try AsynqSemaphore(broker, scope: "api", limit: 2)
        func context(_ id: String) -> TaskContext {
            TaskContext(
                task: LeasedTask(message: TaskMessage(type: "t", payload: nil, id: id, queue: "q"), leaseEnd: 0),
                broker: broker,
                logger: LogRecorder().logger,
                deadline: nil,
                timing: .init(now: { 0 }, end: 60_000_000_000)
            )
        }
        let a = try await semaphore.tryAcquire(context("a"))
        #expect(a != nil)
        #expect(try await semaphore.tryAcquire(context("a")) != nil)
        _ = try await semaphore.acquire(context("b"))
        #expect(try await semaphore.tryAcquire(context("c")) == nil)
        let error = await #expect(throws: AsynqError.self) {
            _ = try await semaphore.acquire(context("c"), retryAfter: .seconds(20))
        }
        #expect(error?.code == .rateLimited && error?.message == "all 2 places in semaphore \"api\" are taken")
        let delay = error?.retryAfter ?? .zero
        #expect(delay >= .seconds(20) && delay <= .seconds(30))
        #expect(try await a?.release() == true)
        #expect(try await a?.release() == false)
        #expect(try await semaphore.withPermit(context("c")) { 42 } == 42)
    }

    @Test func `only the pattern that has the middleware waits for a place`() async throws {
        let ran = Recorder<String>()
        let broker = MemoryBroker(clock: clock)
        var router = TaskRouter()
        let semaphore = try AsynqSemaphore(broker, scope: "api", limit: 1)
        try router.handle("limited", middleware: SemaphoreMiddleware(semaphore)) { task, _ in ran.add(task.type) }
        try router.handle("free") { task, _ in ran.add(task.type) }
        try await take(broker, for: .hours(1))
        let tester = makeTester(handler: router, clock: clock)
        try await tester.client.enqueue(AsynqTask("limited"))
        try await tester.client.enqueue(AsynqTask("free"))
        try await tester.runUntilIdle()
        #expect(ran.elements == ["free"])
    }

    @Test func `a place that cannot be given back fails nothing, and is logged`() async throws {
        struct Forgetful: SemaphoreBroker {
            func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? {
                PermitLease(scope: request.scope, holder: request.holder, deadline: 1)
            }
            func releasePermit(_ lease: PermitLease) async throws -> Bool {
                throw AsynqError(.brokerUnavailable, "gone")
            }
        }
        let log = LogRecorder()
        let semaphore = try AsynqSemaphore(Forgetful(), scope: "api", limit: 1)
        var router = TaskRouter()
        router.use(SemaphoreMiddleware(semaphore))
        try router.handle("t") { _, _ in }
        let tester = makeTester(handler: router) { $0.logger = log.logger }
        let info = try await tester.client.enqueue(AsynqTask("t", .retention(.hours(1))))
        try await tester.runUntilIdle()
        #expect(tester.broker.task(info.id)?.state == .completed)
        #expect(log.lines.contains { $0.hasPrefix("warning a place") && $0.contains("scope=api") })
    }

    @Test func `a semaphore has a name and at least one place`() throws {
        let broker = MemoryBroker()
        for (scope, limit) in [("", 1), (" \t", 1), ("api", 0), ("api", -1)] {
            let error = #expect(throws: AsynqError.self) {
                _ = try AsynqSemaphore(broker, scope: scope, limit: limit)
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func `the delay of a rate limit is never negative, and there is always one`() {
        #expect(AsynqError.rateLimited("x", retryAfter: .seconds(-1)).retryAfter == .zero)
        #expect(AsynqError(.rateLimited, "x").retryAfter == .seconds(1))
        #expect(AsynqError(.skipRetry, "x").retryAfter == nil)
    }
}
