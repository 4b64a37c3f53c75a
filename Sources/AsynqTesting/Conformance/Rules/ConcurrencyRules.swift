import Asynq
import Synchronization

extension BrokerConformance {
    static let concurrencyRules: [Rule] = [
        Rule("many producers and workers at once: each task is given once and ended once") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            let (producers, each) = (8, 100)
            let total = producers * each
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for producer in 0..<producers {
                    let broker = brokers[producer % 2]
                    group.addTask {
                        for index in 0..<each {
                            let request = EnqueueRequest(message: message("\(producer)-\(index)"))
                            _ = try await broker.enqueue([request])[0].get()
                        }
                    }
                }
                for worker in 0..<6 {
                    let broker = brokers[worker % 2]
                    group.addTask {
                        while tally.ended < total {
                            try Task.checkCancellation()
                            let tasks = try await broker.dequeue([DequeueRequest(queue: "default", limit: 7)])
                            tally.give(tasks.ids)
                            let requests = tasks.enumerated().map { index, task in
                                FinishRequest(task: task, outcome: index % 5 == 4 ? .archive(error: "e") : .done)
                            }
                            for result in await broker.finish(requests) {
                                guard case .finished = result else {
                                    throw BrokenRule("not finished: \(result)", #line)
                                }
                                tally.end()
                            }
                            if tasks.isEmpty { await Task.yield() }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try expectEqual(tally.given.count, total, "tasks given")
            try expect(tally.given.values.allSatisfy { $0 == 1 }, "a task was given twice")
            let contents = try await subject.contents()
            try expect(contents.tasks.values.allSatisfy { $0.state == .archived }, "a task is left")
            try expectEqual(contents.processed, total, "processed")
            try expectEqual(contents.failed, contents.tasks.count, "failed")
        },
        Rule("of many who end one attempt at once, one succeeds") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            let task = try await subject.start(message("a"))
            let successes = await withTaskGroup(of: Int.self) { group in
                for index in 0..<30 {
                    let outcome: FinishRequest.Outcome =
                        [.done, .retry(after: 60), .archive(error: "e"), .requeue][index % 4]
                    group.addTask {
                        let results = await brokers[index % 2].finish([FinishRequest(task: task, outcome: outcome)])
                        return results.count { if case .finished = $0 { true } else { false } }
                    }
                }
                return await group.reduce(0, +)
            }
            try expectEqual(successes, 1, "successes")
            _ = try await subject.contents()
        },
        Rule("a broker that was shut down refuses everything, and can be shut down again") { subject in
            let other = try await subject.fixture.anotherBroker()
            try await subject.put("a")
            await other.shutdown()
            await other.shutdown()
            let request = EnqueueRequest(message: message("b"))
            guard case .failure(let error) = await other.enqueue([request])[0] else {
                throw BrokenRule("a task was accepted", #line)
            }
            try expectEqual(error.code, .brokerUnavailable, "error")
            do {
                _ = try await other.dequeue([DequeueRequest(queue: "default", limit: 1)])
                throw BrokenRule("a task was given", #line)
            } catch let error as AsynqError {
                try expectEqual(error.code, .brokerUnavailable, "error")
            }
            try expectEqual(try await subject.states(), ["a": .pending], "states")
        },
    ]
}

/// What many workers have seen together.
private final class Tally: Sendable {
    private let state = Mutex<(given: [String: Int], ended: Int)>(([:], 0))

    var given: [String: Int] { state.withLock { $0.given } }
    var ended: Int { state.withLock { $0.ended } }

    func give(_ ids: [String]) {
        state.withLock { state in for id in ids { state.given[id, default: 0] += 1 } }
    }

    func end() { state.withLock { $0.ended += 1 } }
}
