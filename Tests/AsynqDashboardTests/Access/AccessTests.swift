import Asynq
import AsynqDashboard
import AsynqTesting
import Foundation
import TestSupport
import Testing

@Suite struct AccessTests {
    private static let token = "0123456789abcdef0123456789abcdef"

    private func withUsers(
        _ change: (inout DashboardConfiguration) -> Void = { _ in },
        logger: LogRecorder = LogRecorder(),
        _ body: @escaping @Sendable (Site, MemoryBroker) async throws -> Void
    ) async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker, logger: logger.logger) {
            $0.authentication = .credentials(
                users: [.init("ann", password: "open sesame"), .init("bob", password: "look", role: .readOnly)],
                tokens: [.init("ci", token: Self.token)]
            )
            change(&$0)
        } _: { site in
            try await body(site, broker)
        }
    }

    private static func basic(_ user: String, _ password: String) -> [String: String] {
        ["Authorization": "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()]
    }

    /// What a browser sends with a write of a page of its own.
    private func loggedIn(_ site: Site, _ user: String, _ password: String) async throws -> Site {
        let answer = try await site.post(
            "/api/login",
            #"{"user":"\#(user)","password":"\#(password)"}"#,
            ["Sec-Fetch-Site": "same-origin"]
        )
        try #require(answer.status == 204, "\(answer.text)")
        let cookie = try #require(answer.headers["set-cookie"]?.split(separator: ";").first)
        let inside = site.with(["Cookie": String(cookie), "Sec-Fetch-Site": "same-origin"])
        let csrf = try #require(try await inside.get("/api/session").json()["csrf"] as? String)
        return inside.with(["X-CSRF-Token": csrf])
    }

    @Test func `nothing but the pages and the health is for everybody`() async throws {
        try await withUsers { site, _ in
            for path in ["/api/session", "/api/queues", "/api/events", "/api/audit", "/api/metrics", "/api/redis_info"]
            {
                let answer = try await site.get(path)
                #expect(answer.status == 401 && answer.headers["www-authenticate"] == "Bearer", "\(path)")
            }
            #expect(try await site.post("/api/queues/default:pause").status == 401)
            #expect(try await site.get("/healthz").status == 200)
            #expect(try await site.get("/").status == 200)
        }
    }

    @Test func `a login lasts until the logout, and writes need its token`() async throws {
        let log = LogRecorder()
        try await withUsers(logger: log) { site, broker in
            let inside = try await loggedIn(site, "ann", "open sesame")
            let session = try await inside.get("/api/session").json()
            #expect(session["user"] as? String == "ann" && session["role"] as? String == "admin")
            #expect(session["authentication"] as? String == "password" && session["read_only"] as? Bool == false)
            #expect(try await inside.post("/api/queues/default:pause").status == 204)
            for token in ["", "wrong"] {
                let refusal = try await inside.with(["X-CSRF-Token": token]).post("/api/queues/default:resume")
                #expect(refusal.status == 403 && refusal.text.contains("X-CSRF-Token"))
            }
            #expect(try await broker.snapshots(of: ["default"])[0]?.isPaused == true)
            let entries = try await inside.get("/api/audit")
            #expect(try entries.values("who", of: "entries") == ["ann", "ann"])
            #expect(try entries.values("action", of: "entries") == ["pause", "login"])
            let out = try await inside.post("/api/logout")
            #expect(out.status == 204 && out.headers["set-cookie"]?.contains("Max-Age=0") == true)
            #expect(try await inside.get("/api/queues").status == 401)
        }
        for line in log.lines {
            for secret in ["sesame", Self.token, "asynq_session"] { #expect(!line.contains(secret), "\(line)") }
        }
        #expect(log.lines.contains { $0.contains("asynq.dashboard.action=pause") && $0.contains("user=ann") })
    }

    @Test func `the cookie is for this server only, and for no script`() async throws {
        try await withUsers {
            $0.trustsProxyHeaders = true
        } _: { site, _ in
            let body = #"{"user":"ann","password":"open sesame"}"#
            let plain = try #require(try await site.post("/api/login", body).headers["set-cookie"])
            #expect(plain.hasPrefix("asynq_session_") && plain.hasSuffix("; Path=/; HttpOnly; SameSite=Strict"))
            let secure = try await site.post("/api/login", body, ["X-Forwarded-Proto": "https"]).headers["set-cookie"]
            #expect(secure?.hasSuffix("; Path=/; HttpOnly; SameSite=Strict; Secure") == true)
        }
    }

    @Test func `programs use a password or a token, and need no other header`() async throws {
        try await withUsers { site, _ async throws in
            let bearer = ["Authorization": "Bearer \(Self.token)"]
            for headers in [bearer, Self.basic("ann", "open sesame")] {
                let program = site.with(headers)
                #expect(try await program.get("/api/queues").status == 200)
                #expect(try await program.post("/api/queues/default:pause").status == 204)
            }
            #expect(try await site.with(bearer).get("/api/audit").values("who", of: "entries") == ["ann", "ci"])
            let wrong = [
                "Basic", "Basic ?", "Basic " + Data("ann".utf8).base64EncodedString(), "Bearer", "Bearer x", "Digest y",
            ]
            for header in wrong { #expect(try await site.get("/api/queues", ["Authorization": header]).status == 401) }
            #expect(try await site.get("/api/queues", Self.basic("ann", "look")).status == 401)
        }
    }

    @Test func `a reader may look and change nothing`() async throws {
        try await withUsers { site, broker in
            let writes = [
                ("POST", "/api/queues/default:pause"), ("DELETE", "/api/queues/default"),
                ("DELETE", "/api/queues/default/pending_tasks/a"),
                ("POST", "/api/queues/default/pending_tasks:archive_all"),
                ("POST", "/api/queues/default/tasks"), ("POST", "/api/queues/default/bulk"), ("DELETE", "/api/bulk/x"),
                ("POST", "/api/queues/default/tasks/a:enqueue_again"),
            ]
            let reader = try await loggedIn(site, "bob", "look")
            for program in [reader, site.with(Self.basic("bob", "look"))] {
                #expect(try await program.get("/api/queues").status == 200)
                for (method, path) in writes {
                    let answer = try await program.send(method, path, body: "{}")
                    #expect(answer.status == 405 && answer.text.contains("read-only"), "\(path)")
                }
                #expect(try await program.get("/api/audit").status == 403)
                #expect(try await program.get("/api/session").json()["read_only"] as? Bool == true)
            }
            #expect(try await broker.state("a") == .pending)
            #expect(try await reader.post("/api/logout").status == 204)
        }
    }

    @Test func `a read-only dashboard lets nobody change anything`() async throws {
        try await withUsers {
            $0.isReadOnly = true
        } _: { site, broker in
            let admin = try await loggedIn(site, "ann", "open sesame")
            let answer = try await admin.delete("/api/queues/default/pending_tasks/a")
            #expect(answer.status == 405 && answer.text == "this dashboard is read-only")
            #expect(try await admin.get("/api/session").json()["read_only"] as? Bool == true)
            #expect(try await broker.state("a") == .pending)
        }
    }

    @Test func `wrong passwords are few, whichever way they come`() async throws {
        try await withUsers {
            $0.trustsProxyHeaders = true
        } _: { site, _ in
            let guess = site.with(["X-Forwarded-For": "9.9.9.9, 203.0.113.7"])
            for index in 0..<10 {
                let answer =
                    index % 2 == 0
                    ? try await guess.post("/api/login", #"{"user":"ann","password":"\#(index)"}"#)
                    : try await guess.get("/api/queues", ["Authorization": "Bearer \(index)"])
                #expect(answer.status == 401)
            }
            let body = #"{"user":"ann","password":"open sesame"}"#
            let refusal = try await guess.post("/api/login", body)
            let seconds = refusal.headers["retry-after"].flatMap { Int($0) } ?? 0
            #expect(refusal.status == 429 && (1...60).contains(seconds))
            #expect(try await guess.get("/api/queues", Self.basic("ann", "open sesame")).status == 429)
            // What the client itself puts in front of the header changes nothing; another client is another one.
            #expect(
                try await guess.with(["X-Forwarded-For": "1.1.1.1, 203.0.113.7"]).post("/api/login", body).status == 429
            )
            #expect(try await guess.with(["X-Forwarded-For": "203.0.113.8"]).post("/api/login", body).status == 204)
        }
    }

    @Test func `without a trusted proxy its headers count for nothing`() async throws {
        try await withUsers { site, _ in
            for index in 0..<10 {
                let guess = site.with(["X-Forwarded-For": "10.0.0.\(index)"])
                _ = try await guess.post("/api/login", #"{"user":"ann","password":"x"}"#)
            }
            let body = #"{"user":"ann","password":"open sesame"}"#
            #expect(try await site.with(["X-Forwarded-For": "10.0.0.99"]).post("/api/login", body).status == 429)
        }
    }

    @Test func `a login that is no JSON, or too large, is refused`() async throws {
        try await withUsers { site, _ async throws in
            #expect(try await site.post("/api/login", "user=ann").status == 400)
            #expect(try await site.post("/api/login", #"{"user":"ann"}"#).text == "password is missing")
            let long = String(repeating: "x", count: 20_000)
            #expect(try await site.post("/api/login", #"{"user":"ann","password":"\#(long)"}"#).status == 413)
        }
    }

    @Test func `a stream ends with its session`() async throws {
        try await withUsers {
            $0.refreshInterval = .milliseconds(100)
        } _: { site, broker in
            let inside = try await loggedIn(site, "ann", "open sesame")
            try await inside.events { events in
                try await events.expectSnapshot()
                #expect(try await inside.post("/api/logout").status == 204)
                // The latency of the waiting task changes with each look.
                while try await events.next() != nil {}
            }
        }
    }

    // MARK: Other sites

    @Test(arguments: [
        ["Origin": "http://evil.example"], ["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"],
        ["Sec-Fetch-Site": "cross-site", "Origin": "null"], ["Origin": "null"], ["Origin": "http://localhost:1"],
    ])
    func `a write of another site is refused`(_ headers: [String: String]) async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) { site in
            let answer = try await site.delete("/api/queues/default/pending_tasks/a", headers)
            #expect(answer.status == 403 && answer.text.contains("another site"))
            #expect(try await broker.state("a") == .pending)
        }
    }

    @Test func `a write of a page of this dashboard, or of a program, is not`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) { site async throws in
            for headers in [["Origin": site.url], ["Sec-Fetch-Site": "same-origin"], ["Sec-Fetch-Site": "none"], [:]] {
                #expect(try await site.post("/api/queues/default:pause", nil, headers).status == 204, "\(headers)")
            }
            // Nor may another site have the broker asked again and again.
            #expect(try await site.get("/api/queues", ["Sec-Fetch-Site": "cross-site"]).status == 403)
        }
    }

    @Test func `without a login only names of this machine are answered`() async throws {
        try await withDashboard(MemoryBroker()) {
            $0.allowedHosts = ["Tasks.internal"]
        } _: { site in
            for host in ["localhost", "127.0.0.1:99", "[::1]:8080", "tasks.internal:8080"] {
                #expect(try await site.get("/api/queues", ["Host": host]).status == 200, "\(host)")
            }
            for path in ["/", "/api/queues", "/api/session"] {
                let answer = try await site.get(path, ["Host": "rebound.example"])
                #expect(answer.status == 403 && answer.text.contains("allowed hosts"), "\(path)")
            }
            #expect(try await site.get("/healthz", ["Host": "rebound.example"]).status == 200)
        }
        try await withUsers { site, _ async throws in
            let headers = Self.basic("ann", "open sesame").merging(["Host": "tasks.example"]) { $1 }
            #expect(try await site.get("/api/queues", headers).status == 200)
        }
    }

    // MARK: Where it listens

    @Test func `an address that others can reach needs a login`() async throws {
        var configuration = DashboardConfiguration()
        configuration.host = "0.0.0.0"
        configuration.port = 0
        let error = await #expect(throws: AsynqError.self) {
            try await AsynqDashboard(MemoryBroker(), configuration: configuration, logger: .silent).run()
        }
        #expect(error?.code == .invalidArgument && error?.message.contains("set a user and a password") == true)
        for change: @Sendable (inout DashboardConfiguration) -> Void in [
            { $0.allowsPublicWithoutPassword = true },
            { $0.authentication = .credentials(users: [.init("a", password: "b")]) },
        ] {
            try await withDashboard(MemoryBroker()) {
                $0.host = "0.0.0.0"
                change(&$0)
            } _: { site in
                let port = try #require(site.url.split(separator: ":").last)
                #expect(try await Site(url: "http://127.0.0.1:\(port)").get("/healthz").status == 200)
            }
        }
    }

    @Test func `a port that is taken, and a configuration that makes no sense, are refused with the reason`()
        async throws
    {
        try await withDashboard(MemoryBroker()) { site in
            var configuration = DashboardConfiguration()
            configuration.port = Int(site.url.split(separator: ":").last ?? "") ?? 0
            let error = await #expect(throws: AsynqError.self) {
                try await AsynqDashboard(MemoryBroker(), configuration: configuration, logger: .silent).run()
            }
            #expect(error?.message.contains("cannot listen on 127.0.0.1:\(configuration.port)") == true)
        }
        let changes: [@Sendable (inout DashboardConfiguration) -> Void] = [
            { $0.port = 70_000 }, { $0.refreshInterval = .zero }, { $0.historyInterval = .milliseconds(1) },
            { $0.maxPayloadLength = 0 }, { $0.maxResultLength = 0 }, { $0.maxBodySize = 1 }, { $0.rootPath = "/a?b" },
            { $0.prometheusAddress = "localhost:9090" }, { $0.sessionIdleTime = .zero },
            { $0.authentication = .credentials() },
        ]
        for change in changes {
            var configuration = DashboardConfiguration()
            change(&configuration)
            let error = await #expect(throws: AsynqError.self) {
                try await AsynqDashboard(MemoryBroker(), configuration: configuration, logger: .silent).run()
            }
            #expect(error?.code == .invalidArgument)
        }
    }
}
