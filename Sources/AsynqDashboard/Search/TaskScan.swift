import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Goes through the tasks of a state, some thousands a request. A cursor says how many it has gone through; as others move
/// tasks meanwhile, one may be seen twice or not at all.
struct TaskScan: Sendable {
    /// Of one request.
    static let most = 5000
    static let pageSize = 1000

    struct Found: Sendable {
        var tasks: [TaskInfo] = []
        /// How many were looked at, from the beginning of the list.
        var scanned = 0
        var total = 0
        /// `nil` at the end of the list.
        var cursor: Int?
    }

    let inspector: AsynqInspector
    let scope: TaskScope

    /// - Parameters:
    ///   - start: a cursor, or 0.
    ///   - limit: how many to find.
    func search(_ filter: TaskFilter, from start: Int, limit: Int) async throws -> Found {
        if start == 0, let id = filter.id, let task = try await exact(id) {
            // There is no other with this id, and whoever gives it in full wants this one.
            let isMatch = TaskMatcher(filter, now: Date()).matches(task)
            let total = try await page(0).total
            return Found(tasks: isMatch ? [task] : [], scanned: total, total: total, cursor: nil)
        }
        let matcher = TaskMatcher(filter, now: Date())
        var found = Found()
        try await forEachPage(from: start, &found) { tasks, found in
            for (index, task) in tasks.enumerated() where matcher.matches(task) {
                found.tasks.append(task)
                if found.tasks.count == limit { return index + 1 }
            }
            return nil
        }
        return found
    }

    /// Tasks by their error messages.
    func errors(from start: Int) async throws -> (groups: [ErrorGroup], found: Found) {
        var groups: [String: ErrorGroup] = [:]
        var found = Found()
        try await forEachPage(from: start, &found) { tasks, _ in
            for task in tasks {
                let message = task.lastError ?? ""
                groups[message, default: ErrorGroup(message: message)].add(task)
            }
            return nil
        }
        let sorted = groups.values.sorted { ($1.count, $0.message) < ($0.count, $1.message) }
        return (sorted, found)
    }

    /// - Parameter body: given the tasks of a page; gives how many of them it went through if it has seen enough.
    private func forEachPage(
        from start: Int,
        _ found: inout Found,
        _ body: ([TaskInfo], inout Found) -> Int?
    ) async throws {
        var position = start
        while position - start < Self.most {
            try Task.checkCancellation()
            // Pages are counted: the first one may have been seen in part.
            let (index, skipped) = position.quotientAndRemainder(dividingBy: Self.pageSize)
            let page = try await page(index)
            found.total = page.total
            if let used = body(Array(page.tasks.dropFirst(skipped)), &found) {
                position += used
                break
            }
            position = (index + 1) * Self.pageSize
            if position >= page.total { break }
        }
        found.scanned = min(position, found.total)
        found.cursor = position < found.total ? position : nil
    }

    private func page(_ index: Int) async throws -> TaskPage {
        try await inspector.tasks(
            in: scope.state,
            queue: scope.queue,
            group: scope.group,
            page: index + 1,
            pageSize: Self.pageSize
        )
    }

    private func exact(_ id: String) async throws -> TaskInfo? {
        guard case .success(let task)? = try await inspector.tasks([id], queue: scope.queue).first,
            task.state == scope.state, scope.group == nil || task.group == scope.group
        else { return nil }
        return task
    }
}

/// Tasks that failed with the same message.
struct ErrorGroup: Sendable {
    private static let mostTypes = 10
    private static let mostSamples = 5

    let message: String
    private(set) var count = 0
    private(set) var lastFailedAt: Date?
    private(set) var types: [String] = []
    private(set) var samples: [String] = []

    init(message: String) {
        self.message = message
    }

    mutating func add(_ task: TaskInfo) {
        count += 1
        if let time = task.lastFailedAt { lastFailedAt = max(lastFailedAt ?? time, time) }
        if types.count < Self.mostTypes, !types.contains(task.type) { types.append(task.type) }
        if samples.count < Self.mostSamples { samples.append(task.id) }
    }
}

extension JSONValue {
    init(_ group: ErrorGroup) {
        self = .object([
            "message": .string(group.message),
            "count": .int(group.count),
            "last_failed_at": .time(group.lastFailedAt),
            "task_types": .strings(group.types),
            "sample_task_ids": .strings(group.samples),
        ])
    }
}
