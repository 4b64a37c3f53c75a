import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// One run: the broker and the model side by side.
struct RandomizedRun {
    private let fixture: any BrokerFixture
    /// By how many seconds time was made to pass.
    private var advanced: Int64 = 0
    var broker: any Broker
    var model = BrokerModel()
    var random: SplitMix64
    /// Tasks that workers hold, or believe to hold.
    private var held: [LeasedTask] = []
    /// Attempts that they believe to hold while another has begun.
    private var outdated: [LeasedTask] = []
    /// Tasks of the group that servers hold, or believe to hold.
    var sets: [AggregationSet] = []
    var nextID = 0
    var history: [String] = []

    let queue = "default"

    init(_ fixture: any BrokerFixture, seed: UInt64) {
        self.fixture = fixture
        broker = fixture.broker
        random = SplitMix64(seed: seed)
    }

    /// One operation, and a look at what has become of the store.
    ///
    /// - Throws: ``TookTooLong`` if the store's own clock has gone on too far meanwhile for the model to know what is due.
    mutating func step() async throws {
        let start = try await ownTime()
        do {
            try await act()
            try await compare()
        } catch {
            if let end = try? await ownTime(), end - start > Self.longestStep { throw tookTooLong(error) }
            throw error
        }
        if try await ownTime() - start > Self.longestStep { throw tookTooLong(nil) }
    }

    private func tookTooLong(_ error: (any Error)?) -> TookTooLong {
        let outcome = error.map { ", which threw: \($0)" } ?? ""
        return TookTooLong(description: "step \(history.count) (\(history.last ?? ""))\(outcome)")
    }

    private mutating func act() async throws {
        switch Int.random(in: 0..<110, using: &random) {
        case 0..<26: try await enqueue()
        case 26..<46: try await dequeue()
        case 46..<70: try await finish()
        case 70..<76: try await forward()
        case 76..<80: try await recover()
        case 80..<84: try await extend()
        case 84..<86: try await deleteExpired()
        case 86..<89: try await writeResult()
        case 89..<91: try await pause()
        case 91..<93: crash()
        case 93..<94: try await reopen()
        case 94..<96: try await move()
        case 100..<110: try await aggregate()
        default: try await advance()
        }
    }

    // MARK: Time

    /// In seconds. With those to which a store rounds its times less than the distance that ``now()`` keeps.
    private static let longestStep = 2.0

    /// The store's time without what it was advanced by: in seconds, and always the same if only the test moves the clock.
    private func ownTime() async throws -> Double {
        try await fixture.now().timeIntervalSince1970 - Double(advanced)
    }

    /// The store's time, at a distance from every moment at which something happens by itself: nothing hangs on
    /// how long a step takes, if it is not very long.
    mutating func now() async throws -> Double {
        while true {
            let now = try await fixture.now().timeIntervalSince1970
            guard model.moments.contains(where: { abs($0 - now) < 3 }) else { return now }
            try await pass(4)
        }
    }

    private mutating func pass(_ seconds: Int64) async throws {
        try await fixture.advance(by: .seconds(seconds))
        advanced += seconds
    }

    private mutating func advance() async throws {
        let seconds = Int64.random(in: 1...40, using: &random)
        history.append("advance \(seconds) s")
        try await pass(seconds)
    }

    // MARK: Operations

    private mutating func enqueue() async throws {
        let now = try await now()
        let count = [1, 1, 2, 5].randomElement(using: &random) ?? 1
        // No more than can be compared quickly.
        guard model.tasks.count < 60 else { return try await drain() }
        var requests: [EnqueueRequest] = []
        for _ in 0..<count { requests.append(request()) }
        history.append(
            "enqueue "
                + requests.map { "\($0.message.id)\($0.uniqueFor == nil ? "" : " unique") \($0.start)" }.joined(
                    separator: ", "
                )
        )
        let results = await broker.enqueue(requests).map { result in
            switch result {
            case .success(let receipt): receipt.state.rawValue
            case .failure(let error): error.code.description
            }
        }
        try expectEqual(results, requests.map { model.enqueue($0, now: now) }, "results")
    }

    private mutating func request() -> EnqueueRequest {
        nextID += 1
        let isOld = Int.random(in: 0..<10, using: &random) == 0
        let id = (isOld ? model.tasks.randomElement(using: &random)?.message.id : nil) ?? "t\(nextID)"
        var task = message(id, payload: [UInt8.random(in: 0..<4, using: &random)])
        task.type = ["a", "b"].randomElement(using: &random) ?? "a"
        if Int.random(in: 0..<5, using: &random) == 0 { task.retention = Int64.random(in: 10...100, using: &random) }
        if Int.random(in: 0..<8, using: &random) == 0 { task.group = "g" }
        var request = EnqueueRequest(message: task)
        if Int.random(in: 0..<5, using: &random) == 0 {
            request.start = .after(milliseconds: Int64.random(in: 8...90, using: &random) * 1000)
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            request.uniqueFor = .seconds(Int64.random(in: 8...120, using: &random))
        }
        return request
    }

    private mutating func dequeue() async throws {
        let now = try await now()
        let limit = Int.random(in: 0...6, using: &random)
        history.append("dequeue \(limit)")
        let tasks = try await broker.dequeue([DequeueRequest(queue: queue, limit: limit)])
        try expectEqual(tasks.ids, model.dequeue(limit, now: now), "tasks")
        for task in tasks {
            try expectEqual(
                task.message.comparable,
                model.tasks.first { $0.message.id == task.message.id }?.message.comparable,
                "message"
            )
        }
        hold(tasks)
    }

    /// Whoever had one of these before has lost it.
    private mutating func hold(_ tasks: [LeasedTask]) {
        let ids = Set(tasks.ids)
        outdated = (outdated + held.filter { ids.contains($0.message.id) }).suffix(10)
        held.removeAll { ids.contains($0.message.id) }
        held += tasks
    }

    private mutating func finish() async throws {
        let now = try await now()
        guard !held.isEmpty else { return }
        var requests: [FinishRequest] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let isLate = Int.random(in: 0..<6, using: &random) == 0
            guard let task = (isLate ? outdated : held).randomElement(using: &random) else { break }
            // What one batch does to one task in two ways has no order.
            if requests.contains(where: { $0.task.message.id == task.message.id }) { continue }
            // That an attempt is not the last one is looked at where it matters only.
            let isRepeated = isLate || Int.random(in: 0..<4, using: &random) == 0
            requests.append(
                FinishRequest(task: task, outcome: outcome(), condition: isRepeated ? .isSameAttempt : .isActive)
            )
            // Some come back to a task that they have ended.
            if !isLate, Int.random(in: 0..<8, using: &random) > 0 {
                held.removeAll { $0.message.id == task.message.id }
            }
        }
        try await finish(requests, now)
    }

    private mutating func outcome() -> FinishRequest.Outcome {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: .done
        case 4: .drop
        case 5..<7:
            .retry(
                delay: .seconds(Int64.random(in: 8...60, using: &random)),
                error: "e\(nextID)",
                countsAsFailure: Bool.random(using: &random)
            )
        case 7: .archive(error: "a\(nextID)")
        default: .requeue
        }
    }

    private mutating func finish(_ requests: [FinishRequest], _ now: Double) async throws {
        let texts = requests.map { "\($0.task.message.id) \($0.outcome) \($0.condition)" }
        history.append("finish " + texts.joined(separator: ", "))
        let results = await broker.finish(requests).map { result in
            if case .finished = result { true } else { false }
        }
        let expected = requests.map { isOutdated($0.task) ? false : model.finish($0, now: now) }
        try expectEqual(results, expected, "results")
    }

    private func isOutdated(_ task: LeasedTask) -> Bool { outdated.contains { $0 === task } }

    private mutating func forward() async throws {
        let now = try await now()
        history.append("forward")
        let due = model.tasks.filter { ($0.state == .scheduled || $0.state == .retry) && $0.time <= now }
        // The order among those that became due together is the store's.
        var moved = 0
        for _ in 0..<100 {
            let result = try await broker.forward(queues: [queue], limit: 100)
            moved += result.moved
            if result.nextDueIn != .zero { break }
        }
        try expectEqual(moved, due.count, "moved")
        model.forward(now: now)
        let order = try await fixture.contents(of: queue).places[.pending] ?? []
        model.reorder(due.map(\.message.id), as: order)
    }

    private mutating func recover() async throws {
        let now = try await now()
        history.append("recover")
        let expired = try await broker.expiredLeases(queues: [queue], limit: 100)
        try expectEqual(Set(expired.ids), model.expired(now: now), "expired")
        guard !expired.isEmpty, Bool.random(using: &random) else { return }
        let requests = expired.map { task in
            FinishRequest(
                task: task,
                outcome: .retry(delay: .seconds(20), error: "lost", countsAsFailure: true),
                condition: .isLeaseExpired
            )
        }
        try await finish(requests, try await self.now())
    }

    private mutating func extend() async throws {
        let now = try await now()
        let tasks = Array((held + outdated).shuffled(using: &random).prefix(3))
        history.append("extend \(tasks.ids)")
        let expected = tasks.map { isOutdated($0) ? false : model.extend($0.message.id, now: now) }
        try expectEqual(try await broker.extendLeases(tasks), expected, "extended")
    }

    private mutating func deleteExpired() async throws {
        let now = try await now()
        history.append("delete expired completed")
        let deleted = try await broker.deleteExpiredCompleted(queue: queue, limit: 100)
        try expectEqual(deleted, model.deleteExpiredCompleted(now: now), "deleted")
    }

    private mutating func writeResult() async throws {
        guard let task = (held + outdated).randomElement(using: &random) else { return }
        history.append("write a result of \(task.message.id)")
        let result = [UInt8.random(in: 0...255, using: &random)]
        var isWritten = true
        do {
            try await broker.writeResult(result, of: task)
        } catch let error as AsynqError where error.code == .taskNotFound {
            isWritten = false
        }
        let expected = isOutdated(task) ? false : model.writeResult(result, of: task.message.id)
        try expectEqual(isWritten, expected, "written")
    }

    private mutating func pause() async throws {
        model.isPaused = model.isPaused ? false : Int.random(in: 0..<3, using: &random) == 0
        history.append(model.isPaused ? "pause" : "go on")
        try await fixture.setPaused(model.isPaused, queue: queue)
    }

    /// An inspector runs, archives or deletes a task.
    private mutating func move() async throws {
        let now = try await now()
        guard let id = model.tasks.randomElement(using: &random)?.message.id,
            let move = TaskMove.allCases.randomElement(using: &random)
        else { return }
        history.append("\(move.rawValue) \(id)")
        let result = await broker.move([TaskReference(queue: queue, id: id)], move)[0]
        let isMoved = if case .success = result { true } else { false }
        try expectEqual(isMoved, model.move(id, move, now: now), "moved")
        let snapshot = try await broker.snapshots(of: [queue]).first ?? nil
        for state in TaskState.allCases {
            try expectEqual(snapshot?[state] ?? 0, model.tasks.count { $0.state == state }, "count of \(state)")
        }
    }

    /// A worker dies: nobody ends its tasks.
    private mutating func crash() {
        history.append("crash of a worker with \(held.count) tasks")
        held = []
        sets = []
    }

    private mutating func reopen() async throws {
        history.append("another broker")
        broker = try await fixture.anotherBroker()
    }

    /// Ends everything that can be ended, so that there is room for new tasks.
    private mutating func drain() async throws {
        let now = try await now()
        model.isPaused = false
        try await fixture.setPaused(false, queue: queue)
        history.append("drain")
        hold(try await broker.dequeue([DequeueRequest(queue: queue, limit: 100)]))
        _ = model.dequeue(100, now: now)
        try await finish(held.map { FinishRequest(task: $0, outcome: .done) }, now)
        held = []
        if model.tasks.count > 50 { try await pass(100) }
    }

    // MARK: Comparison

    private func compare() async throws {
        let contents = try await fixture.contents(of: queue)
        try expect(contents.contradictions.isEmpty, contents.contradictions.joined(separator: "; "))
        try expectEqual(
            contents.tasks.mapValues(\.state),
            Dictionary(uniqueKeysWithValues: model.tasks.map { ($0.message.id, $0.state) }),
            "states"
        )
        try expectEqual(contents.places[.pending] ?? [], model.pending, "pending")
        for task in model.tasks {
            let stored = contents.tasks[task.message.id]
            try expectEqual(stored?.message.comparable, task.message.comparable, "message of \(task.message.id)")
            try expectEqual(stored?.result, task.result, "result of \(task.message.id)")
        }
        try expectEqual([contents.processed, contents.failed], [model.processed, model.failed], "counters")
    }
}

extension TaskMessage {
    /// Without what the broker fills in by its own clock or terms.
    fileprivate var comparable: TaskMessage {
        var message = self
        message.uniqueKey = ""
        message.lastFailedAt = 0
        message.completedAt = 0
        return message
    }
}
