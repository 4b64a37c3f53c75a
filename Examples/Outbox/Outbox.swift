import Asynq
import AsynqSQLite
import Foundation
import GRDB
import Logging

/// An order and the task that confirms it are stored in one transaction: there is never one without the other.
@main
struct Outbox {
    struct Confirmation: TaskPayload {
        static let taskType = "order:confirm"
        var orderID: Int64
    }

    struct OutOfStock: Error {}

    static func main() async throws {
        // The application's own database. It waits for other writers, of which the broker is one.
        let path = NSTemporaryDirectory() + "outbox-\(UUID().uuidString).db"
        var settings = GRDB.Configuration()
        settings.busyMode = .timeout(5)
        let database = try DatabasePool(path: path, configuration: settings)
        try await database.write { db in
            try db.execute(sql: "CREATE TABLE shop_order (id INTEGER PRIMARY KEY, item TEXT NOT NULL)")
        }
        let broker = try SQLiteBroker(path: path)

        // A worker, which is woken by each commit.
        let (confirmed, report) = AsyncStream<Int64>.makeStream()
        var router = TaskRouter()
        try router.handle(Confirmation.self) { confirmation, _ in
            let item = try await database.read { db in
                try String.fetchOne(
                    db,
                    sql: "SELECT item FROM shop_order WHERE id = ?",
                    arguments: [confirmation.orderID]
                )
            }
            say("order \(confirmation.orderID) is confirmed: \(item ?? "it does not exist")")
            report.yield(confirmation.orderID)
        }
        var configuration = AsynqServer.Configuration(concurrency: 2)
        configuration.logger.logLevel = .error
        let server = AsynqServer(broker, handler: router, configuration: configuration)

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await order("apples", database, broker)
            do {
                try await order("pears", isInStock: false, database, broker)
            } catch is OutOfStock {
                say("the order of pears was rolled back, and its confirmation with it")
            }
            try await order("plums", database, broker)

            var count = 0
            for await _ in confirmed {
                count += 1
                if count == 2 { break }
            }
            server.shutdown()
            try await group.waitForAll()
        }
        await broker.shutdown()
        try database.close()
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
        say("all done")
    }

    static func order(
        _ item: String,
        isInStock: Bool = true,
        _ database: DatabasePool,
        _ broker: SQLiteBroker
    ) async throws {
        try await database.write { db in
            try db.execute(sql: "INSERT INTO shop_order (item) VALUES (?)", arguments: [item])
            try broker.enqueue(Confirmation(orderID: db.lastInsertedRowID), in: db)
            if !isInStock { throw OutOfStock() }
        }
        say("\(item) are ordered")
    }

    static func say(_ text: String) { print("→ \(text)") }
}
