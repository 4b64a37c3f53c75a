import Asynq
import AsynqRedis
import AsynqTesting
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AsynqDashboard

@Suite struct SharedAnswerTests {
    @Test func `who asks the same at the same time shares an answer`() async throws {
        let answers = SharedAnswers(lifetime: .seconds(1)) { .zero }
        let asked = Recorder<Void>()
        let gate = Recorder<Void>()
        try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await answers.answer("q") {
                        asked.add(())
                        await gate.wait(for: 1)
                        return ByteBuffer(string: "a")
                    }
                }
            }
            await asked.wait(for: 1)
            gate.add(())
            for try await answer in group { #expect(String(buffer: answer) == "a") }
        }
        #expect(asked.count == 1)
    }

    @Test func `an answer is good for its time, and until something is written`() async throws {
        let now = Mutex(Duration.zero)
        let answers = SharedAnswers(lifetime: .seconds(1)) { now.withLock { $0 } }
        let count = Mutex(0)
        func ask() async throws -> String {
            String(
                buffer: try await answers.answer("q") {
                    ByteBuffer(string: "\(count.withLock { $0 += 1; return $0 })")
                }
            )
        }
        #expect(try await ask() == "1")
        #expect(try await ask() == "1")
        answers.forget()
        #expect(try await ask() == "2")
        now.withLock { $0 = .seconds(1) }
        #expect(try await ask() == "3")
    }

    @Test func `what was read before a write is no answer after it`() async throws {
        let answers = SharedAnswers(lifetime: .seconds(1)) { .zero }
        let (started, gate) = (Recorder<Void>(), Recorder<Void>())
        async let old = answers.answer("q") {
            started.add(())
            await gate.wait(for: 1)
            return ByteBuffer(string: "old")
        }
        await started.wait(for: 1)
        answers.forget()
        let new = try await answers.answer("q") { ByteBuffer(string: "new") }
        gate.add(())
        #expect(try await String(buffer: old) == "old" && String(buffer: new) == "new")
        let later = try await answers.answer("q") { ByteBuffer(string: "never") }
        #expect(String(buffer: later) == "new")
    }

    @Test func `a failure is everybody's, and is not kept`() async throws {
        struct Failure: Error {}
        let answers = SharedAnswers(lifetime: .seconds(1)) { .zero }
        await #expect(throws: Failure.self) { try await answers.answer("q") { throw Failure() } }
        #expect(String(buffer: try await answers.answer("q") { ByteBuffer(string: "a") }) == "a")
    }

    @Test func `if the one who asked goes away another one asks`() async throws {
        let answers = SharedAnswers(lifetime: .seconds(1)) { .zero }
        let started = Recorder<Void>()
        let first = Task {
            try await answers.answer("q") {
                started.add(())
                try await Task.sleep(for: .seconds(600))
                return ByteBuffer(string: "first")
            }
        }
        await started.wait(for: 1)
        async let second = answers.answer("q") { ByteBuffer(string: "second") }
        first.cancel()
        #expect(try await String(buffer: second) == "second")
    }
}

@Suite struct LiveFeedTests {
    /// Runs `body` with a feed of empty figures.
    private func withFeed(
        interval: Duration,
        keepAlive: Duration,
        onLook: @escaping @Sendable () async -> Void,
        _ body: (LiveFeed) async throws -> Void
    ) async throws {
        let work = BackgroundWork()
        let started = Recorder<Void>()
        let feed = LiveFeed(interval: interval, keepAlive: keepAlive, work: work) {
            await onLook()
            return LiveFigures(queues: [], servers: [])
        } render: { _ in
            .map([:])
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await work.run { started.add(()) } }
            await started.wait(for: 1)
            try await body(feed)
            group.cancelAll()
        }
    }

    @Test func `viewers see what changes, and nothing while nothing does`() async throws {
        let looks = Recorder<Void>()
        let memory = MemoryBroker()
        try await memory.enqueue("a", .processIn(.hours(1)))
        let broker = WatchedBroker(memory) { if $0 == "snapshots" { looks.add(()) } }
        try await withDashboard(broker) {
            $0.refreshInterval = .milliseconds(100)
            $0.historyInterval = nil
        } _: { site in
            try await site.events { events in
                let first = try #require(try await events.next())
                #expect(first.name == "snapshot" && Set(first.data.keys) == ["queues", "servers", "at"])
                #expect((first.data["queues"] as? [[String: Any]])?.first?["scheduled"] as? Int == 1)
                let before = looks.count
                await looks.wait(for: before + 3)
                try await memory.enqueue("b", .processIn(.hours(1)))
                let second = try #require(try await events.next())
                #expect((second.data["queues"] as? [[String: Any]])?.first?["scheduled"] as? Int == 2)
            }
            // And so does the next one.
            try await site.events { try await $0.expectSnapshot() }
        }
    }

    @Test func `a long interval is kept, and viewers hear that the stream lives`() async throws {
        let looks = Recorder<Void>()
        try await withFeed(interval: .hours(1), keepAlive: .milliseconds(10)) {
            looks.add(())
        } _: { feed in
            let (events, end) = try feed.view()
            var signs = 0
            for await event in events where String(buffer: event) == ": still here\n\n" {
                signs += 1
                if signs == 5 { break }
            }
            #expect(looks.count == 1)
            end()
        }
    }

    @Test func `a poll ends with its last viewer, although another has begun since`() async throws {
        let gate = Recorder<Void>()
        // By which task: each poll is one.
        let looks = Recorder<Int>()
        try await withFeed(interval: .milliseconds(10), keepAlive: .hours(1)) {
            looks.add(currentTask())
            // The first one lasts until the second poll has begun.
            if looks.count == 1 { await gate.wait(for: 1) }
        } _: { feed in
            let first = try feed.view()
            await looks.wait(for: 1)
            first.end()
            for await _ in first.events {}
            try await eventually("nobody looks") { feed.viewers == 0 }
            let second = try feed.view()
            await looks.wait(for: 2)
            gate.add(())
            await looks.wait(for: 20)
            let polls = looks.elements
            #expect(Set(polls.dropFirst()) == [polls[1]] && polls[0] != polls[1])
            second.end()
            for await _ in second.events {}
        }
    }

    @Test func `a broker that goes away is said once, and its return is seen`() async throws {
        let isAway = Mutex(false)
        let looks = Recorder<Void>()
        let broker = WatchedBroker(MemoryBroker()) { call in
            if call == "servers" { looks.add(()) }
            if isAway.withLock({ $0 }) { throw AsynqError(.brokerUnavailable, "cannot reach it") }
        }
        try await withDashboard(broker) {
            $0.refreshInterval = .milliseconds(100)
            $0.historyInterval = nil
        } _: { site in
            try await site.events { events in
                try await events.expectSnapshot()
                isAway.withLock { $0 = true }
                let error = try #require(try await events.next())
                #expect(error.name == "error" && error.data["message"] as? String == "cannot reach it")
                await looks.wait(for: looks.count + 3)
                isAway.withLock { $0 = false }
                try await events.expectSnapshot()
            }
        }
    }

    @Test func `a hundred viewers cost the broker as much as one`() async throws {
        let looks = Recorder<String>()
        let memory = MemoryBroker()
        try await memory.enqueue("a", .processIn(.hours(1)))
        let broker = WatchedBroker(memory) { looks.add($0) }
        try await withDashboard(broker) {
            $0.historyInterval = nil
            // One poll, and answers that no clock ends.
            $0.refreshInterval = .seconds(3600)
            $0.answerLifetime = .seconds(3600)
        } _: { site in
            let seen = Recorder<Void>()
            let lists = Recorder<Void>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        try await site.events { events in
                            try await events.expectSnapshot()
                            seen.add(())
                            #expect(try await site.get("/api/queues/default/scheduled_tasks").list("tasks").count == 1)
                            lists.add(())
                            // Still looking while the others come.
                            await lists.wait(for: 100)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(seen.count == 100)
            // The poll asks for names, snapshots and servers; the list for the queue's figures and its tasks.
            let calls = Dictionary(grouping: looks.elements) { $0 }.mapValues(\.count)
            #expect(calls == ["queueNames": 1, "servers": 1, "snapshots": 2, "hasQueue": 1, "tasks": 1])
        }
    }

    @Test func `a hundred viewers cost Redis as much as one`() async throws {
        try await RedisServer.withServer { server in
            let broker = try Store.broker(server.uri)
            try await broker.enqueue("a", .processIn(.hours(1)))
            @Sendable func scripts() throws -> Int {
                let lines = try server.cli("INFO", "commandstats").split(whereSeparator: \.isNewline)
                let line = lines.first { $0.hasPrefix("cmdstat_evalsha:calls=") }
                return line.flatMap { Int($0.dropFirst("cmdstat_evalsha:calls=".count).prefix { $0.isNumber }) } ?? 0
            }
            try await withDashboard(broker) {
                $0.historyInterval = nil
                $0.answerLifetime = .seconds(3600)
            } _: { site in
                let path = "/api/queues/default/scheduled_tasks"
                #expect(try await site.get(path + "?page=1").status == 200)
                let one = try scripts()
                #expect(try await site.get(path + "?page=1&viewer=one").status == 200)
                let cost = try scripts() - one
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<100 {
                        group.addTask {
                            let answer = try await site.get(path + "?page=1&viewer=many")
                            #expect(answer.status == 200)
                        }
                    }
                    try await group.waitForAll()
                }
                let all = try scripts() - one
                #expect(cost > 0 && all == 2 * cost)
            }
            await broker.shutdown()
        }
    }

    @Test func `a shutdown ends the streams`() async throws {
        let (addresses, input) = AsyncStream<String>.makeStream()
        var configuration = DashboardConfiguration()
        configuration.port = 0
        let dashboard = AsynqDashboard(MemoryBroker(), configuration: configuration, logger: .silent)
        let running = Task { try await dashboard.run { input.yield($0) } }
        var iterator = addresses.makeAsyncIterator()
        let url = try #require(await iterator.next())
        try await Site(url: String(url.dropLast())).events { events in
            try await events.expectSnapshot()
            running.cancel()
            // Its end, and no wait for another event.
            while let event = try? await events.next() { #expect(event.name == "snapshot") }
        }
        _ = await running.result
    }
}

/// Tells tasks apart that run at the same time.
private func currentTask() -> Int { withUnsafeCurrentTask { $0?.hashValue ?? 0 } }
