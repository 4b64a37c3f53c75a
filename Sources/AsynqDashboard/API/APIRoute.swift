import Asynq
import HTTPTypes

/// Tasks that a path names: those of a state, and of a group if it names one.
struct TaskScope: Sendable, Hashable {
    var queue: String
    var state: TaskState
    var group: String?
}

/// What can be done to tasks by hand.
enum TaskAction: String, Sendable, Hashable, Codable {
    case run, archive, delete, cancel

    /// `nil` for a cancellation, which moves nothing.
    var move: TaskMove? { TaskMove(rawValue: rawValue) }
}

/// What a request asks for, by its path below the root and its method (spec 3, "JSON API").
enum APIRoute: Sendable, Hashable {
    enum Target: Sendable, Hashable {
        case one(String)
        case all
        /// Those that the body names.
        case batch
    }

    case session, login, logout, events, audit
    case queues, queue(String), queueStats, deleteQueue(String), pause(String), resume(String)
    case tasks(TaskScope), groups(String), task(queue: String, id: String)
    case act(TaskAction, TaskScope, Target)
    case search(String), errors(String)
    case startBulk(String), bulk(String), stopBulk(String)
    case enqueue(String), enqueueAgain(queue: String, id: String)
    case servers, schedulerEntries, enqueueEvents(String), redisInfo, metrics

    /// - Parameters:
    ///   - components: those of the path behind `/api/`, as they were sent.
    ///   - method: of the request; `HEAD` is as good as `GET`.
    /// - Throws: ``APIError``: 404 for a path that does not exist, 400 for one that is no text.
    init(_ method: String, _ components: [Substring]) throws(APIError) {
        let isRead = method == "GET" || method == "HEAD"
        switch (method, components.count) {
        case (_, 1): self = try Self.top(method, components[0])
        case (_, 2...):
            switch components[0] {
            case "queues": self = try Self.ofQueue(method, components)
            case "scheduler_entries" where isRead && components.count == 3 && components[2] == "enqueue_events":
                self = .enqueueEvents(try Self.text(components[1]))
            case "bulk" where isRead && components.count == 2: self = .bulk(try Self.text(components[1]))
            case "bulk" where method == "DELETE" && components.count == 2:
                self = .stopBulk(try Self.text(components[1]))
            default: throw .notFound
            }
        default: throw .notFound
        }
    }

    /// Whether it changes anything, and so is refused to those who may only look.
    var isWrite: Bool {
        switch self {
        case .deleteQueue, .pause, .resume, .act, .stopBulk, .enqueue, .enqueueAgain, .startBulk: true
        default: false
        }
    }

    private static func top(_ method: String, _ name: Substring) throws(APIError) -> APIRoute {
        let reads: [Substring: APIRoute] = [
            "session": .session, "events": .events, "audit": .audit, "queues": .queues, "queue_stats": .queueStats,
            "servers": .servers, "scheduler_entries": .schedulerEntries, "redis_info": .redisInfo, "metrics": .metrics,
        ]
        let writes: [Substring: APIRoute] = ["login": .login, "logout": .logout]
        let routes = method == "GET" || method == "HEAD" ? reads : method == "POST" ? writes : [:]
        guard let route = routes[name] else {
            throw reads[name] == nil && writes[name] == nil ? .notFound : .methodNotAllowed
        }
        return route
    }

    private static func ofQueue(_ method: String, _ parts: [Substring]) throws(APIError) -> APIRoute {
        let isRead = method == "GET" || method == "HEAD"
        if parts.count == 2 {
            if isRead { return .queue(try text(parts[1])) }
            if method == "DELETE" { return .deleteQueue(try text(parts[1])) }
            guard method == "POST" else { throw .methodNotAllowed }
            switch split(parts[1]) {
            case (let name, "pause")?: return .pause(try text(name))
            case (let name, "resume")?: return .resume(try text(name))
            default: throw .notFound
            }
        }
        let queue = try text(parts[1])
        switch (method, parts.count, parts[2]) {
        case (_, 3, "groups") where isRead: return .groups(queue)
        case (_, 3, "search") where isRead: return .search(queue)
        case (_, 3, "errors") where isRead: return .errors(queue)
        case ("POST", 3, "bulk"): return .startBulk(queue)
        case ("POST", 3, "tasks"): return .enqueue(queue)
        case (_, 4, "tasks") where isRead: return .task(queue: queue, id: try text(parts[3]))
        case ("POST", 4, "tasks"):
            guard case (let id, "enqueue_again")? = split(parts[3]) else { throw .notFound }
            return .enqueueAgain(queue: queue, id: try text(id))
        case (_, 5..., "groups"): return try ofTasks(method, parts.dropFirst(4), queue, group: try text(parts[3]))
        case (_, 3..., _): return try ofTasks(method, parts.dropFirst(2), queue, group: nil)
        default: throw .notFound
        }
    }

    /// `STATE_tasks`, `STATE_tasks:verb`, `STATE_tasks/ID` and `STATE_tasks/ID:verb`.
    private static func ofTasks(
        _ method: String,
        _ parts: ArraySlice<Substring>,
        _ queue: String,
        group: String?
    ) throws(APIError) -> APIRoute {
        guard let first = parts.first, parts.count <= 2 else { throw .notFound }
        let verb = parts.count == 1 ? split(first) : nil
        let list = verb?.name ?? first
        guard list.hasSuffix("_tasks"), let state = TaskState(rawValue: String(list.dropLast("_tasks".count))),
            group == nil || state == .aggregating
        else { throw .notFound }
        let scope = TaskScope(queue: queue, state: state, group: group)
        if parts.count == 2, let item = parts.last {
            if method == "DELETE" { return .act(.delete, scope, .one(try text(item))) }
            guard method == "POST" else { throw .methodNotAllowed }
            guard let (id, verb) = split(item), let action = TaskAction(rawValue: String(verb)), action != .delete
            else { throw .notFound }
            return .act(action, scope, .one(try text(id)))
        }
        if let verb {
            let word = verb.verb
            let action: Substring
            let target: Target
            if word.hasSuffix("_all") {
                (action, target) = (word.dropLast("_all".count), .all)
            } else if word.hasPrefix("batch_") {
                (action, target) = (word.dropFirst("batch_".count), .batch)
            } else {
                throw .notFound
            }
            guard let action = TaskAction(rawValue: String(action)) else { throw .notFound }
            // asynqmon deletes all by DELETE and does the rest by POST.
            guard method == (action == .delete && target == .all ? "DELETE" : "POST") else { throw .methodNotAllowed }
            return .act(action, scope, target)
        }
        guard method == "GET" || method == "HEAD" else { throw .methodNotAllowed }
        return .tasks(scope)
    }

    /// At the last `:`, which stands for itself; one in a name may be sent as `%3A` or not.
    private static func split(_ part: Substring) -> (name: Substring, verb: Substring)? {
        part.lastIndex(of: ":").map { (part[..<$0], part[part.index(after: $0)...]) }
    }

    private static func text(_ part: Substring) throws(APIError) -> String {
        guard let text = PercentEncoding.decode(part), !text.isEmpty else {
            throw .badRequest(
                "the path holds a name that is not valid UTF-8, or none: encode it with encodeURIComponent"
            )
        }
        return text
    }
}

enum PercentEncoding {
    /// - Returns: `nil` if it is no valid UTF-8, or a `%` has no two digits behind it.
    static func decode(_ text: some StringProtocol) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
