import ArgumentParser
import AsynqDashboard
import Foundation
import TestSupport
import Testing

@testable import AsynqCLI

@Suite struct UICommandTests {
    /// The dashboard as a process of its own, on a free port.
    private func withUI(
        _ arguments: [String] = [],
        environment: [String: String] = [:],
        _ body: (_ port: Int, ChildProcess) async throws -> Void
    ) async throws -> String {
        try await withFolder { folder in
            let uri = "sqlite:\(folder.appendingPathComponent("tasks.db").path)"
            _ = try await Program.run(["task", "enqueue", "-t", "a", "-u", uri])
            func file(_ name: String) throws -> URL {
                let url = folder.appendingPathComponent(name)
                _ = FileManager.default.createFile(atPath: url.path, contents: nil)
                return url
            }
            let (output, errors) = (try file("output"), try file("errors"))
            let process = try ChildProcess(
                try Program.path,
                ["ui", "--port", "0", "-u", uri] + arguments,
                environment: environment,
                output: try FileHandle(forWritingTo: output),
                errors: try FileHandle(forWritingTo: errors)
            )
            func line() -> String? {
                let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
                return text.hasSuffix("\n") ? text : nil
            }
            try await eventually("the dashboard listens") {
                guard process.isRunning else {
                    throw NeverHappened(description: (try? String(contentsOf: errors, encoding: .utf8)) ?? "")
                }
                return line() != nil
            }
            let port = line()?.split(separator: ":").last?.split(separator: "/").first.flatMap { Int($0) }
            try await body(try #require(port), process)
            process.signal(SIGTERM)
            try await eventually("the dashboard ends") { !process.isRunning }
            #expect(process.waitUntilExit() == 0)
            return try String(contentsOf: errors, encoding: .utf8)
        }
    }

    @Test func `the dashboard is served from the program alone, until a signal`() async throws {
        let log = try await withUI { port, _ async throws in
            #expect(try HTTP.get(port: port, "/").contains("<base href=\"/\">"))
            #expect(try HTTP.get(port: port, "/healthz").hasPrefix("HTTP/1.1 200"))
            #expect(try HTTP.get(port: port, "/api/queues").contains("\"queue\":\"default\""))
            #expect(try HTTP.get(port: port, "/api/queues/default:pause", method: "POST").hasPrefix("HTTP/1.1 204"))
        }
        #expect(log.contains("asynq.dashboard.action=pause"))
    }

    @Test func `its options do what they say`() async throws {
        let log = try await withUI(
            ["--root-path", "/ops", "--read-only", "--enable-metrics-exporter", "--refresh", "500ms"]
        ) { port, _ async throws in
            #expect(try HTTP.get(port: port, "/ops/metrics").contains("asynq_queue_size{queue=\"default\"} 1"))
            #expect(try HTTP.get(port: port, "/ops/api/session").contains("\"refresh_seconds\":0.5"))
            #expect(try HTTP.get(port: port, "/ops/api/queues/default", method: "DELETE").hasPrefix("HTTP/1.1 405"))
        }
        #expect(log.isEmpty)
    }

    @Test func `a password of the environment closes it`() async throws {
        let environment = ["ASYNQ_UI_PASSWORD": "sesame", "ASYNQ_UI_TOKEN": "0123456789abcdef"]
        let log = try await withUI(environment: environment) { port, _ async throws in
            #expect(try HTTP.get(port: port, "/api/queues").hasPrefix("HTTP/1.1 401"))
            #expect(try HTTP.get(port: port, "/").hasPrefix("HTTP/1.1 200"))
        }
        #expect(!log.contains("sesame"))
    }

    @Test func `what is not safe, or makes no sense, is refused in one line`() async throws {
        let cases: [([String], Int32, String)] = [
            (["--host", "0.0.0.0"], 1, "--allow-public-without-password"),
            (["--user", "ann"], 64, "ASYNQ_UI_PASSWORD"), (["--users-file", "/none"], 64, "--users-file"),
            (["--port", "70000"], 64, "--port"), (["--max-payload-length", "0"], 64, "--max-payload-length"),
            (["--refresh", "1ms"], 64, "--refresh"), (["--prometheus-address", "here"], 1, "http://"),
        ]
        try await withFolder { folder in
            let uri = "sqlite:\(folder.appendingPathComponent("tasks.db").path)"
            _ = try await Program.run(["task", "enqueue", "-t", "a", "-u", uri])
            for (arguments, status, text) in cases {
                let outcome = try await Program.run(["ui", "-u", uri] + arguments)
                #expect(outcome.status == status && outcome.errors.contains(text), "\(arguments): \(outcome.errors)")
                #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
            }
        }
    }

    @Test func `users of a file have their roles, and a wrong line is not repeated`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("users").path
            try "# who\nadmin:ann:one:two\nread_only:bob:look\n".write(toFile: path, atomically: true, encoding: .utf8)
            let access = try UIAccess.parse(["--users-file", path])
            #expect(try access.authentication([:]).isCredentials)
            try "admin:ann\nsecret".write(toFile: path, atomically: true, encoding: .utf8)
            let error = #expect(throws: Failure.self) { try access.authentication([:]) }
            #expect(
                error?.message.contains("line 1 of --users-file") == true && error?.message.contains("ann") == false
            )
        }
    }

    @Test func `the dashboard is of the program's version`() {
        #expect(AsynqDashboard.version == AsynqProgram.version)
    }
}

extension DashboardAuthentication {
    fileprivate var isCredentials: Bool { "\(self)".contains("credentials") }
}
