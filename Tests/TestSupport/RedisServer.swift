package import Foundation
import Synchronization

/// A real redis-server of a test's own, on a free loopback port and in a folder of its own. It dies with its process.
package final class RedisServer: Sendable {
    /// A server could not be started.
    package struct StartFailure: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: Int
    package let folder: URL
    private let arguments: [String]
    /// What a Sentinel's file says at first; it rewrites it itself.
    private let sentinelFile: String?
    private let process = Mutex<ChildProcess?>(nil)

    private init(port: Int, folder: URL, arguments: [String], sentinelFile: String?) {
        self.port = port
        self.folder = folder
        self.arguments = arguments
        self.sentinelFile = sentinelFile
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(at: folder)
    }

    package var isRunning: Bool { process.withLock { $0?.isRunning == true } }
    package var uri: String { "redis://127.0.0.1:\(port)" }
    package var socketPath: String { folder.appendingPathComponent("redis.sock").path }

    /// Runs `body` with a server, which is stopped afterwards.
    ///
    /// - Parameter arguments: for redis-server, such as `--appendonly`, `yes`.
    package static func withServer<Value>(
        _ arguments: [String] = [],
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisServer) async throws -> Value
    ) async throws -> Value {
        await ServerSlots.shared.take()
        defer { ServerSlots.shared.giveBack() }
        let server = try await start(arguments)
        defer { server.kill() }
        return try await body(server)
    }

    /// Starts one that belongs to a set of servers, which has taken its place.
    ///
    /// - Parameter sentinelFile: makes it a Sentinel.
    static func start(_ arguments: [String], sentinelFile: String? = nil) async throws -> RedisServer {
        var last: any Error = StartFailure(description: "not tried")
        // Between the look for a free port and the start another process may take it.
        for _ in 0..<5 {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
                "asynq-test-\(UUID().uuidString)"
            )
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let server = RedisServer(
                port: try freePort(),
                folder: folder,
                arguments: arguments,
                sentinelFile: sentinelFile
            )
            do {
                try await server.start()
                return server
            } catch {
                last = error
            }
        }
        throw last
    }

    /// Starts it, again after ``stop()`` or ``kill()`` too: on the same port, with what it has stored in its folder.
    package func start() async throws {
        // One of the user's own, such as another version, or a Valkey.
        let own = ProcessInfo.processInfo.environment["ASYNQ_REDIS_SERVER"].map { [$0] }
        let usual = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"]
        guard let path = (own ?? usual).first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw StartFailure(description: "redis-server is not installed: run `make setup`")
        }
        let log = folder.appendingPathComponent("redis.log")
        if !FileManager.default.fileExists(atPath: log.path) {
            _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        }
        let output = try FileHandle(forWritingTo: log)
        // After what was written before it was started again.
        let start = try output.seekToEnd()
        let process = try ChildProcess(path, try words(), output: output, errors: output)
        self.process.withLock { $0 = process }
        // It says so in its log when it takes connections, at the earliest.
        try await eventually("redis-server on port \(port) takes connections") {
            let text =
                (try? Data(contentsOf: log)).map { String(decoding: $0.dropFirst(Int(start)), as: UTF8.self) } ?? ""
            guard process.isRunning else {
                throw StartFailure(description: "redis-server ended at its start: \(text.suffix(500))")
            }
            return text.contains(sentinelFile == nil ? "Ready to accept connections" : "Sentinel ID is")
        }
    }

    private func words() throws -> [String] {
        let common = ["--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.path]
        guard let sentinelFile else {
            let own = ["--unixsocket", socketPath, "--save", "", "--enable-debug-command", "local"]
            return common + own + arguments
        }
        let file = folder.appendingPathComponent("sentinel.conf")
        if !FileManager.default.fileExists(atPath: file.path) {
            try Data(sentinelFile.utf8).write(to: file)
        }
        return [file.path, "--sentinel"] + common + arguments
    }

    /// Stops it as it stands, until ``resume()``: it keeps its connections and answers nothing.
    package func suspend() { process.withLock { $0 }?.signal(SIGSTOP) }

    package func resume() { process.withLock { $0 }?.signal(SIGCONT) }

    /// Ends it in good order.
    package func stop() { end(SIGTERM) }

    /// Ends it at once.
    package func kill() { end(SIGKILL) }

    private func end(_ signal: Int32) {
        guard let process = process.withLock({ $0.take() }) else { return }
        process.signal(signal)
        process.waitUntilExit()
    }

    /// What the server answers to a command, as redis-cli writes it into a pipe: one line a value.
    @discardableResult
    package func cli(_ arguments: String...) throws -> String {
        var connection = try PlainConnection(port: port)
        return try connection.run(arguments)
    }

    /// The answers to several commands on one connection.
    package func cli(_ commands: [String]...) throws -> [String] {
        var connection = try PlainConnection(port: port)
        var answers: [String] = []
        for command in commands { answers.append(try connection.run(command)) }
        return answers
    }

    /// The port to look at next. Below those that systems give to connections on their own, one of which could take it
    /// before the server does; each is given once a process, until they begin anew.
    private static let nextPort = Mutex(Int.random(in: ports))
    private static let ports = 10_000..<32_000

    /// A loopback port that nobody listens on.
    package static func freePort() throws -> Int {
        for _ in ports {
            let port = nextPort.withLock { next in
                defer { next = next + 1 < ports.upperBound ? next + 1 : ports.lowerBound }
                return next
            }
            if isFree(port) { return port }
        }
        throw StartFailure(description: "no port from \(ports.lowerBound) to \(ports.upperBound) is free")
    }

    private static func isFree(_ port: Int) -> Bool {
        #if os(Linux)
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
        }
    }
}

/// So many servers run at once at most: tests run in parallel, and a machine has few cores.
final class ServerSlots: Sendable {
    static let shared = ServerSlots()

    private struct State {
        var free = 6
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiters.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiters.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
    }
}
