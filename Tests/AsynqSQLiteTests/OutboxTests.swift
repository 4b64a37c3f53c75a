import Asynq
import Foundation
import GRDB
import TestSupport
import Testing

@testable import AsynqSQLite

/// Tasks in transactions of the application.
struct OutboxTests {
    enum Connection: CaseIterable {
        case queue, pool

        func open(_ path: String) throws -> any DatabaseWriter {
            var settings = GRDB.Configuration()
            settings.busyMode = .timeout(60)
            settings.allowsUnsafeTransactions = true
            let database: any DatabaseWriter =
                switch self {
                case .queue: try DatabaseQueue(path: path, configuration: settings)
                case .pool: try DatabasePool(path: path, configuration: settings)
                }
            try database.write { try $0.execute(sql: "CREATE TABLE shop_order (item TEXT NOT NULL)") }
            return database
        }
    }

    private struct Changed: Error {}

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func orders(_ database: any DatabaseWriter) async throws -> [String] {
        try await database.read { try String.fetchAll($0, sql: "SELECT item FROM shop_order ORDER BY rowid") }
    }

    @Test(arguments: Connection.allCases)
    func `a task is stored with the application's data, or not at all`(connection: Connection) async throws {
        let database = try connection.open(folder.file())
        try await folder.withBroker { broker in
            let info = try await database.write { db in
                try db.execute(sql: "INSERT INTO shop_order VALUES ('apples')")
                return try broker.enqueue(AsynqTask("confirm", payload: [1]), .taskID("apples"), .queue("low"), in: db)
            }
            #expect(info.id == "apples" && info.queue == "low" && info.state == .pending)
            await #expect(throws: Changed.self) {
                try await database.write { db in
                    try db.execute(sql: "INSERT INTO shop_order VALUES ('pears')")
                    try broker.enqueue(AsynqTask("confirm"), .taskID("pears"), .queue("new"), in: db)
                    throw Changed()
                }
            }
            #expect(try await orders(database) == ["apples"])
            #expect(try folder.ids() == ["apples"])
            let task = try await broker.take(10, queue: "low")
            #expect(task.map(\.message.payload) == [[1]])
            // After the transaction that was rolled back the queue's name is not known either.
            let names = try await database.read { try String.fetchAll($0, sql: "SELECT name FROM asynq_queue") }
            #expect(names == ["low"])
        }
        try database.close()
    }

    @Test(arguments: Connection.allCases)
    func `a refused task leaves the transaction as it was`(connection: Connection) async throws {
        let database = try connection.open(folder.file())
        try await folder.withBroker { broker in
            let task = AsynqTask("confirm", payload: [1], .unique(for: .seconds(60)))
            try await AsynqClient(broker).enqueue(task, .taskID("first"))
            try await database.write { db in
                try db.execute(sql: "INSERT INTO shop_order VALUES ('apples')")
                let duplicate = #expect(throws: AsynqError.self) { try broker.enqueue(task, in: db) }
                #expect(duplicate?.code == .duplicateTask)
                let conflict = #expect(throws: AsynqError.self) {
                    try broker.enqueue(AsynqTask("confirm"), .taskID("first"), in: db)
                }
                #expect(conflict?.code == .taskIDConflict)
                try broker.enqueue(AsynqTask("confirm"), .taskID("second"), in: db)
                // Within the transaction it holds too.
                let again = #expect(throws: AsynqError.self) {
                    try broker.enqueue(AsynqTask("confirm"), .taskID("second"), in: db)
                }
                #expect(again?.code == .taskIDConflict)
            }
            #expect(try await orders(database) == ["apples"])
            #expect(try folder.ids() == ["first", "second"])
        }
        try database.close()
    }

    @Test func `a disk that fills up half-way leaves no lock of a task that is not there`() async throws {
        let database = try Connection.queue.open(folder.file())
        try await folder.withBroker { broker in
            let task = AsynqTask("t", payload: [UInt8](repeating: 7, count: 100_000), .unique(for: .seconds(600)))
            try await database.write { db in
                let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
                // Room for the payload in the lock, and not for that in the task.
                try db.execute(sql: "PRAGMA max_page_count = \(pages + 30)")
            }
            try await database.writeWithoutTransaction { db in
                try db.execute(sql: "BEGIN IMMEDIATE")
                let error = #expect(throws: DatabaseError.self) { try broker.enqueue(task, in: db) }
                #expect(error?.resultCode == .SQLITE_FULL)
                // SQLite may have rolled all of it back on its own.
                if db.isInsideTransaction { try db.execute(sql: "COMMIT") }
            }
            try await database.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
            #expect(try folder.ids() == [])
            try await database.write { db in _ = try broker.enqueue(task, .taskID("later"), in: db) }
            #expect(try folder.ids() == ["later"])
        }
        try database.close()
    }

    @Test func `a transaction on another file is refused, and so is none at all`() async throws {
        let own = try Connection.queue.open(folder.file())
        let other = try Connection.queue.open(folder.file("other.db"))
        let memory = try DatabaseQueue()
        try await folder.withBroker { broker in
            for database in [other, memory] as [any DatabaseWriter] {
                try await database.write { db in
                    let error = #expect(throws: AsynqError.self) { try broker.enqueue(AsynqTask("t"), in: db) }
                    #expect(error?.code == .invalidArgument)
                    #expect(error?.message.contains("is on another file than the broker's, \(folder.file())") == true)
                }
            }
            try await own.writeWithoutTransaction { db in
                let error = #expect(throws: AsynqError.self) { try broker.enqueue(AsynqTask("t"), in: db) }
                #expect(error?.code == .invalidArgument)
                #expect(error?.message == "there is no transaction: enqueue within write { db in … }")
            }
            try await own.write { db in
                let error = #expect(throws: AsynqError.self) { try broker.enqueue(AsynqTask(" "), in: db) }
                #expect(error?.code == .invalidArgument)
            }
            #expect(try folder.ids() == [])
        }
        for database in [own, other] { try database.close() }
    }

    @Test func `another name of the same file is the same file`() async throws {
        let link = folder.file("link.db")
        try await folder.withBroker { broker in
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.file())
            let database = try Connection.pool.open(link)
            try await database.write { db in _ = try broker.enqueue(AsynqTask("t"), .taskID("a"), in: db) }
            try database.close()
            #expect(try folder.ids() == ["a"])
        }
    }

    @Test(arguments: Connection.allCases)
    func `a worker is woken after the commit, and not before`(connection: Connection) async throws {
        let database = try connection.open(folder.file())
        try await folder.withBroker { broker in
            let signals = Recorder<BrokerSignal>()
            let watch = broker.makeWatch(queues: ["default"]) { signals.add($0) }
            await signals.wait(for: 1)
            watch.listenForPending(in: "default", after: .zero)
            let looks = Recorder<Void>()
            try await broker.file.reader.writeWithoutTransaction { db in
                db.trace { if "\($0)".hasPrefix("PRAGMA data_version") { looks.add(()) } }
            }
            try await database.writeWithoutTransaction { db in
                try db.execute(sql: "BEGIN IMMEDIATE")
                try broker.enqueue(AsynqTask("t"), in: db)
            }
            // The watch looks, and sees nothing.
            await looks.wait(for: looks.count + 5)
            #expect(signals.elements == [.live])
            try await database.writeWithoutTransaction { try $0.execute(sql: "COMMIT") }
            await signals.wait(for: 2)
            #expect(signals.elements == [.live, .pending(queue: "default")])
            await watch.close()
        }
        try database.close()
    }

    @Test func `a server runs what the application commits, in order, and nothing that it rolls back`() async throws {
        let database = try Connection.pool.open(folder.file())
        try await folder.withBroker { broker in
            let runs = Recorder<String>()
            var configuration = AsynqServer.Configuration(concurrency: 1)
            configuration.handlesSignals = false
            configuration.logger = .silent
            // So that nothing but the signal wakes it.
            configuration.taskCheckInterval = .seconds(3600)
            // Batches that are taken ahead may overtake each other.
            configuration.prefetchLimit = 0
            let handler = ClosureHandler { _, context in runs.add(context.taskID) }
            let server = AsynqServer(broker, handler: handler, configuration: configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                for number in 0..<100 {
                    do {
                        try await database.write { db in
                            try broker.enqueue(AsynqTask("t"), .taskID("\(number)"), in: db)
                            if number % 3 == 1 { throw Changed() }
                        }
                    } catch is Changed {}
                }
                await runs.wait(for: 67)
                try await eventually("all are stored") { try folder.ids().isEmpty }
                server.shutdown()
                try await group.waitForAll()
            }
            #expect(runs.elements == (0..<100).filter { $0 % 3 != 1 }.map(String.init))
        }
        try database.close()
    }
}
