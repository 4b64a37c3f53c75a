import Foundation
import Synchronization
import TestSupport

/// A TestWorker that runs, or another program of the tests.
final class WorkerProcess: Sendable {
    let lines = Recorder<String>()
    /// Has an element when there will be no more lines.
    private let silence = Recorder<Void>()
    private let process: ChildProcess
    /// Closed when nobody holds it, and then the process could not write.
    private let output = Pipe()

    convenience init(_ uri: String, queue: String, concurrency: Int, shutdownMilliseconds: Int = 8000) throws {
        try self.init([uri, queue, "\(concurrency)", "\(shutdownMilliseconds)"])
    }

    /// - Parameter arguments: as TestWorker describes them.
    convenience init(_ arguments: [String]) throws {
        try self.init("TestWorker", arguments)
    }

    init(_ program: String, _ arguments: [String]) throws {
        // Beside the tests: both are products of this package.
        let folder = Bundle.main.bundleURL.pathExtension == "xctest" ? Bundle.main.bundleURL : Bundle.main.executableURL
        guard let path = folder?.deletingLastPathComponent().appendingPathComponent(program).path else {
            throw ChildProcess.StartFailure(description: "\(program) is not beside the tests")
        }
        let rest = Mutex("")
        let (lines, silence) = (lines, silence)
        let reader = output.fileHandleForReading
        // A thread that blocks, and no event source: nothing can be amiss with it when files close and numbers come again.
        Thread.detachNewThread {
            while true {
                let data = reader.availableData
                if data.isEmpty { return silence.add(()) }
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
        }
        process = try ChildProcess(path, arguments, output: output.fileHandleForWriting, errors: .standardError)
        // So that the pipe ends with the process.
        try output.fileHandleForWriting.close()
    }

    deinit { signal(SIGKILL) }

    func signal(_ number: Int32) { process.signal(number) }

    /// Waits for its end, and for all that it has written. Returns its status.
    func wait() async throws -> Int32 {
        try await eventually("the process ends") { !process.isRunning }
        await silence.wait(for: 1)
        return process.waitUntilExit()
    }

    /// The ids in lines such as `start ID`.
    func ids(_ word: String) -> [String] {
        lines.elements.filter { $0.hasPrefix("\(word) ") }.map { String($0.dropFirst(word.count + 1)) }
    }
}
