import AsyncHTTPClient
import Asynq
import AsynqDashboard
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Testing

/// A dashboard that runs, as a client sees it.
struct Site: Sendable {
    struct Answer: Sendable {
        let status: Int
        let headers: [String: String]
        let text: String

        func json() throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(status) \(text)")
        }

        func list(_ key: String) throws -> [[String: Any]] {
            try #require(try json()[key] as? [[String: Any]], "\(status) \(text)")
        }

        /// The values of a member of each object in a list.
        func values(_ key: String, of list: String) throws -> [String] {
            try self.list(list).map { try #require($0[key] as? String) }
        }
    }

    /// As many connections as there are viewers.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 300
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    let url: String
    /// Sent with each request.
    var headers: [String: String] = [:]

    func with(_ headers: [String: String]) -> Site {
        var copy = self
        copy.headers.merge(headers) { $1 }
        return copy
    }

    /// What came back as it was sent.
    private func sendBytes(_ method: String, _ path: String, body: String? = nil, _ more: [String: String]) async throws
        -> (status: Int, headers: [String: String], bytes: [UInt8])
    {
        var request = HTTPClientRequest(url: url + path)
        request.method = HTTPMethod(rawValue: method)
        for (name, value) in headers.merging(more, uniquingKeysWith: { $1 }) {
            request.headers.replaceOrAdd(name: name, value: value)
        }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await Self.client.execute(request, timeout: .seconds(180))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        let own = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { $0 + ", " + $1 }
        return (Int(response.status.code), own, Array(bytes.readableBytesView))
    }

    func send(_ method: String, _ path: String, body: String? = nil, _ more: [String: String] = [:]) async throws
        -> Answer
    {
        let answer = try await sendBytes(method, path, body: body, more)
        return Answer(
            status: answer.status,
            headers: answer.headers,
            text: String(decoding: answer.bytes, as: UTF8.self)
        )
    }

    /// An answer that may be compressed.
    func bytes(_ path: String, _ headers: [String: String]) async throws -> (headers: [String: String], bytes: [UInt8])
    {
        let answer = try await sendBytes("GET", path, headers)
        return (answer.headers, answer.bytes)
    }

    func get(_ path: String, _ headers: [String: String] = [:]) async throws -> Answer {
        try await send("GET", path, headers)
    }

    func post(_ path: String, _ body: String? = nil, _ headers: [String: String] = [:]) async throws -> Answer {
        try await send("POST", path, body: body, headers)
    }

    func delete(_ path: String, _ headers: [String: String] = [:]) async throws -> Answer {
        try await send("DELETE", path, headers)
    }

    /// The events of a stream, until `body` has seen enough.
    func events(_ body: (inout EventReader) async throws -> Void) async throws {
        var request = HTTPClientRequest(url: url + "/api/events")
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        let response = try await Self.client.execute(request, timeout: .seconds(180))
        try #require(response.status == .ok && response.headers.first(name: "content-type") == "text/event-stream")
        var reader = EventReader(bytes: response.body.makeAsyncIterator())
        try await body(&reader)
    }
}

/// Takes server-sent events apart.
struct EventReader {
    fileprivate var bytes: HTTPClientResponse.Body.AsyncIterator
    private var rest = ""

    fileprivate init(bytes: HTTPClientResponse.Body.AsyncIterator) {
        self.bytes = bytes
    }

    mutating func expectSnapshot() async throws {
        let name = try await next()?.name
        #expect(name == "snapshot")
    }

    /// `nil` at the end of the stream.
    mutating func next() async throws -> (name: String, data: [String: Any])? {
        while true {
            if let end = rest.range(of: "\n\n") {
                let lines = rest[..<end.lowerBound].split(separator: "\n")
                rest = String(rest[end.upperBound...])
                guard let name = lines.first, name.hasPrefix("event: "), let data = lines.dropFirst().first else {
                    continue
                }
                let json = try JSONSerialization.jsonObject(with: Data(data.dropFirst("data: ".count).utf8))
                return (String(name.dropFirst("event: ".count)), try #require(json as? [String: Any]))
            }
            guard let next = try await bytes.next() else { return nil }
            rest += String(buffer: next)
        }
    }
}

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Runs `body` beside a dashboard, which is shut down afterwards. Answers are read anew for each request, unless the test says
/// otherwise.
func withDashboard(
    _ broker: any Broker,
    logger: Logger = .silent,
    _ change: (inout DashboardConfiguration) -> Void = { _ in },
    _ body: @escaping @Sendable (Site) async throws -> Void
) async throws {
    var configuration = DashboardConfiguration()
    configuration.port = 0
    configuration.answerLifetime = .zero
    change(&configuration)
    let dashboard = AsynqDashboard(broker, configuration: configuration, logger: logger)
    let (addresses, input) = AsyncStream<String>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            defer { input.finish() }
            try await dashboard.run { input.yield($0) }
        }
        var iterator = addresses.makeAsyncIterator()
        guard let url = await iterator.next() else {
            // It says why.
            try await group.waitForAll()
            return
        }
        try await body(Site(url: url.hasSuffix("/") ? String(url.dropLast()) : url))
        group.cancelAll()
        while let result = await group.nextResult() {
            if case .failure(let error) = result, !(error is CancellationError) { throw error }
        }
    }
}
