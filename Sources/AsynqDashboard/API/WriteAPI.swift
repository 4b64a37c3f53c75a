import Asynq
import HTTPTypes
import Hummingbird

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Does what is asked for, and notes who asked.
struct WriteAPI: Sendable {
    let engine: DashboardEngine
    let call: APICall

    private var inspector: AsynqInspector { engine.inspector }

    func response() async throws -> Response {
        switch call.route {
        case .deleteQueue(let queue):
            return try await noted("delete queue", queue) {
                try await inspector.deleteQueue(queue)
                return (.noContent, nil)
            }
        case .pause(let queue):
            return try await noted("pause", queue) {
                try await inspector.pause(queue)
                return (.noContent, nil)
            }
        case .resume(let queue):
            return try await noted("resume", queue) {
                try await inspector.resume(queue)
                return (.noContent, nil)
            }
        case .act(let action, let scope, let target): return try await act(action, scope, target)
        case .enqueue(let queue): return try await enqueue(queue)
        case .enqueueAgain(let queue, let id): return try await enqueueAgain(queue, id)
        case .startBulk(let queue): return try await startBulk(queue)
        case .stopBulk(let id):
            return try await noted("stop bulk job", engine.bulk.report(id)?.request.scope.queue ?? "") {
                guard engine.bulk.stop(id) else { throw APIError(.notFound, "there is no such bulk job") }
                return (.noContent, nil)
            }
        default: throw APIError.notFound
        }
    }

    /// Does it, and writes to the log what came of it.
    ///
    /// - Parameter body: gives the answer, and how many tasks were changed.
    private func noted(
        _ action: String,
        _ queue: String,
        _ id: String = "",
        _ body: () async throws -> (Response, count: Int?)
    ) async throws -> Response {
        defer { engine.answers.forget() }
        do {
            let (response, count) = try await body()
            note(action, queue, id, count, "done")
            return response
        } catch {
            note(action, queue, id, nil, APIError(error).message)
            throw error
        }
    }

    private func note(_ action: String, _ queue: String, _ id: String, _ count: Int?, _ outcome: String) {
        engine.audit.add(
            .init(
                at: Date(),
                who: call.identity.name ?? "",
                address: call.facts.address,
                action: action,
                queue: queue,
                taskID: id,
                count: count,
                outcome: outcome
            )
        )
    }

    private func body<Body: Decodable>(_ type: Body.Type) async throws -> Body {
        try await call.request.decode(type, limit: engine.configuration.maxBodySize)
    }

    // MARK: Acting on tasks

    private struct Batch: Decodable {
        var task_ids: [String]
    }

    private func act(_ action: TaskAction, _ scope: TaskScope, _ target: APIRoute.Target) async throws -> Response {
        try Self.check(action, scope)
        switch target {
        case .one(let id):
            return try await noted(action.rawValue, scope.queue, id) {
                switch action {
                case .run: try await inspector.run(id, queue: scope.queue)
                case .archive: try await inspector.archive(id, queue: scope.queue)
                case .delete: try await inspector.delete(id, queue: scope.queue)
                case .cancel: try await inspector.cancel(id)
                }
                return (.noContent, 1)
            }
        case .all: return try await all(action, scope)
        case .batch:
            let ids = try await body(Batch.self).task_ids
            return try await noted("\(action.rawValue) some \(scope.state.rawValue)", scope.queue) {
                try await batch(action, scope, ids)
            }
        }
    }

    /// - Throws: ``APIError`` (400) for what can never be done in this state.
    private static func check(_ action: TaskAction, _ scope: TaskScope) throws(APIError) {
        let isAllowed = action.move.map { $0.isAllowed(from: scope.state) } ?? (scope.state == .active)
        guard isAllowed else { throw .badRequest("cannot \(action.rawValue) \(scope.state.rawValue) tasks") }
    }

    private func all(_ action: TaskAction, _ scope: TaskScope) async throws -> Response {
        try await noted("\(action.rawValue) all \(scope.state.rawValue)", scope.queue) {
            let forget: BulkProgress.Handler = { _ in engine.answers.forget() }
            let (queue, state, group) = (scope.queue, scope.state, scope.group)
            switch action {
            case .run:
                let count = try await inspector.runAll(state, queue: queue, group: group, progress: forget)
                return (.json(.object(["scheduled": .int(count)])), count)
            case .archive:
                let count = try await inspector.archiveAll(state, queue: queue, group: group, progress: forget)
                return (.json(.object(["archived": .int(count)])), count)
            case .delete:
                let count = try await inspector.deleteAll(state, queue: queue, group: group, progress: forget)
                return (.json(.object(["deleted": .int(count)])), count)
            case .cancel: return (.noContent, try await inspector.cancelAll(queue: queue))
            }
        }
    }

    private func batch(
        _ action: TaskAction,
        _ scope: TaskScope,
        _ ids: [String]
    ) async throws -> (Response, count: Int?) {
        let results: [Result<Void, AsynqError>]
        let names: (done: String, failed: String)
        switch action {
        case .run:
            results = try await inspector.run(ids, queue: scope.queue)
            names = ("pending_ids", "error_ids")
        case .archive:
            results = try await inspector.archive(ids, queue: scope.queue)
            names = ("archived_ids", "error_ids")
        case .delete:
            results = try await inspector.delete(ids, queue: scope.queue)
            names = ("deleted_ids", "failed_ids")
        case .cancel:
            try await inspector.cancel(ids)
            results = ids.map { _ in .success(()) }
            names = ("canceled_ids", "error_ids")
        }
        var (done, failed): ([String], [String]) = ([], [])
        for (id, result) in zip(ids, results) {
            if case .success = result { done.append(id) } else { failed.append(id) }
        }
        let answer = JSONValue.object([
            .init(key: names.done, value: .strings(done)), .init(key: names.failed, value: .strings(failed)),
        ])
        return (.json(answer), done.count)
    }

    // MARK: Enqueuing

    private func enqueue(_ queue: String) async throws -> Response {
        let wish = try await body(EnqueueWish.self)
        let task = try wish.task(queue: queue)
        return try await noted("enqueue", queue, wish.id ?? "") { (try await enqueued(task), 1) }
    }

    private func enqueued(_ task: AsynqTask) async throws -> Response {
        let info = try await engine.client.enqueue(task)
        return .json(JSONValue(full: info, engine.texts, now: Date()), status: .created)
    }

    private func enqueueAgain(_ queue: String, _ id: String) async throws -> Response {
        let wish = try await body(AgainWish.self)
        return try await noted("enqueue again", queue, id) {
            let original = try await inspector.task(id, queue: queue)
            let isDeleted = wish.delete_original ?? false
            if isDeleted, original.state == .active {
                throw APIError(.conflict, "task \"\(id)\" is running, and cannot be deleted: cancel it first")
            }
            let response = try await enqueued(try wish.task(original, now: Date()))
            if isDeleted {
                do {
                    try await inspector.delete(id, queue: queue)
                } catch {
                    let reason = APIError(error).message
                    throw APIError(.conflict, "it was enqueued again, but the original could not be deleted: \(reason)")
                }
            }
            return (response, 1)
        }
    }

    // MARK: Bulk jobs

    private func startBulk(_ queue: String) async throws -> Response {
        let request = try await body(BulkWish.self).request(queue: queue)
        // Here rather than in the job: who asks is told at once.
        _ = try await inspector.snapshot(of: queue)
        let name = "bulk \(request.action.rawValue) \(request.scope.state.rawValue)"
        let (engine, api) = (engine, self)
        let id = try engine.bulk.start(request) {
            engine.answers.forget()
        } onEnd: { report in
            guard request.action != .preview else { return }
            let outcome = report.isStopped ? "stopped" : report.error ?? "done"
            api.note(name, queue, "", report.done, outcome)
        }
        if request.action != .preview { note(name, queue, "", nil, "begun") }
        return .json(.object(["id": .string(id)]), status: .accepted)
    }
}
