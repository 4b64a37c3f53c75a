import Foundation
import TestSupport
import Testing

/// The built program, as a user calls it.
enum Program {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String

        var lines: [String] { output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }

        /// The words of the first line that begins with `word`.
        func words(_ word: String) -> [String]? {
            lines.map { $0.split(separator: " ").map(String.init) }.first { $0.first == word }
        }

        func json() throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
        }
    }

    static var path: String {
        get throws {
            // Beside the tests: both are products of this package.
            let folder =
                Bundle.main.bundleURL.pathExtension == "xctest" ? Bundle.main.bundleURL : Bundle.main.executableURL
            return try #require(folder?.deletingLastPathComponent().appendingPathComponent("asynq").path)
        }
    }

    /// Runs it to its end, with no variables but those that are given and HOME, which is an empty folder.
    static func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String? = nil,
        files: [String: String] = [:]
    ) async throws -> Outcome {
        try await withFolder { folder in
            func file(_ name: String, _ text: String = "") throws -> FileHandle {
                let url = folder.appendingPathComponent(name)
                try text.write(to: url, atomically: false, encoding: .utf8)
                return try FileHandle(forUpdating: url)
            }
            let (output, errors) = (try file("output"), try file("errors"))
            let home = folder.appendingPathComponent("home")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            for (name, text) in files {
                try text.write(to: home.appendingPathComponent(name), atomically: false, encoding: .utf8)
            }
            if let input { _ = try file("input", input) }
            let process = try ChildProcess(
                try path,
                arguments,
                environment: ["HOME": home.path].merging(environment) { $1 },
                input: input == nil ? "/dev/null" : folder.appendingPathComponent("input").path,
                output: output,
                errors: errors
            )
            try await eventually("asynq \(arguments) ends") { !process.isRunning }
            func text(_ handle: FileHandle) throws -> String {
                try handle.seek(toOffset: 0)
                return String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
            }
            return Outcome(status: process.waitUntilExit(), output: try text(output), errors: try text(errors))
        }
    }
}

/// A folder of the test's own, which is deleted afterwards.
func withFolder<Value>(
    isolation: isolated (any Actor)? = #isolation,
    _ body: (URL) async throws -> Value
) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-cli-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}
