import Asynq

/// What a bulk job does.
struct BulkRequest: Sendable, Hashable {
    enum Action: String, Sendable, Hashable, Codable {
        /// Only counts.
        case preview
        case run, archive, delete, cancel
    }

    var action: Action
    var scope: TaskScope
    var filter: TaskFilter

    /// - Throws: ``APIError`` (400) for what cannot be done in this state.
    func validate() throws(APIError) {
        let state = scope.state
        let isAllowed =
            switch action {
            case .preview: true
            case .cancel: state == .active
            case .run, .archive, .delete: TaskMove(rawValue: action.rawValue)?.isAllowed(from: state) ?? false
            }
        guard isAllowed else { throw .badRequest("cannot \(action.rawValue) \(state.rawValue) tasks") }
        guard scope.group == nil || state == .aggregating else {
            throw .badRequest("\(state.rawValue) tasks are in no group: leave it out")
        }
    }
}

/// How far a bulk job has come.
struct BulkProgressReport: Sendable, Hashable {
    let id: String
    let request: BulkRequest
    var scanned = 0
    var total = 0
    var matched = 0
    var done = 0
    var failed = 0
    var isFinished = false
    var isStopped = false
    var error: String?
}

extension JSONValue {
    init(_ report: BulkProgressReport) {
        self = .object([
            "id": .string(report.id),
            "action": .string(report.request.action.rawValue),
            "queue": .string(report.request.scope.queue),
            "state": .string(report.request.scope.state.rawValue),
            "scanned": .int(report.scanned),
            "total": .int(report.total),
            "matched": .int(report.matched),
            "done": .int(report.done),
            "failed": .int(report.failed),
            "finished": .bool(report.isFinished),
            "stopped": .bool(report.isStopped),
            "error": .optional(report.error),
        ])
    }
}

/// Goes through a list and acts on what matches, while others go on changing it.
///
/// What was acted on has left the list, so that the next tasks stand where it stood. Where others take tasks from the front
/// some are passed over; so it goes through the list again until it finds no more, three times at most. No task is acted on
/// twice: one that is run and fails again is left alone.
struct BulkWalk: Sendable {
    static let pageSize = 500
    private static let rounds = 3

    let inspector: AsynqInspector
    let request: BulkRequest
    let matcher: TaskMatcher
    /// Told after each step.
    let report: @Sendable ((inout BulkProgressReport) -> Void) -> Void

    func run() async throws {
        var seen: Set<Int> = []
        for round in 0..<Self.rounds {
            let before = seen.count
            try await walk(&seen, isFirst: round == 0)
            if request.action == .preview || seen.count == before { return }
        }
    }

    /// - Parameter seen: the hashes of the ids that matched; a number for each is enough, and of two that are the same among
    ///   a million the odds are one in a million millions.
    private func walk(_ seen: inout Set<Int>, isFirst: Bool) async throws {
        var position = 0
        // What comes while this goes on may be more than can ever be gone through.
        var end = Int.max
        while position < end {
            try Task.checkCancellation()
            let (index, skipped) = position.quotientAndRemainder(dividingBy: Self.pageSize)
            let page = try await inspector.tasks(
                in: request.scope.state,
                queue: request.scope.queue,
                group: request.scope.group,
                page: index + 1,
                pageSize: Self.pageSize
            )
            if end == .max { end = page.total }
            let matches = page.tasks.dropFirst(skipped).filter { task in
                matcher.matches(task) && seen.insert(task.id.hashValue).inserted
            }
            try Task.checkCancellation()
            let moved = try await act(on: matches.map(\.id))
            let looked = min(Self.pageSize - skipped, max(0, page.total - position))
            position += looked - moved
            end -= moved
            report { report in
                if isFirst {
                    report.scanned += looked
                    report.total = max(page.total, report.scanned)
                }
                report.matched += matches.count
            }
            if looked == 0 { return }
        }
    }

    /// - Returns: how many have left the list.
    private func act(on ids: [String]) async throws -> Int {
        guard !ids.isEmpty else { return 0 }
        let queue = request.scope.queue
        let results: [Result<Void, AsynqError>]
        switch request.action {
        case .preview: return 0
        case .cancel:
            try await inspector.cancel(ids)
            report { $0.done += ids.count }
            // They leave when their handlers have ended.
            return 0
        case .run: results = try await inspector.run(ids, queue: queue)
        case .archive: results = try await inspector.archive(ids, queue: queue)
        case .delete: results = try await inspector.delete(ids, queue: queue)
        }
        let done = results.count { (try? $0.get()) != nil }
        let firstError = results.lazy.compactMap { result -> AsynqError? in
            if case .failure(let error) = result { error } else { nil }
        }.first
        report { report in
            report.done += done
            report.failed += results.count - done
            if let firstError, report.error == nil { report.error = firstError.message }
        }
        if let firstError, firstError.code == .brokerUnavailable { throw firstError }
        return done
    }
}
