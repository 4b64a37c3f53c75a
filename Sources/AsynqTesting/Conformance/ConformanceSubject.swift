import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The broker under test, in the words of the rules. After each step the store is checked for contradictions.
struct ConformanceSubject: Sendable {
    let fixture: any BrokerFixture

    init(_ fixture: any BrokerFixture) {
        self.fixture = fixture
    }

    var broker: any Broker { fixture.broker }

    func contents(_ queue: String = "default", line: UInt = #line) async throws -> StoredQueue {
        let contents = try await fixture.contents(of: queue)
        try expect(contents.contradictions.isEmpty, contents.contradictions.joined(separator: "; "), line: line)
        return contents
    }

    /// The state of each task.
    func states(_ queue: String = "default", line: UInt = #line) async throws -> [String: TaskState] {
        try await contents(queue, line: line).tasks.mapValues(\.state)
    }

    // MARK: Steps

    @discardableResult
    func enqueue(_ requests: [EnqueueRequest], line: UInt = #line) async throws -> [Result<EnqueueReceipt, AsynqError>]
    {
        let results = await broker.enqueue(requests)
        try expectEqual(results.count, requests.count, "results of an enqueue", line: line)
        for queue in Set(requests.map(\.message.queue)) { _ = try await contents(queue, line: line) }
        return results
    }

    /// Enqueues one, which must be accepted.
    @discardableResult
    func accept(_ request: EnqueueRequest, line: UInt = #line) async throws -> EnqueueReceipt {
        switch try await enqueue([request], line: line)[0] {
        case .success(let receipt): return receipt
        case .failure(let error): throw BrokenRule("\(request.message.id) was refused: \(error)", line)
        }
    }

    /// Enqueues one, which must be refused, without a change.
    func refuse(_ request: EnqueueRequest, _ code: AsynqError.Code, line: UInt = #line) async throws {
        let queue = request.message.queue
        let before = try await contents(queue, line: line)
        switch try await enqueue([request], line: line)[0] {
        case .success: throw BrokenRule("\(request.message.id) was accepted, expected \(code)", line)
        case .failure(let error): try expectEqual(error.code, code, "error", line: line)
        }
        try await expectUnchanged(before, queue, line: line)
    }

    /// Enqueues plain tasks.
    func put(_ ids: String..., queue: String = "default", line: UInt = #line) async throws {
        try await put(ids, queue: queue, line: line)
    }

    func put(_ ids: [String], queue: String = "default", line: UInt = #line) async throws {
        for result in await broker.enqueue(ids.map { EnqueueRequest(message: message($0, queue: queue)) }) {
            _ = try result.get()
        }
    }

    func take(_ limit: Int = 1, queue: String = "default", line: UInt = #line) async throws -> [LeasedTask] {
        let tasks = try await broker.dequeue([DequeueRequest(queue: queue, limit: limit)])
        _ = try await contents(queue, line: line)
        return tasks
    }

    /// Enqueues one task and takes it.
    func start(_ message: TaskMessage, unique ttl: Duration? = nil, line: UInt = #line) async throws -> LeasedTask {
        try await accept(EnqueueRequest(message: message, uniqueFor: ttl), line: line)
        let tasks = try await take(1, queue: message.queue, line: line)
        guard tasks.count == 1, tasks[0].message.id == message.id else {
            throw BrokenRule("dequeue gave \(tasks.map(\.message.id)), expected \(message.id)", line)
        }
        return tasks[0]
    }

    /// Ends attempts. Returns for each whether it was this worker's.
    @discardableResult
    func end(
        _ tasks: [LeasedTask],
        _ outcome: FinishRequest.Outcome,
        isRecovery: Bool = false,
        isRepeated: Bool = false,
        line: UInt = #line
    ) async throws -> [Bool] {
        let condition: FinishRequest.Condition =
            isRecovery ? .isLeaseExpired : isRepeated ? .isSameAttempt : .isActive
        let requests = tasks.map { FinishRequest(task: $0, outcome: outcome, condition: condition) }
        let results = try await finish(requests, line: line)
        return results
    }

    func finish(_ requests: [FinishRequest], line: UInt = #line) async throws -> [Bool] {
        let results = await broker.finish(requests)
        try expectEqual(results.count, requests.count, "results of a finish", line: line)
        for queue in Set(requests.map(\.task.message.queue)) { _ = try await contents(queue, line: line) }
        return try results.map { result in
            switch result {
            case .finished: return true
            case .notFound: return false
            case .failed(let error): throw error
            }
        }
    }

    func advance(_ seconds: Int64, line: UInt = #line) async throws {
        try await fixture.advance(by: .seconds(seconds))
    }

    /// That what was just seen was seen less than so many seconds after a moment. Otherwise the rule is checked anew.
    func expectWithin(_ seconds: Double, of start: Date, line: UInt = #line) async throws {
        guard try await fixture.now().timeIntervalSince(start) < seconds else {
            throw TookTooLong(description: "the step at line \(line)")
        }
    }

    /// The day by the store's clock, as a number.
    func day() async throws -> Int64 { try await seconds() / 86_400 }

    @discardableResult
    func forward(_ queue: String = "default", limit: Int = 100, line: UInt = #line) async throws -> ForwardResult {
        let result = try await broker.forward(queues: [queue], limit: limit)
        _ = try await contents(queue, line: line)
        return result
    }

    func expired(_ queue: String = "default", limit: Int = 100) async throws -> [LeasedTask] {
        try await broker.expiredLeases(queues: [queue], limit: limit)
    }
}

extension FinishRequest.Outcome {
    /// A failure that is tried again.
    static func retry(after seconds: Int64, _ error: String = "failed") -> Self {
        .retry(delay: .seconds(seconds), error: error, countsAsFailure: true)
    }
}

extension [LeasedTask] {
    var ids: [String] { map(\.message.id) }
}
