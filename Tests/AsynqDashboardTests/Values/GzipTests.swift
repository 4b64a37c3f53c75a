import Foundation
import Testing

@testable import AsynqDashboard

struct GzipTests {
    /// What `gzip` makes of it again.
    private func restored(_ compressed: [UInt8]) throws -> [UInt8] {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).gz")
        try Data(compressed).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc", file.path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = Array(output.fileHandleForReading.readDataToEndOfFile())
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return bytes
    }

    @Test(arguments: [0, 1, 2, 3, 4, 257, 258, 259, 260, 70_000])
    func `Repeated bytes of any length come back`(length: Int) throws {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 / 300) }
        #expect(try restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `Bytes without a pattern come back`() throws {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(try restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `What is repeated further back than the window comes back`() throws {
        var generator = SystemRandomNumberGenerator()
        let part = (0..<600).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let bytes =
            part + [UInt8](repeating: 7, count: 32_768 - 600) + part + [UInt8](repeating: 8, count: 32_769) + part
        #expect(try restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `All files of the front end become a good deal smaller, and come back`() throws {
        var sizes = (plain: 0, compressed: 0)
        for (path, bytes) in EmbeddedAssets.files {
            let compressed = Gzip.compress(bytes)
            sizes.plain += bytes.count
            sizes.compressed += compressed.count
            #expect(try restored(compressed) == bytes, "\(path)")
        }
        #expect(sizes.compressed * 2 < sizes.plain)
    }
}
