import Foundation
import TestSupport
import Testing

@testable import AsynqDashboard

struct GzipTests {
    @Test(arguments: [0, 1, 2, 3, 4, 257, 258, 259, 260, 70_000])
    func `Repeated bytes of any length come back`(length: Int) throws {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 / 300) }
        #expect(try Gzip.restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `Bytes without a pattern come back`() throws {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(try Gzip.restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `What is repeated further back than the window comes back`() throws {
        var generator = SystemRandomNumberGenerator()
        let part = (0..<600).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let bytes =
            part + [UInt8](repeating: 7, count: 32_768 - 600) + part + [UInt8](repeating: 8, count: 32_769) + part
        #expect(try Gzip.restored(Gzip.compress(bytes)) == bytes)
    }

    @Test func `Few tries come back as well, and what is compressed is told from JSON by its beginning`() throws {
        let bytes = Array(String(repeating: #"{"id":"a","payload":"{\"to\":1}"},"#, count: 500).utf8)
        let compressed = Gzip.compress(bytes, tries: 1)
        #expect(try Gzip.restored(compressed) == bytes && compressed.count * 10 < bytes.count)
        #expect(compressed.starts(with: Gzip.magic))
    }

    @Test func `A file that many ask for at once is compressed once`() async {
        let file = CompressedFile()
        let times = Recorder<Void>()
        let answers = await withTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<50 {
                group.addTask {
                    file.bytes {
                        times.add(())
                        return Gzip.compress(Array(repeating: 7, count: 5000))
                    }
                }
            }
            return await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
        }
        #expect(times.count == 1 && answers.count == 1)
    }

    @Test func `All files of the front end become a good deal smaller, and come back`() throws {
        var sizes = (plain: 0, compressed: 0)
        for (path, bytes) in EmbeddedAssets.files {
            let compressed = Gzip.compress(bytes)
            sizes.plain += bytes.count
            sizes.compressed += compressed.count
            #expect(try Gzip.restored(compressed) == bytes, "\(path)")
        }
        #expect(sizes.compressed * 2 < sizes.plain)
    }
}
