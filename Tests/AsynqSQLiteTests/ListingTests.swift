import Asynq
import AsynqSQLite
import Foundation
import Testing

/// Pages are read from the end that is nearer, of the list or of its queue: they must be those that a walk from the beginning
/// gives.
struct ListingTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func check(_ broker: SQLiteBroker, _ selection: TaskSelection, _ expected: [String]) async throws {
        for size in [1, 2, 3, 7, 10, 19, 20, 21, 50] {
            var seen: [String] = []
            for offset in stride(from: 0, to: expected.count + size, by: size) {
                let listing = try await broker.tasks(selection, offset: offset, limit: size)
                #expect(listing.total == expected.count)
                seen += listing.tasks.map(\.id)
            }
            #expect(seen == expected, "pages of \(size)")
        }
        // Pages that begin anywhere.
        for offset in 0...expected.count {
            let listing = try await broker.tasks(selection, offset: offset, limit: 5)
            #expect(listing.tasks.map(\.id) == Array(expected.dropFirst(offset).prefix(5)))
        }
    }

    @Test func `pages from the end are those from the beginning, of tasks due at the same moment too`() async throws {
        try await folder.withBroker { broker in
            let ids = (0..<20).map { "task-\($0)" }
            let client = AsynqClient(broker)
            func putOther(_ queue: String) async throws {
                for id in ids {
                    try await client.enqueue(AsynqTask("t"), .taskID(id), .queue(queue))
                    try await client.enqueue(
                        AsynqTask("t"),
                        .taskID("due-\(id)"),
                        .queue(queue),
                        .processIn(.seconds(60))
                    )
                }
            }
            try await putOther("earlier")
            await broker.put(ids)
            try await putOther("later")
            try await check(broker, TaskSelection(queue: "default", state: .pending), ids)
            let due = Date(timeIntervalSinceNow: 3600)
            for id in ids {
                try await client.enqueue(AsynqTask("t"), .taskID("due-\(id)"), .processAt(due))
                try await client.enqueue(AsynqTask("t"), .taskID("group-\(id)"), .group("g"))
                try await client.enqueue(AsynqTask("t"), .taskID("other-\(id)"), .group("h"))
            }
            try await check(broker, TaskSelection(queue: "default", state: .scheduled), ids.map { "due-\($0)" })
            try await check(broker, TaskSelection(queue: "default", state: .pending), ids)
            let group = TaskSelection(queue: "default", state: .aggregating, group: "g")
            try await check(broker, group, ids.map { "group-\($0)" })
            let all = ids.flatMap { ["group-\($0)", "other-\($0)"] }
            try await check(broker, TaskSelection(queue: "default", state: .aggregating), all)
        }
    }
}
