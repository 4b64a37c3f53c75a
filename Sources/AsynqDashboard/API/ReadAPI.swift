import Asynq
import HTTPTypes
import Hummingbird
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Answers those who look. Who asks the same within a moment shares an answer.
struct ReadAPI: Sendable {
    let engine: DashboardEngine
    let call: APICall

    /// So many bytes go out at once on a new connection: what is less arrives no sooner when compressed.
    static let compressedFrom = 14_000

    private var inspector: AsynqInspector { engine.inspector }

    func response() async throws -> Response {
        // What a bulk job has done is not read from the broker, and is wanted as it is now.
        if case .bulk(let id) = call.route {
            guard let report = engine.bulk.report(id) else {
                throw APIError(.notFound, "there is no such bulk job, or it ended more than ten minutes ago")
            }
            return .json(JSONValue(report))
        }
        let isCompressed = call.request.acceptsGzip
        // Compressed, too, only once for all who ask the same.
        let question = (isCompressed ? "gzip " : "") + call.request.uri.string
        return .json(
            try await engine.answers.answer(question) {
                let bytes = try await answer().bytes
                let isWorthwhile = isCompressed && bytes.count >= Self.compressedFrom
                return ByteBuffer(bytes: isWorthwhile ? Gzip.compress(bytes, tries: 8) : bytes)
            }
        )
    }

    private func answer() async throws -> JSONValue {
        switch call.route {
        case .queues:
            return .object(["queues": .array(try await inspector.snapshots().map { JSONValue($0) })])
        case .queue(let queue): return try await self.queue(queue)
        case .queueStats:
            let history = try await inspector.history(days: 90)
            return .object([
                "stats": .map(
                    Dictionary(uniqueKeysWithValues: history.map { queue, days in (queue, Self.days(days, queue)) })
                )
            ])
        case .tasks(let scope): return try await tasks(scope)
        case .groups(let queue):
            async let snapshot = inspector.snapshot(of: queue)
            async let groups = inspector.groups(of: queue)
            return .object([
                "stats": JSONValue(try await snapshot), "groups": .array(try await groups.map { JSONValue($0) }),
            ])
        case .task(let queue, let id):
            return JSONValue(full: try await inspector.task(id, queue: queue), engine.texts, now: Date())
        case .search(let queue): return try await search(queue)
        case .errors(let queue): return try await errors(queue)
        case .servers:
            return .object(["servers": .array(try await inspector.servers().map { JSONValue($0, engine.texts) })])
        case .schedulerEntries:
            let entries = try await inspector.schedulerEntries()
            return .object(["entries": .array(entries.map { JSONValue($0, engine.texts) })])
        case .enqueueEvents(let entry):
            let (page, size) = try call.query.page()
            let events = try await inspector.enqueueEvents(ofEntry: entry, page: page, pageSize: size)
            return .object(["events": .array(events.map { JSONValue($0) })])
        case .redisInfo: return try await storeInfo()
        case .metrics: return try await metrics()
        default: throw APIError.notFound
        }
    }

    // MARK: Queues

    private static func days(_ days: [DailyCounts], _ queue: String) -> JSONValue {
        .array(days.map { JSONValue($0, queue: queue) })
    }

    private func queue(_ queue: String) async throws -> JSONValue {
        async let snapshot = inspector.snapshot(of: queue)
        async let history = inspector.history(of: queue, days: 10)
        return .object([
            "current": JSONValue(try await snapshot), "history": Self.days(try await history, queue),
        ])
    }

    // MARK: Tasks

    /// All that a page shows is asked for at the same time.
    private func tasks(_ scope: TaskScope) async throws -> JSONValue {
        let (page, size) = try call.query.page()
        async let snapshot = inspector.snapshot(of: scope.queue)
        async let listed = inspector.tasks(
            in: scope.state,
            queue: scope.queue,
            group: scope.group,
            page: page,
            pageSize: size
        )
        async let workers = workers(scope)
        async let groups = scope.group == nil ? [] : inspector.groups(of: scope.queue)
        let stats = try await snapshot
        let running = try await workers
        let tasks = try await listed.tasks.map {
            JSONValue($0, engine.texts, worker: running[$0.id], now: stats.time)
        }
        let answer = JSONValue.object(["tasks": .array(tasks), "stats": JSONValue(stats)])
        let sizes = try await groups
        return scope.group == nil ? answer : answer.adding(["groups": .array(sizes.map { JSONValue($0) })])
    }

    /// The handlers that run tasks of the queue, by the ids of the tasks.
    private func workers(_ scope: TaskScope) async throws -> [String: ServerInfo.Worker] {
        guard scope.state == .active else { return [:] }
        let workers = try await inspector.servers().flatMap(\.workers).filter { $0.queue == scope.queue }
        return Dictionary(workers.map { ($0.taskID, $0) }) { first, _ in first }
    }

    // MARK: Search

    private func scope(_ queue: String) throws(APIError) -> TaskScope {
        let name = call.query.text("state") ?? ""
        guard let state = TaskState(rawValue: name) else {
            throw .badRequest("state must be one of \(TaskState.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let group = call.query.text("group")
        guard group == nil || state == .aggregating else {
            throw .badRequest("\(state.rawValue) tasks are in no group: leave it out")
        }
        return TaskScope(queue: queue, state: state, group: group)
    }

    private func cursor() throws(APIError) -> Int { try call.query.number("cursor", 0...(1 << 50)) ?? 0 }

    private func search(_ queue: String) async throws -> JSONValue {
        let scope = try scope(queue)
        let limit = try call.query.number("limit", 1...1000) ?? 50
        let filter = try TaskFilter(call.query)
        let start = try cursor()
        async let workers = workers(scope)
        let found = try await TaskScan(inspector: inspector, scope: scope).search(filter, from: start, limit: limit)
        let running = try await workers
        let now = Date()
        return .object([
            "tasks": .array(
                found.tasks.map { JSONValue($0, engine.texts, worker: running[$0.id], now: now) }
            ),
            "scanned": .int(found.scanned),
            "total": .int(found.total),
            "cursor": .optional(found.cursor.map(String.init)),
        ])
    }

    private func errors(_ queue: String) async throws -> JSONValue {
        let scope = try scope(queue)
        guard scope.state == .retry || scope.state == .archived else {
            throw APIError.badRequest("state must be retry or archived: only those have failed")
        }
        let start = try cursor()
        let (groups, found) = try await TaskScan(inspector: inspector, scope: scope).errors(from: start)
        return .object([
            "errors": .array(groups.map { JSONValue($0) }),
            "scanned": .int(found.scanned),
            "total": .int(found.total),
            "cursor": .optional(found.cursor.map(String.init)),
        ])
    }

    // MARK: The rest

    private func storeInfo() async throws -> JSONValue {
        let info = try await inspector.info()
        let isCluster = info["redis_mode"] == "cluster"
        let entries = info.sections.flatMap(\.entries).map { ($0.key, JSONValue.string($0.value)) }
        let answer = JSONValue.object([
            "address": .string(info.address),
            "info": .map(Dictionary(entries) { first, _ in first }),
            "raw_info": .string(info.text),
            "cluster": .bool(isCluster),
        ])
        guard isCluster else { return answer }
        var locations: [JSONValue] = []
        for queue in try await inspector.queues() {
            let nodes = try await inspector.nodes(of: queue)
            locations.append(
                .object([
                    "queue": .string(queue),
                    "keyslot": .int(inspector.keySlot(of: queue) ?? 0),
                    "nodes": .strings(nodes),
                ])
            )
        }
        return answer.adding([
            "raw_cluster_nodes": .string(try await inspector.clusterNodes() ?? ""),
            "queue_locations": .array(locations),
        ])
    }

    private func metrics() async throws -> JSONValue {
        let query = try MetricsQuery(call.query, now: Date().timeIntervalSince1970)
        if let prometheus = engine.prometheus { return try await prometheus.charts(query) }
        let samples = engine.history.samples(
            of: query.queues.map(Set.init),
            in: query.start...max(query.start, query.end),
            step: query.step
        )
        return MetricsAnswer.json(samples)
    }
}
