import Asynq
import AsynqSQLite
import Testing

/// A disk without room, for which a limit to the file's pages stands in: SQLite gives the same error.
struct DiskFullTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func isFull(_ error: AsynqError?) -> Bool {
        error?.code == .brokerFull
            && error?.message == "the file \(folder.file()) cannot grow: the disk is full. Nothing was changed"
    }

    /// Enqueues one by one until there is no more room. Returns what was acknowledged.
    private func fill(_ broker: SQLiteBroker) async -> (stored: [String], error: AsynqError?) {
        var stored: [String] = []
        while stored.count < 10_000 {
            let id = "task-\(stored.count)"
            if let error = await broker.put([id], payload: Array(repeating: 7, count: 500))[0].failure {
                return (stored, error)
            }
            stored.append(id)
        }
        return (stored, nil)
    }

    @Test func `a full disk fails with a clear error, changes nothing, and is forgotten when there is room`()
        async throws
    {
        try await folder.withBroker({ $0.maxPageCount = 60 }) { broker in
            let (stored, error) = await fill(broker)
            #expect(isFull(error))
            #expect(stored.count > 100)
            #expect(try folder.ids() == stored)
            // A batch is refused whole, and so is what other callers wrote beside it.
            let results = await broker.put((0..<200).map { "more-\($0)" }, payload: Array(repeating: 7, count: 500))
            #expect(results.count == 200)
            #expect(results.allSatisfy { isFull($0.failure) })
            #expect(try folder.ids() == stored)

            // Another process works them off: then there is room.
            try await folder.withBroker { other in
                let tasks = try await other.take(1000)
                #expect(tasks.map(\.message.id) == stored)
                let done = await other.finish(tasks.map { FinishRequest(task: $0, outcome: .done) })
                #expect(done.allSatisfy { $0.isFinished })
            }
            #expect(await broker.put(["after"])[0].failure == nil)
            #expect(try folder.ids() == ["after"])
        }
    }

    @Test func `one caller's task that does not fit does not fail those of others`() async throws {
        try await folder.withBroker({ $0.maxPageCount = 100 }) { broker in
            let results = await withTaskGroup(of: [String: Bool].self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let isLarge = number.isMultiple(of: 10)
                        let payload = [UInt8](repeating: 7, count: isLarge ? 1_000_000 : 100)
                        let id = "\(isLarge ? "large" : "small")-\(number)"
                        return [id: await broker.put([id], payload: payload)[0].failure == nil]
                    }
                }
                return await group.reduce(into: [:]) { $0.merge($1) { $1 } }
            }
            #expect(results.count == 50)
            for (id, isStored) in results { #expect(isStored == id.hasPrefix("small"), "\(id)") }
            let stored = try folder.ids()
            #expect(Set(stored) == Set(results.keys.filter { $0.hasPrefix("small") }))
        }
    }
}
