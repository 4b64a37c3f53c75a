import Asynq
import Foundation
import Testing

/// The text of options in a scheduler's entries (spec 1, "Messages").
struct EnqueueOptionTextTests {
    @Test func `each option has the text that Go gives it`() {
        let date = Date(timeIntervalSince1970: 1_257_894_000.9)
        let options: [(TaskOption, String)] = [
            (.maxRetry(5), "MaxRetry(5)"),
            (.maxRetry(-1), "MaxRetry(0)"),
            (.queue("low"), #"Queue("low")"#),
            (.taskID("x"), #"TaskID("x")"#),
            (.timeout(.minutes(20)), "Timeout(20m0s)"),
            (.timeout(.zero), "Timeout(0s)"),
            (.deadline(date), "Deadline(Tue Nov 10 23:00:00 UTC 2009)"),
            (.unique(for: .hours(1)), "Unique(1h0m0s)"),
            (.processAt(Date(timeIntervalSince1970: 4_102_444_800)), "ProcessAt(Fri Jan  1 00:00:00 UTC 2100)"),
            (.processAt(Date(timeIntervalSince1970: -0.5)), "ProcessAt(Wed Dec 31 23:59:59 UTC 1969)"),
            (.processIn(.seconds(90)), "ProcessIn(1m30s)"),
            (.retention(.days(1)), "Retention(24h0m0s)"),
            (.group("g"), #"Group("g")"#),
            (.header("k", "v"), #"Header(["k","v"])"#),
        ]
        for (option, text) in options { #expect(option.enqueueText == text) }
        // In the order given, those that are overridden too.
        #expect(
            [TaskOption.queue("a"), .maxRetry(1), .queue("b")].map(\.enqueueText).joined()
                == #"Queue("a")MaxRetry(1)Queue("b")"#
        )
    }

    @Test func `dates that no calendar holds are shown as the nearest year`() {
        #expect(TaskOption.deadline(.distantFuture).enqueueText == "Deadline(Mon Jan  1 00:00:00 UTC 4001)")
        #expect(TaskOption.deadline(Date(timeIntervalSince1970: 1e300)).enqueueText.hasSuffix("23:59:59 UTC 9999)"))
        #expect(TaskOption.deadline(Date(timeIntervalSince1970: .infinity)).enqueueText.hasSuffix("UTC 9999)"))
        #expect(TaskOption.deadline(Date(timeIntervalSince1970: -1e300)).enqueueText.hasPrefix("Deadline("))
        #expect(TaskOption.deadline(Date(timeIntervalSince1970: .nan)).enqueueText.hasPrefix("Deadline("))
    }

    @Test(
        arguments: [
            ("a\"b\\c", #""a\"b\\c""#), ("\u{07}\u{08}\u{0C}\n\r\t\u{0B}", #""\a\b\f\n\r\t\v""#),
            ("\0\u{1B}\u{7F}", #""\x00\x1b\x7f""#), ("трасса 日本 é 🎉", #""трасса 日本 é 🎉""#),
            ("\u{85}\u{A0}\u{AD}\u{200B}\u{2028}\u{FEFF}", #""\u0085\u00a0\u00ad\u200b\u2028\ufeff""#),
            ("\u{E0001}\u{10FFFF}", #""\U000e0001\U0010ffff""#), ("\u{FFFD}", "\"\u{FFFD}\""),
            ("e\u{301}\r\n", "\"e\u{301}\\r\\n\""), ("", "\"\""),
        ]
    )
    func `text is quoted as Go quotes it`(text: String, quoted: String) {
        #expect(text.goQuoted == quoted)
        #expect(TaskOption.queue(text).enqueueText == "Queue(\(quoted))")
    }
}
