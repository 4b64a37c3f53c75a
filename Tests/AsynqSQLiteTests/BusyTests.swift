import Asynq
import Foundation
import GRDB
import Synchronization
import TestSupport
import Testing

@testable import AsynqSQLite

/// Another program that writes to the file, for a short time or a long one.
struct BusyTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Holds the lock of the file.
    private struct Lock {
        let connection: DatabaseQueue

        init(_ folder: TemporaryFolder) throws {
            connection = try folder.connection()
            try connection.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        }

        func release() throws { try connection.writeWithoutTransaction { try $0.execute(sql: "COMMIT") } }
    }

    @Test func `an operation waits for a lock, and succeeds when it is free`() async throws {
        let folder = folder
        try await folder.withBroker({ $0.busyTimeout = .seconds(600) }) { broker in
            let begun = Recorder<Void>()
            try await broker.file.writer.writeWithoutTransaction { db in
                db.trace { if "\($0)".hasPrefix("BEGIN IMMEDIATE") { begun.add(()) } }
            }
            let lock = try Lock(folder)
            async let stored = broker.put(["a"])
            await begun.wait(for: 1)
            #expect(try folder.ids() == [])
            try lock.release()
            #expect(await stored[0].failure == nil)
            #expect(try folder.ids() == ["a"])
        }
    }

    @Test func `a lock that is held too long fails all who wait, and loses nothing`() async throws {
        let folder = folder
        try await folder.withBroker({ $0.busyTimeout = .milliseconds(50) }) { broker in
            await broker.put(["before"])
            let lock = try Lock(folder)
            // More than one transaction's worth, so that some stand behind others.
            let errors = await withTaskGroup(of: [AsynqError?].self) { group in
                for number in 0..<50 {
                    group.addTask {
                        await broker.put((0..<100).map { "refused-\(number)-\($0)" }).map(\.failure)
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(errors.count == 5000)
            #expect(errors.allSatisfy { $0?.code == .brokerUnavailable })
            #expect(
                errors[0]?.message
                    == "the file \(folder.file()) is locked: another process has been writing for more than 0.05 seconds"
            )
            await #expect(throws: AsynqError.self) { try await broker.take(1) }
            // Who only reads is held up by nobody.
            try await broker.ping()
            try lock.release()
            #expect(try folder.ids() == ["before"])
            #expect(await broker.put(["after"])[0].failure == nil)
            #expect(try await broker.take(10).map(\.message.id) == ["before", "after"])
        }
    }

    @Test func `a time-out of zero fails at once, and works when nobody else writes`() async throws {
        let folder = folder
        try await folder.withBroker({ $0.busyTimeout = .zero }) { broker in
            let lock = try Lock(folder)
            #expect(await broker.put(["a"])[0].failure?.code == .brokerUnavailable)
            try lock.release()
            #expect(await broker.put(["a"])[0].failure == nil)
        }
    }

    @Test func `a lock at the start is waited for no longer than the time-out`() throws {
        // A new file, where tables must be made.
        let lock = try Lock(folder)
        var configuration = SQLiteConfiguration()
        configuration.busyTimeout = .milliseconds(20)
        let error = #expect(throws: AsynqError.self) {
            try SQLiteBroker(path: folder.file(), configuration: configuration, logger: .silent)
        }
        #expect(error?.code == .brokerUnavailable)
        try lock.release()
    }

    @Test func `a server outlasts a lock that is held too long, and runs each task once`() async throws {
        let folder = folder
        let log = LogRecorder()
        try await folder.withBroker({ $0.busyTimeout = .milliseconds(20) }) { broker in
            let ids = (0..<20).map { "task-\($0)" }
            await broker.put(ids)
            let started = Recorder<String>()
            let (gate, open) = AsyncStream<Void>.makeStream()
            let isOpen = Task { for await _ in gate {} }
            let handler = ClosureHandler { _, context in
                started.add(context.taskID)
                await isOpen.value
            }
            var configuration = AsynqServer.Configuration(concurrency: 10)
            configuration.handlesSignals = false
            configuration.logger = log.logger
            let server = AsynqServer(broker, handler: handler, configuration: configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                await started.wait(for: 10)
                let lock = try Lock(folder)
                open.finish()
                try await eventually("it says so") { log.lines.contains { $0.contains("cannot store outcomes") } }
                #expect(try folder.ids().count == 20)
                try lock.release()
                try await eventually("all are stored") { try folder.ids().isEmpty }
                server.shutdown()
                try await group.waitForAll()
            }
            #expect(started.elements.sorted() == ids.sorted())
        }
    }

    /// Its Swift task is cancelled, as the context of a Go handler is: what is left to do for it must not end with that.
    @Test func `16: the outcome of an attempt that was cancelled is stored when the lock is free again`() async throws {
        let folder = folder
        let log = LogRecorder()
        try await folder.withBroker({ $0.busyTimeout = .milliseconds(20) }) { broker in
            let (events, locks) = (Recorder<String>(), Recorder<Lock>())
            let handler = ClosureHandler { _, _ in
                // Within its attempt, which could have ended otherwise.
                locks.add(try Lock(folder))
                events.add("start")
                do {
                    try await Task.sleep(for: .seconds(3600))
                } catch {
                    events.add("cancelled")
                    throw error
                }
            }
            var configuration = AsynqServer.Configuration(concurrency: 1)
            configuration.handlesSignals = false
            configuration.logger = log.logger
            let server = AsynqServer(broker, handler: handler, configuration: configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await AsynqClient(broker).enqueue(AsynqTask("t", .taskID("a"), .timeout(.seconds(1))))
                await events.wait(for: 2)
                try await eventually("it says so") { log.lines.contains { $0.contains("cannot store outcomes") } }
                for lock in locks.elements { try lock.release() }
                try await eventually("it is stored") {
                    try folder.ids("state = 5 AND retried = 1 AND error LIKE '%timed out%'") == ["a"]
                }
                server.shutdown()
                try await group.waitForAll()
            }
            #expect(events.elements == ["start", "cancelled"])
        }
    }
}
