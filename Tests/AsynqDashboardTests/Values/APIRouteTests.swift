import Asynq
import HTTPTypes
import Testing

@testable import AsynqDashboard

@Suite struct APIRouteTests {
    private func route(_ method: String, _ path: String) throws -> APIRoute {
        try APIRoute(method, path.split(separator: "/").map { $0 })
    }

    private func status(_ method: String, _ path: String) -> Int? {
        do {
            _ = try route(method, path)
            return nil
        } catch { return (error as? APIError)?.status.code }
    }

    @Test func `paths are those of asynqmon`() throws {
        #expect(try route("GET", "queues") == .queues)
        #expect(try route("GET", "queues/q") == .queue("q"))
        #expect(try route("DELETE", "queues/q") == .deleteQueue("q"))
        #expect(try route("POST", "queues/q:pause") == .pause("q"))
        #expect(try route("POST", "queues/q:resume") == .resume("q"))
        let retry = TaskScope(queue: "q", state: .retry)
        #expect(try route("GET", "queues/q/retry_tasks") == .tasks(retry))
        #expect(try route("POST", "queues/q/retry_tasks/i:run") == .act(.run, retry, .one("i")))
        #expect(try route("POST", "queues/q/retry_tasks:run_all") == .act(.run, retry, .all))
        #expect(try route("POST", "queues/q/retry_tasks:batch_archive") == .act(.archive, retry, .batch))
        #expect(try route("DELETE", "queues/q/retry_tasks/i") == .act(.delete, retry, .one("i")))
        #expect(try route("DELETE", "queues/q/retry_tasks:delete_all") == .act(.delete, retry, .all))
        #expect(try route("POST", "queues/q/retry_tasks:batch_delete") == .act(.delete, retry, .batch))
        let active = TaskScope(queue: "q", state: .active)
        #expect(try route("POST", "queues/q/active_tasks:cancel_all") == .act(.cancel, active, .all))
        #expect(try route("POST", "queues/q/active_tasks/i:cancel") == .act(.cancel, active, .one("i")))
        let group = TaskScope(queue: "q", state: .aggregating, group: "g")
        #expect(try route("GET", "queues/q/groups/g/aggregating_tasks") == .tasks(group))
        #expect(try route("POST", "queues/q/groups/g/aggregating_tasks/i:run") == .act(.run, group, .one("i")))
        #expect(try route("DELETE", "queues/q/groups/g/aggregating_tasks:delete_all") == .act(.delete, group, .all))
        #expect(try route("GET", "scheduler_entries/e/enqueue_events") == .enqueueEvents("e"))
    }

    @Test func `names hold any character, percent-encoded or not`() throws {
        #expect(try route("GET", "queues/a%2Fb%3Ac%25%20%C3%A9") == .queue("a/b:c% é"))
        #expect(try route("POST", "queues/a:b:pause") == .pause("a:b"))
        #expect(try route("POST", "queues/a%3Apause:pause") == .pause("a:pause"))
        let scope = TaskScope(queue: "q", state: .archived)
        #expect(try route("POST", "queues/q/archived_tasks/x:y%2Fz:run") == .act(.run, scope, .one("x:y/z")))
        #expect(try route("DELETE", "queues/q/archived_tasks/x:run") == .act(.delete, scope, .one("x:run")))
        #expect(try route("GET", "queues/q/tasks/x:y") == .task(queue: "q", id: "x:y"))
        #expect(try route("POST", "queues/q/tasks/x:y:enqueue_again") == .enqueueAgain(queue: "q", id: "x:y"))
        #expect(try route("GET", "queues/groups/groups") == .groups("groups"))
        #expect(
            try route("GET", "queues/pending_tasks/pending_tasks")
                == .tasks(.init(queue: "pending_tasks", state: .pending))
        )
    }

    @Test(arguments: ["queues/%FF", "queues/%", "queues/%4", "queues/%zz", "queues/q/tasks/%C3"])
    func `what is no UTF-8 is a bad request`(_ path: String) { #expect(status("GET", path) == 400) }

    @Test func `what does not exist is not found, and what cannot be done so is not allowed`() {
        for path in [
            "", "nothing", "queues/q/other", "queues/q/odd_tasks", "queues/q/groups/g/retry_tasks", "bulk/a/b",
        ] {
            #expect(status("GET", path) == 404, "\(path)")
        }
        for path in [
            "queues/q:stop", "queues/q/retry_tasks:run_some", "queues/q/retry_tasks/i:delete", "queues/q/tasks/i",
        ] {
            #expect(status("POST", path) == 404, "\(path)")
        }
        #expect(status("POST", "queues") == 405)
        #expect(status("GET", "login") == 405)
        #expect(status("PUT", "queues/q") == 405)
        #expect(status("POST", "queues/q/retry_tasks:delete_all") == 405)
        #expect(status("DELETE", "queues/q/retry_tasks:run_all") == 405)
        #expect(status("GET", "queues/q/retry_tasks/i") == 405)
    }

    @Test func `what changes something is a write`() throws {
        let writes = [
            ("DELETE", "queues/q"), ("POST", "queues/q:pause"), ("POST", "queues/q/bulk"), ("DELETE", "bulk/i"),
            ("POST", "queues/q/tasks"), ("POST", "queues/q/tasks/i:enqueue_again"),
            ("DELETE", "queues/q/retry_tasks/i"),
        ]
        for (method, path) in writes { #expect(try route(method, path).isWrite, "\(path)") }
        for path in ["queues", "events", "bulk/i", "queues/q/search", "redis_info"] {
            #expect(try !route("GET", path).isWrite, "\(path)")
        }
    }
}
