import Asynq
import Foundation
import Testing

@testable import AsynqDashboard

@Suite struct PrintedBytesTests {
    @Test func `UTF-8 that prints stays as it is`() {
        for text in ["", "{\"a\": 1}", "line\n\tnext", "é 日本 👩‍👩‍👧 العربية"] {
            #expect(PrintedBytes.text(Array(text.utf8)) == text)
        }
    }

    @Test func `other bytes are shown as such`() {
        #expect(PrintedBytes.text([0, 255, 65]) == "\\x00\\xffA")
        #expect(PrintedBytes.text([0xC3, 0x28]) == "\\xc3(")
        #expect(PrintedBytes.text(Array("a\u{1B}[31m".utf8)) == "a\\x1b[31m")
        #expect(PrintedBytes.text(Array("a\u{202E}b".utf8)) == "a\\xe2\\x80\\xaeb")
    }

    @Test func `long text is cut between characters`() {
        #expect(PrintedBytes.text(Array("abcdef".utf8), limit: 3) == "abc…")
        #expect(PrintedBytes.text(Array("abc".utf8), limit: 3) == "abc")
        #expect(PrintedBytes.text(Array("éàü".utf8), limit: 2) == "éà…")
        let family = "👩‍👩‍👧"
        #expect(PrintedBytes.text(Array(String(repeating: family, count: 5).utf8), limit: 2) == family + family + "…")
        // Cut in the middle of a character before its end was looked for.
        let long = PrintedBytes.text(Array(String(repeating: "€", count: 100_000).utf8), limit: 200)
        #expect(long == String(repeating: "€", count: 200) + "…")
    }
}

@Suite struct JSONValueTests {
    @Test func `what is written is what others read`() throws {
        let text = "\"\\/\n\r\t\u{0}\u{1F}\u{7F}é\u{2028}</script>👍"
        let value = JSONValue.object([
            "a": .string(text), "b": .array([.int(-1), .double(0.5), .double(.nan), .null, true]), "c": .map([:]),
        ])
        let read = try #require(try JSONSerialization.jsonObject(with: Data(value.bytes)) as? [String: Any])
        #expect(read["a"] as? String == text)
        #expect((read["b"] as? [Any])?.count == 5 && (read["b"] as? [Any])?[2] is NSNull)
        #expect(String(decoding: value.bytes, as: UTF8.self).hasPrefix("{\"a\":"))
    }
}

@Suite struct APIQueryTests {
    @Test func `values are decoded as forms encode them`() throws {
        let query = try APIQuery("a=1+2&b=%26%3D&c=&d&a=3&e=x=y")
        #expect(query.text("a") == "1 2" && query.text("b") == "&=" && query.text("e") == "x=y")
        #expect(query.text("c") == nil && query.text("d") == nil)
    }

    @Test func `numbers are whole and in their range`() throws {
        #expect(try APIQuery("page=3&size=7").page() == (3, 7))
        #expect(try APIQuery(nil).page() == (1, 20))
        for text in ["page=0", "page=-1", "page=x", "page=1.5", "size=1001", "page=99999999999999999999"] {
            #expect(throws: APIError.self) { try APIQuery(text).page() }
        }
        #expect(throws: APIError.self) { try APIQuery("a=%FF") }
    }
}

@Suite struct TaskMatcherTests {
    private func task(_ type: String = "email:welcome", payload: String = "", error: String = "") -> TaskInfo {
        var message = TaskMessage(type: type, payload: Array(payload.utf8), id: "Task-1", queue: "q")
        message.errorMessage = error
        return TaskInfo(message, state: .archived)
    }

    private func matches(_ task: TaskInfo, _ change: (inout TaskFilter) -> Void) -> Bool {
        var filter = TaskFilter()
        change(&filter)
        return TaskMatcher(filter, now: Date(timeIntervalSince1970: 1000)).matches(task)
    }

    @Test func `texts are found anywhere, in capitals or not`() {
        let task = task(payload: "{\"to\":\"Ann@Example.com\"}", error: "SMTP: refused")
        #expect(matches(task) { $0.text = "ann@example" })
        #expect(matches(task) { $0.text = "smtp" })
        #expect(!matches(task) { $0.text = "bob" })
        #expect(matches(task) { $0.type = "WELCOME" } && matches(task) { $0.id = "task-" })
        #expect(!matches(task) { $0.type = "welcome:" } && matches(task) { _ in })
    }

    @Test func `an error is that error and no other`() {
        #expect(matches(task(error: "a")) { $0.error = "a" } && !matches(task(error: "ab")) { $0.error = "a" })
        #expect(matches(task()) { $0.error = "" } && !matches(task(error: "a")) { $0.error = "" })
    }

    @Test func `ages count from the last failure, and what has none has no age`() {
        var failed = task()
        failed.lastFailedAt = Date(timeIntervalSince1970: 900)
        #expect(matches(failed) { $0.olderThan = 100 } && !matches(failed) { $0.olderThan = 101 })
        #expect(matches(failed) { $0.newerThan = 100 } && !matches(failed) { $0.newerThan = 99 })
        #expect(!matches(task()) { $0.olderThan = 0 } && !matches(task()) { $0.newerThan = 1e9 })
    }
}

@Suite struct HistoryTests {
    private func snapshot(_ queue: String, _ change: (inout QueueSnapshot) -> Void = { _ in }) -> QueueSnapshot {
        var snapshot = QueueSnapshot(queue: queue, time: Date(timeIntervalSince1970: 0))
        change(&snapshot)
        return snapshot
    }

    @Test func `a ring keeps the last samples in order`() {
        var ring = SampleRing(capacity: 3)
        for time in 1...5 { ring.append(HistorySample(snapshot("q"), time: Double(time))) }
        #expect(ring.samples(in: 0...10).map(\.time) == [3, 4, 5])
        #expect(ring.first?.time == 3 && ring.last?.time == 5 && ring.count == 3)
        #expect(ring.samples(in: 4...4).map(\.time) == [4])
    }

    @Test func `a day is kept minute by minute, and the last hour as it was read`() {
        let history = History()
        for second in stride(from: 0.0, through: 30 * 3600, by: 10) { history.add([snapshot("q")], time: second) }
        let all = history.samples(of: nil, in: 0...200_000, step: 1)[0].samples
        let end = 30.0 * 3600
        #expect(all.last?.time == end)
        #expect(all.count(where: { $0.time > end - 3600 }) == 360)
        // 24 hours of minutes, the last of which are there in full.
        #expect(all.first?.time == end - 24 * 3600 + 60)
        #expect(all.map(\.time) == all.map(\.time).sorted())
        #expect(history.samples(of: nil, in: 0...200_000, step: 3600)[0].samples.count <= 25)
    }

    @Test func `queues that are gone make room, and more than can be kept are not`() {
        let history = History()
        history.add((0..<History.mostQueues + 5).map { snapshot("q\($0)") }, time: 1)
        #expect(history.samples(of: nil, in: 0...10, step: 1).count == History.mostQueues)
        history.add([snapshot("new")], time: 2)
        #expect(history.samples(of: ["new"], in: 0...10, step: 1).count == 1)
    }

    @Test func `rates are differences, and a counter that begins anew is no negative one`() throws {
        let history = History()
        for (time, processed, failed) in [(0.0, 100, 10), (10, 150, 20), (20, 5, 5)] {
            history.add(
                [
                    snapshot("q") {
                        $0.processed = processed
                        $0.failed = failed
                    }
                ],
                time: time
            )
        }
        let json = MetricsAnswer.json(history.samples(of: nil, in: 0...100, step: 1))
        let read = try #require(try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String: [String: Any]])
        func values(_ name: String) -> [String] {
            let data = read[name]?["data"] as? [String: Any]
            let result = (data?["result"] as? [[String: Any]])?.first
            return (result?["values"] as? [[Any]])?.compactMap { $0.last as? String } ?? []
        }
        #expect(values("tasks_processed_per_second") == ["5", "0.5"])
        #expect(values("error_rate") == ["0.2", "1"])
        #expect(values("queue_size") == ["0", "0", "0"])
    }
}
