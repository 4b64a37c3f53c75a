import Asynq
import AsynqTesting
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import AsynqDashboard

@Suite struct PageTests {
    private static let resources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/AsynqDashboard/Resources")

    @Test func `the program holds the files of the front end as they are`() throws {
        let files = FileManager.default.enumerator(atPath: Self.resources.path)?.compactMap { $0 as? String } ?? []
        var expected: Set<String> = []
        for path in files {
            var isFolder: ObjCBool = false
            let url = Self.resources.appendingPathComponent(path)
            _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
            let name = url.lastPathComponent
            if isFolder.boolValue || name.hasPrefix(".") || name.hasSuffix(".json") || name.hasSuffix(".d.ts") {
                continue
            }
            expected.insert(path)
            let isSame = AssetStore(folder: nil).asset(path)?.bytes == Array(try Data(contentsOf: url))
            #expect(isSame, "\(path) is out of date: run `make assets`")
        }
        #expect(Set(EmbeddedAssets.files.map(\.path)) == expected)
        #expect(EmbeddedAssets.files.reduce(0) { $0 + $1.bytes.count } < 250 * 1024)
    }

    @Test func `pages are safe, and are not sent again`() async throws {
        try await withDashboard(MemoryBroker()) { site in
            let page = try await site.get("/")
            #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
            let policy = try #require(page.headers["content-security-policy"])
            for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'self'"] {
                #expect(policy.contains(part))
            }
            #expect(!policy.contains("unsafe"))
            #expect(
                page.headers["x-content-type-options"] == "nosniff" && page.headers["referrer-policy"] == "no-referrer"
            )
            #expect(page.headers["cache-control"] == "no-cache")
            let tag = try #require(page.headers["etag"])
            let again = try await site.get("/", ["If-None-Match": tag])
            #expect(again.status == 304 && again.text.isEmpty)
            #expect(try await site.get("/", ["If-None-Match": "\"other\""]).status == 200)
            #expect(try await site.send("HEAD", "/").text.isEmpty)
            #expect(try await site.post("/").status == 405)
            let script = try #require(EmbeddedAssets.files.first { $0.path.hasSuffix(".js") })
            let answer = try await site.get("/" + script.path)
            #expect(answer.headers["content-type"] == "text/javascript; charset=utf-8")
            #expect(answer.text == String(decoding: script.bytes, as: UTF8.self))
            let api = try await site.get("/api/queues")
            #expect(api.headers["cache-control"] == "no-store" && api.headers["x-content-type-options"] == "nosniff")
        }
    }

    @Test func `large answers are compressed for those who understand it, small ones for nobody`() async throws {
        let broker = MemoryBroker()
        for number in 0..<200 {
            try await broker.enqueue("task-\(number)", payload: #"{"to":"user\#(number)@example.org"}"#)
        }
        try await withDashboard(broker) { site in
            let path = "/api/queues/default/pending_tasks?size="
            let plain = try await site.get(path + "200")
            #expect(plain.headers["content-encoding"] == nil && plain.text.utf8.count >= ReadAPI.compressedFrom)
            #expect(plain.headers["vary"] == "accept-encoding")
            let large = try await site.bytes(path + "200", ["Accept-Encoding": "gzip"])
            #expect(large.headers["content-encoding"] == "gzip" && large.headers["content-type"] == "application/json")
            #expect(large.bytes.starts(with: Gzip.magic) && large.bytes.count * 3 < plain.text.utf8.count)
            let ids = try JSONSerialization.jsonObject(with: Data(try Gzip.restored(large.bytes))) as? [String: Any]
            #expect((ids?["tasks"] as? [[String: Any]])?.count == 200)
            let small = try await site.get(path + "2", ["Accept-Encoding": "gzip"])
            #expect(small.headers["content-encoding"] == nil)
            #expect(try small.list("tasks").count == 2)
            let refused = try await site.get(path + "200", ["Accept-Encoding": "gzip;q=0, br"])
            #expect(refused.headers["content-encoding"] == nil)
        }
    }

    @Test func `what is no file is a place in the application`() async throws {
        try await withDashboard(MemoryBroker()) { site in
            let page = try await site.get("/").text
            #expect(page.contains("<base href=\"/\">") && !page.contains(AssetStore.rootMark))
            for path in [
                "/queues/default", "/queues/a%2Fb", "/servers", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fPackage.swift",
            ] {
                #expect(try await site.get(path).text == page, "\(path)")
            }
            #expect(try await site.get("/api").status == 404)
            #expect(try await site.get("/api/nothing").status == 404)
        }
    }

    @Test func `a folder of files is for those who work on them`() async throws {
        try await withDashboard(MemoryBroker()) {
            $0.resourceFolder = Self.resources.path
        } _: { site in
            let page = try await site.get("/").text
            #expect(page.contains("<base href=\"/\">"))
            for path in [
                "/../DashboardEngine.swift", "/%2e%2e/DashboardEngine.swift", "/..%2fDashboardEngine.swift", "/js",
            ] {
                #expect(try await site.get(path).text == page, "\(path)")
            }
        }
    }

    @Test func `all is found under a root path`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        try await withDashboard(broker) {
            $0.rootPath = "/ops/tasks/"
            $0.authentication = .credentials(users: [.init("a", password: "b")])
        } _: { site in
            #expect(site.url.hasSuffix("/ops/tasks"))
            #expect(try await site.get("").text.contains("<base href=\"/ops/tasks/\">"))
            #expect(try await site.get("/queues/x").text.contains("<base href=\"/ops/tasks/\">"))
            let login = try await site.post("/api/login", #"{"user":"a","password":"b"}"#)
            #expect(login.headers["set-cookie"]?.contains("; Path=/ops/tasks;") == true)
            let top = Site(url: String(site.url.dropLast("/ops/tasks".count)))
            #expect(try await top.get("/").text.contains("<base href=\"/ops/tasks/\">"))
            #expect(try await top.get("/api/queues").status == 404)
        }
    }

    // MARK: In another application

    private func withApplication(
        _ router: Router<BasicRequestContext>,
        _ services: [any Service],
        _ body: (Site) async throws -> Void
    ) async throws {
        let (ports, input) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            services: services,
            onServerRunning: { input.yield($0.localAddress?.port ?? 0) },
            logger: .silent
        )
        let group = ServiceGroup(configuration: .init(services: [application], logger: .silent))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(Site(url: "http://127.0.0.1:\(port)"))
            // With streams open: see below.
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func `it is part of an application, whose middleware comes first`() async throws {
        struct Doorman: RouterMiddleware {
            func handle(
                _ request: Request,
                context: BasicRequestContext,
                next: (Request, BasicRequestContext) async throws -> Response
            ) async throws -> Response {
                guard request.headers[.authorization] == "own" else { return Response(status: .unauthorized) }
                return try await next(request, context)
            }
        }
        let broker = MemoryBroker()
        try await broker.enqueue("a/b")
        var configuration = DashboardConfiguration()
        configuration.authentication = .application()
        configuration.refreshInterval = .milliseconds(100)
        let router = Router()
        router.get("hello") { _, _ in "hello" }
        let dashboard = AsynqDashboard(broker, configuration: configuration, logger: .silent)
        let service = try dashboard.mount(on: router.group("admin").add(middleware: Doorman()), at: "queues")
        try await withApplication(router, [service]) { site in
            #expect(try await site.get("/hello").text == "hello")
            #expect(try await site.get("/admin/queues/api/queues").status == 401)
            let inside = site.with(["Authorization": "own", "Host": "tasks.example"])
            #expect(try await inside.get("/admin/queues").text.contains("<base href=\"/admin/queues/\">"))
            #expect(try await inside.get("/admin/queues/api/queues").list("queues").count == 1)
            let list = "/admin/queues/api/queues/default/pending_tasks"
            #expect(try await inside.post("\(list)/a%2Fb:archive").status == 204)
            #expect(try await broker.state("a/b") == .archived)
            // The application shuts down although somebody looks.
            let viewer = Site(url: site.url + "/admin/queues").with(["Authorization": "own"])
            try await viewer.events { try await $0.expectSnapshot() }
        }
    }

    @Test func `without its service what needs it says so`() async throws {
        let broker = MemoryBroker()
        try await broker.enqueue("a")
        let router = Router()
        _ = try AsynqDashboard(broker, logger: .silent).mount(on: router, at: "tasks")
        try await withApplication(router, []) { site in
            #expect(try await site.get("/tasks/api/queues").status == 200)
            let events = try await site.get("/tasks/api/events")
            #expect(events.status == 503 && events.text.contains("must be one of the application's services"))
            let bulk = try await site.post("/tasks/api/queues/default/bulk", #"{"action":"preview","state":"pending"}"#)
            #expect(bulk.status == 503)
        }
    }

    @Test func `an application shuts down while somebody looks`() async throws {
        let router = Router()
        let service = try AsynqDashboard(MemoryBroker(), logger: .silent).mount(on: router, at: "tasks")
        let seen = Mutex<Task<Void, any Error>?>(nil)
        try await withApplication(router, [service]) { site in
            let (firsts, input) = AsyncStream<Void>.makeStream()
            let viewer = Task {
                try await Site(url: site.url + "/tasks").events { events in
                    _ = try await events.next()
                    input.yield()
                    while try await events.next() != nil {}
                }
            }
            var iterator = firsts.makeAsyncIterator()
            await iterator.next()
            seen.withLock { $0 = viewer }
        }
        // Its stream has ended in good order.
        try await seen.withLock { $0 }?.value
    }

    @Test func `places are told from patterns`() {
        let place = DashboardRoutes.place("/a/b/api/queues/x%2Fy", route: "/a/b/**")
        #expect(place.root == "/a/b" && place.rest == ["api", "queues", "x%2Fy"])
        #expect(
            DashboardRoutes.place("/", route: "/").root == "" && DashboardRoutes.place("/x", route: "/**").rest == ["x"]
        )
        #expect(DashboardRoutes.place("//a//b/", route: "/a/**").rest == ["b"])
    }

    @Test func `a root with odd characters is no markup`() throws {
        let page = try #require(AssetStore(folder: nil).page(root: "/\"><script>"))
        #expect(String(decoding: page.bytes, as: UTF8.self).contains("<base href=\"/&quot;&gt;&lt;script&gt;/\">"))
    }
}
