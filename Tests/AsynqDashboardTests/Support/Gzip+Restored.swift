import Foundation
import TestSupport
import Testing

@testable import AsynqDashboard

extension Gzip {
    /// What the program `gzip` makes of compressed bytes.
    static func restored(_ compressed: [UInt8]) throws -> [UInt8] {
        let input = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).gz")
        let output = input.appendingPathExtension("restored")
        defer { for file in [input, output] { try? FileManager.default.removeItem(at: file) } }
        try Data(compressed).write(to: input)
        try Data().write(to: output)
        let process = try ChildProcess(
            "/usr/bin/env",
            ["gzip", "-dc", input.path],
            output: try FileHandle(forWritingTo: output)
        )
        #expect(process.waitUntilExit() == 0)
        return Array(try Data(contentsOf: output))
    }
}
