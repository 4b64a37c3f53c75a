import Foundation
import Synchronization
import TestSupport

/// A TestWorker that runs, or another program of the tests.
final class WorkerProcess: Sendable {
    let lines = Recorder<String>()
    private let process: Mutex<Process>
    let identifier: Int32

    convenience init(_ uri: String, queue: String, concurrency: Int, shutdownMilliseconds: Int = 8000) throws {
        try self.init([uri, queue, "\(concurrency)", "\(shutdownMilliseconds)"])
    }

    /// - Parameter arguments: as TestWorker describes them.
    convenience init(_ arguments: [String]) throws {
        try self.init("TestWorker", arguments)
    }

    init(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        // Beside the tests: both are products of this package.
        let folder = Bundle.main.bundleURL.pathExtension == "xctest" ? Bundle.main.bundleURL : Bundle.main.executableURL
        process.executableURL = folder?.deletingLastPathComponent().appendingPathComponent(program)
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        let rest = Mutex("")
        let lines = lines
        output.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            guard !data.isEmpty else {
                handle.readabilityHandler = nil
                return
            }
            let complete = rest.withLock { rest in
                var parts = (rest + String(decoding: data, as: UTF8.self)).split(
                    separator: "\n",
                    omittingEmptySubsequences: false
                )
                rest = String(parts.removeLast())
                return parts.map(String.init)
            }
            for line in complete { lines.add(line) }
        }
        try process.run()
        identifier = process.processIdentifier
        self.process = Mutex(process)
    }

    deinit { signal(SIGKILL) }

    func signal(_ number: Int32) { _ = kill(identifier, number) }

    /// Waits for its end. Returns its status.
    func wait() async throws -> Int32 {
        try await eventually("the process ends") { process.withLock { !$0.isRunning } }
        return process.withLock { $0.terminationStatus }
    }

    /// The ids in lines such as `start ID`.
    func ids(_ word: String) -> [String] {
        lines.elements.filter { $0.hasPrefix("\(word) ") }.map { String($0.dropFirst(word.count + 1)) }
    }
}
