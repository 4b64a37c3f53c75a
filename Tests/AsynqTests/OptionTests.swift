import Foundation
import Testing

@testable import Asynq

/// Tasks and their options (spec 2, "Task and options").
struct OptionTests {
    @Test func `a task without options has the defaults`() throws {
        let request = try EnqueueRequest(AsynqTask("t"))
        let message = request.message
        #expect(message.queue == "default" && message.maxRetry == 25 && message.timeout == 1800)
        #expect(message.deadline == 0 && message.retention == 0 && message.group.isEmpty && message.headers.isEmpty)
        #expect(request.start == .now && request.uniqueFor == nil && message.payload == nil)
        #expect(
            message.id.wholeMatch(of: #/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/#) != nil
        )
    }

    @Test func `options at enqueue override those of the task, and the last of two wins`() throws {
        let task = AsynqTask("t", headers: ["a": "1", "b": "1"], .queue("low"), .maxRetry(1), .header("b", "2"))
        let request = try EnqueueRequest(task, options: [.queue("high"), .header("c", "3"), .queue("higher")])
        #expect(request.message.queue == "higher" && request.message.maxRetry == 1)
        #expect(request.message.headers == ["a": "1", "b": "2", "c": "3"])
    }

    @Test func `of a moment and a delay the last one wins`() throws {
        let (moment, delay) = (
            TaskOption.processAt(Date(timeIntervalSince1970: 4_102_444_800)), TaskOption.processIn(.seconds(5)),
        )
        let at = EnqueueRequest.Start.at(milliseconds: 4_102_444_800_000)
        #expect(try EnqueueRequest(AsynqTask("t", delay, moment)).start == at)
        #expect(try EnqueueRequest(AsynqTask("t", moment, delay)).start == .after(milliseconds: 5000))
        #expect(try EnqueueRequest(AsynqTask("t", delay), options: [moment]).start == at)
        #expect(try EnqueueRequest(AsynqTask("t", moment), options: [.processIn(.zero)]).start == .now)
    }

    @Test func `19: a limit below a second is rounded up, and never becomes none`() throws {
        for (duration, seconds) in [
            (Duration.nanoseconds(1), 1), (.milliseconds(999), 1), (.seconds(1), 1), (.milliseconds(1001), 2),
        ] as [(Duration, Int64)] {
            let message = try EnqueueRequest(AsynqTask("t", .timeout(duration), .retention(duration))).message
            #expect(message.timeout == seconds && message.retention == seconds)
        }
        for (time, seconds) in [(-5.0, 1), (0, 1), (0.5, 1), (4_102_444_800.001, 4_102_444_801)] as [(Double, Int64)] {
            let task = AsynqTask("t", .deadline(Date(timeIntervalSince1970: time)))
            #expect(try EnqueueRequest(task).message.deadline == seconds)
        }
    }

    @Test func `numbers out of range become the nearest that make sense`() throws {
        let request = try EnqueueRequest(
            AsynqTask("t"),
            options: [.maxRetry(-5), .deadline(.distantFuture), .retention(.seconds(Int64.max)), .timeout(.zero)]
        )
        #expect(request.message.maxRetry == 0 && request.message.timeout == 0 && request.message.deadline > 0)
        let large = try EnqueueRequest(AsynqTask("t"), options: [.maxRetry(.max), .processAt(.distantPast)])
        #expect(large.message.maxRetry == .max)
    }

    @Test func `for ever is as long as a broker can count`() throws {
        let request = try EnqueueRequest(
            AsynqTask("t"),
            options: [.unique(for: .seconds(Int64.max)), .processIn(.seconds(Int64.max))]
        )
        guard case .after(let delay) = request.start, let ttl = request.uniqueFor?.millisecondsRoundedUp else {
            Issue.record("neither a delay nor a lock")
            return
        }
        // Lua counts in doubles, and a start and a lock are added to a time.
        #expect(delay > 3_000_000_000_000 && ttl > 3_000_000_000_000 && delay + ttl < 1 << 53)
        let later = try EnqueueRequest(AsynqTask("t"), options: [.processAt(Date(timeIntervalSince1970: 1e300))])
        #expect(later.start == .at(milliseconds: delay))
    }

    @Test func `queues whose names only look alike are told apart`() {
        let (one, two) = ("caf\u{E9}", "cafe\u{301}")
        #expect(one == two && QueueName(one) != QueueName(two))
        #expect(Set([QueueName(one), QueueName(two), QueueName(one)]).count == 2)
    }

    @Test func `dates in typed payloads keep their milliseconds, and Go's are read`() throws {
        struct Dated: Codable, Equatable { var at: Date }
        let coder = JSONPayloadCoder()
        let dated = Dated(at: Date(timeIntervalSince1970: 1_767_323_045.5))
        let bytes = try coder.encode(dated)
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"at":"2026-01-02T03:04:05.500Z"}"#)
        #expect(try coder.decode(Dated.self, from: bytes) == dated)
        for (text, seconds) in [
            ("2026-01-02T03:04:05Z", 1_767_323_045.0), ("2026-01-02T05:04:05+02:00", 1_767_323_045.0),
            ("2026-01-02T03:04:05.25Z", 1_767_323_045.25),
        ] {
            let read = try coder.decode(Dated.self, from: Array(#"{"at":"\#(text)"}"#.utf8))
            #expect(abs(read.at.timeIntervalSince1970 - seconds) < 0.001, "\(text)")
        }
        #expect(throws: DecodingError.self) { try coder.decode(Dated.self, from: Array(#"{"at":"today"}"#.utf8)) }
    }

    @Test func `a deadline alone means no timeout`() throws {
        let request = try EnqueueRequest(
            AsynqTask("t"),
            options: [.deadline(Date(timeIntervalSince1970: 4_102_444_800.2))]
        )
        #expect(request.message.timeout == 0 && request.message.deadline == 4_102_444_801)
    }

    @Test func `start times are kept to the millisecond, and never become earlier`() throws {
        func start(_ option: TaskOption) throws -> EnqueueRequest.Start {
            try EnqueueRequest(AsynqTask("t"), options: [option]).start
        }
        #expect(
            try start(.processAt(Date(timeIntervalSince1970: 1_800_000_000.123)))
                == .at(milliseconds: 1_800_000_000_123)
        )
        #expect(try start(.processIn(.microseconds(1500))) == .after(milliseconds: 2))
        #expect(try start(.processIn(.seconds(-1))) == .now)
        #expect(try start(.processIn(.days(2))) == .after(milliseconds: 172_800_000))
    }

    @Test(
        arguments: [
            ("type", AsynqTask(" \n")), ("type", AsynqTask("")), ("queue", AsynqTask("t", .queue(" "))),
            ("id", AsynqTask("t", .taskID("\t"))), ("group", AsynqTask("t", .group(""))),
            ("at least 1 second", AsynqTask("t", .unique(for: .milliseconds(999)))),
            ("timeout", AsynqTask("t", .timeout(.seconds(-1)))),
            ("retention", AsynqTask("t", .retention(.seconds(-1)))),
        ]
    )
    func `what makes no sense is refused with a sentence`(text: String, task: AsynqTask) {
        let error = #expect(throws: AsynqError.self) { try EnqueueRequest(task) }
        #expect(error?.code == .invalidArgument && error?.message.contains(text) == true)
    }

    @Test func `the default delay grows with the retries, and never overflows`() {
        for (retried, least) in [(0, 15), (1, 16), (10, 10_015), (25, 390_640)] {
            let delay = AsynqServer.Configuration.defaultRetryDelay(retried: retried)
            #expect(delay >= .seconds(least) && delay <= .seconds(least + 29 * (retried + 1)))
        }
        #expect(AsynqServer.Configuration.defaultRetryDelay(retried: .max) > .seconds(1))
        #expect(AsynqServer.Configuration.defaultRetryDelay(retried: -3) >= .seconds(15))
    }
}
