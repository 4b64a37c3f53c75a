import Asynq
import Foundation
import TestSupport
import Testing

/// Durations as Go writes and reads them.
struct GoDurationTests {
    struct Rows: Decodable, Sendable {
        struct Row: Decodable, Sendable {
            var text: String
            var nanoseconds: String?
            var error: Bool?

            var duration: Duration? { nanoseconds.flatMap(Int64.init).map { .nanoseconds($0) } }
        }
        var format: [Row]
        var parse: [Row]
    }

    @Test func `every recorded duration is written as Go writes it, and read again`() throws {
        let rows = try Golden.load(Rows.self, "durations").format
        #expect(rows.count == 20)
        for row in rows {
            let duration = try #require(row.duration)
            #expect(GoDuration.format(duration) == row.text)
            #expect(try GoDuration.parse(row.text) == duration)
        }
    }

    @Test func `every recorded text is read as Go reads it, or refused`() throws {
        let rows = try Golden.load(Rows.self, "durations").parse
        #expect(rows.count == 24)
        for row in rows {
            if row.error == true {
                let error = #expect(throws: AsynqError.self, "\(row.text)") { try GoDuration.parse(row.text) }
                #expect(error?.code == .invalidArgument, "\(row.text)")
            } else {
                #expect(try GoDuration.parse(row.text) == row.duration, "\(row.text)")
            }
        }
    }

    @Test(
        arguments: [
            ("", "no number"), ("-", "no number"), ("1", "no unit"), (".s", "no number in front"), ("1d", "\"d\""),
            ("1h 30m", "\"h \""), ("1.2.3s", "no unit"), ("١s", "no number in front"), ("1s-1s", "\"s-\""),
            ("106751d\n", "\"d\\n\""), ("9223372036854775808ns", "292 years"), ("99999999999999999999h", "292 years"),
            ("2562047h47m16.854775808s", "292 years"), ("9223372036854775807ns1ns", "292 years"),
            ("-9223372036854775809ns", "292 years"), ("1\u{301}s", "unit"),
        ]
    )
    func `what is no duration is refused with the reason`(text: String, reason: String) {
        let error = #expect(throws: AsynqError.self) { try GoDuration.parse(text) }
        #expect(error?.code == .invalidArgument && error?.message.contains(reason) == true, "\(error as Any)")
    }

    @Test func `fractions are cut to the nanosecond, however long they are`() throws {
        #expect(try GoDuration.parse("0.0000000019s") == .nanoseconds(1))
        #expect(try GoDuration.parse("1.00000000000000000000000000000000001h") == .hours(1))
        #expect(try GoDuration.parse("0.33333333333333333333h") == .seconds(1200))
        #expect(try GoDuration.parse("-2562047h47m16.854775808s") == .nanoseconds(Int64.min))
        #expect(try GoDuration.parse("0000001m") == .minutes(1))
        #expect(try GoDuration.parse("-0") == .zero)
    }

    @Test func `what Go cannot hold is written as the nearest that it can`() {
        #expect(GoDuration.format(.seconds(Int64.max)) == "2562047h47m16.854775807s")
        #expect(GoDuration.format(.seconds(Int64.min)) == "-2562047h47m16.854775808s")
        #expect(GoDuration.format(Duration(secondsComponent: 1, attosecondsComponent: 1)) == "1s")
    }

    @Test func `what is written is read as the same`() throws {
        var generator = SeededGenerator()
        for _ in 0..<2000 {
            let shift = Int64.random(in: 0..<63, using: &generator)
            let duration = Duration.nanoseconds(Int64.random(in: .min ... .max, using: &generator) >> shift)
            #expect(try GoDuration.parse(GoDuration.format(duration)) == duration, "seed \(generator.seed)")
        }
    }
}
