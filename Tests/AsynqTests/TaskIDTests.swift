import Testing

@testable import Asynq

@Suite struct TaskIDTests {
    @Test func `an id is a UUID of version 4 in lower case`() throws {
        for _ in 0..<1000 {
            let id = TaskID.random()
            #expect(id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
    }

    @Test func `ids do not repeat`() {
        #expect(Set((0..<10_000).map { _ in TaskID.random() }).count == 10_000)
    }

    @Test func `an id of the time is a UUID of version 7, and ids of later milliseconds are greater`() throws {
        let ids = (0..<2000).map { TaskID.timeOrdered(milliseconds: 1_800_000_000_000 + $0) }
        for id in ids {
            #expect(id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
        #expect(ids == ids.sorted())
        #expect(try #require(ids.first).hasPrefix("01a3185c-5000-7"))
        #expect(Set((0..<10_000).map { _ in TaskID.timeOrdered(milliseconds: 1) }).count == 10_000)
    }
}

struct BytesOfTextTests {
    @Test(arguments: 0...25)
    func `texts have the same bytes if none differs, of whatever length they are`(length: Int) {
        let text = String(repeating: "x", count: length)
        #expect(text.hasSameBytes(as: String(repeating: "x", count: length)))
        #expect(!text.hasSameBytes(as: text + "x"))
        #expect(!(text + "x").hasSameBytes(as: text))
        for place in 0..<length {
            var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: length)
            bytes[place] = UInt8(ascii: "y")
            #expect(!text.hasSameBytes(as: String(decoding: bytes, as: UTF8.self)), "\(place)")
        }
    }

    @Test func `texts that look the same are told apart`() {
        #expect("\u{e9}" == "e\u{301}")
        #expect(!"\u{e9}".hasSameBytes(as: "e\u{301}"))
    }
}
