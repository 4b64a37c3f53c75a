import Asynq
import Testing

/// What is no cron spec, and what its author is told.
struct CronErrorTests {
    @Test(
        arguments: [
            ("60 * * * *", #"the minute field of the cron spec has "60": "60" is out of range; allowed is 0-59"#),
            ("* 24 * * *", #"the hour field of the cron spec has "24": "24" is out of range; allowed is 0-23"#),
            ("* * 0 * *", #"the day-of-month field of the cron spec has "0": "0" is out of range; allowed is 1-31"#),
            (
                "* * * 0-13 *",
                #"the month field of the cron spec has "0-13": "0" is out of range; allowed is 1-12 or jan-dec"#
            ),
            (
                "* * * * 8",
                #"the day-of-week field of the cron spec has "8": "8" is out of range; allowed is 0-7 or sun-sat"#
            ),
            ("60 * * * * *", #"the second field of the cron spec has "60": "60" is out of range; allowed is 0-59"#),
            (
                "* * * JANUARY *",
                #"the month field of the cron spec has "JANUARY": "JANUARY" is neither a number nor a name; "#
                    + "allowed is 1-12 or jan-dec"
            ),
            (
                "1,2,x/3 * * * *",
                #"the minute field of the cron spec has "x/3": "x" is not a number; allowed is 0-59"#
            ),
            (
                "* 5-1 * * *",
                #"the hour field of the cron spec has "5-1": the range ends before it begins; allowed is 0-23"#
            ),
        ]
    )
    func `an error names the field, the text at fault, the reason and what is allowed`(spec: String, message: String) {
        let error = #expect(throws: AsynqError.self) { try CronExpression(spec) }
        #expect(error?.code == .invalidArgument && error?.message == message)
    }

    @Test(
        arguments: [
            ("", "is empty"), (" \n", "is empty"), ("* * * *", "has 4 fields: it needs 5"), ("TZ=UTC", "has 0 fields"),
            ("* * * * * * *", "has 7 fields"), ("CRON_TZ=Europe/Berlin *", "has 1 field:"),
            ("1,,2 * * * *", "nothing before or after a comma"), (", * * * *", "nothing before or after a comma"),
            ("1, * * * *", "nothing before or after a comma"), ("-1 * * * *", "both sides"),
            ("1- * * * *", "both sides"),
            ("1-2-3 * * * *", "more than one hyphen"), ("1/2/3 * * * *", "more than one slash"),
            ("*/0 * * * *", "the step \"0\""), ("*/-1 * * * *", "the step \"-1\""), ("*/ * * * *", "the step \"\""),
            ("*/x * * * *", "the step \"x\""), ("*/99999999999999999999 * * * *", "from 1 on"),
            ("99999999999999999999 * * * *", "out of range"), ("*-5 * * * *", "\"*\" is not a number"),
            ("** * * * *", "\"**\" is not a number"), ("+5 * * * *", "\"+5\" is not a number"),
            ("٣ * * * *", "\"٣\" is not a number"), ("1.5 * * * *", "is not a number"), ("* * L * *", "day-of-month"),
            ("* * * * 5#2", "day-of-week"), ("* * * * mon-8", "\"8\" is out of range"), ("* * * mon *", "month field"),
            ("* * 32-1 * *", "\"32\" is out of range"),
            ("@never", "\"@never\""), ("@", "\"@\""), ("@daily 5", "\"@daily 5\""), ("@reboot", "@every"),
            ("@every", "needs one duration"), ("@every 1h 30m", "needs one duration"), ("@every 1", "no unit"),
            ("@every 0s", "more than zero"), ("@every -1h", "more than zero"), ("@every 3000000h", "292 years"),
            ("TZ=Nowhere/X * * * * *", "\"Nowhere/X\""), ("TZ= * * * * *", "time zone \"\""),
            ("CRON_TZ=BST @daily", "time zone \"BST\""), ("TZ=PST @daily", "\"PST\""), ("TZ=GMT+2 @daily", "\"GMT+2\""),
            ("TZ=UTC-5 @daily", "\"UTC-5\""), ("TZ=Local @daily", "\"Local\""), ("tz=UTC @daily", "has 2 fields"),
        ]
    )
    func `what is no spec is refused with the reason`(spec: String, reason: String) {
        let error = #expect(throws: AsynqError.self) { try CronExpression(spec) }
        #expect(error?.code == .invalidArgument && error?.message.contains(reason) == true, "\(error as Any)")
    }

    @Test func `an error repeats little of a long text, and no control characters`() throws {
        for spec in [String(repeating: "1", count: 10_000) + " * * * *", String(repeating: "\u{1B}[2J ", count: 9000)] {
            let error = try #require(throws: AsynqError.self) { try CronExpression(spec) }
            #expect(error.message.utf8.count < 500 && !error.message.contains("\u{1B}"))
        }
    }

    @Test func `a step that is larger than the range leaves its first value`() throws {
        let expression = try CronExpression("7-9/60 */9223372036854775807 * * *")
        let after = try moment("2026-01-01T00:00:00Z")
        #expect(try expression.next(after: after) == moment("2026-01-01T00:07:00Z"))
        #expect(try expression.next(after: moment("2026-01-01T00:07:00Z")) == moment("2026-01-02T00:07:00Z"))
    }
}
