import Testing

@testable import ChaosHarness

/// A checker that finds nothing would be of no use: each rule is broken here once.
struct CheckerTests {
    private static let second: Int64 = 1_000_000_000

    /// What happened, in a shape that is short to write: time in seconds, process, line.
    private func evidence(_ lines: [(Double, String, String)]) throws -> Evidence {
        var evidence = Evidence()
        evidence.lines = try lines.map { time, process, text in
            let entry = try #require(Entry(text.split(separator: " ")), "\(text)")
            return JournalLine(process: process, time: Int64(time * 1e9), entry: entry)
        }
        return evidence
    }

    private func rules(_ evidence: Evidence) -> [ChaosReport.Rule] {
        Checker.check(evidence).violations.map(\.rule)
    }

    private let once: [(Double, String, String)] = [
        (1, "producer0.0", "ack a plain default - 0 1 1"),
        (2, "worker0.0", "start 1 a 0 plain -"),
        (2.1, "worker0.0", "end 1 done"),
    ]

    private var twice: [(Double, String, String)] {
        once + [(70, "worker1.0", "start 9 a 1 plain -"), (70.1, "worker1.0", "end 9 done")]
    }

    private func fault(_ kind: FaultKind, _ target: String, _ from: Int64, _ to: Int64) -> FaultRecord {
        FaultRecord(kind: kind, target: target, from: from * Self.second, to: to * Self.second)
    }

    @Test func `a task that ran once breaks no rule`() throws {
        let report = Checker.check(try evidence(once))
        #expect(report.violations.isEmpty)
        #expect(report.tasks == 1)
        #expect(report.handlers == 1)
        #expect(report.outcomes == [.done: 1])
    }

    @Test(arguments: [1, 2])
    func `a task that did not run to its end is lost`(count: Int) throws {
        let evidence = try evidence(Array(once.prefix(count)))
        #expect(rules(evidence) == [.lost])
    }

    @Test func `a task in the archive is not lost, if it has a reason to be there`() throws {
        var flaky = try evidence([(1, "producer0.0", "ack a flaky default - 0 1 1")])
        flaky.archived = ["a": "bad luck"]
        #expect(rules(flaky).isEmpty)
        flaky.archived = ["a": ""]
        #expect(rules(flaky) == [.archived])
        var plain = try evidence([(1, "producer0.0", "ack a plain default - 0 1 1")])
        plain.archived = ["a": "asynq: task lease expired"]
        #expect(rules(plain) == [.archived])
    }

    @Test func `what no promise holds for is counted`() throws {
        var evidence = try evidence([
            (1, "producer0.0", "ack a plain default - 0 1 1"), (1, "producer0.0", "ack b plain default - 0 2 0"),
        ])
        evidence.isDurable = false
        let report = Checker.check(evidence)
        #expect(report.violations.isEmpty)
        #expect(report.lostWithoutPromise == 2)
        // Unless all that may take over had it.
        evidence.isReplicated = true
        #expect(rules(evidence) == [.lost])
        #expect(Checker.check(evidence).lostWithoutPromise == 1)
    }

    @Test func `a task of a group has run when it was aggregated into one that ran`() throws {
        let lines: [(Double, String, String)] = [
            (1, "producer0.0", "ack a grouped default g1 0 1 1"),
            (2, "worker0.0", "start 1 d 0 digest -"),
            (2.1, "worker0.0", "member 1 a"),
            (2.2, "worker0.0", "end 1 done"),
        ]
        #expect(rules(try evidence(lines)).isEmpty)
        #expect(rules(try evidence(Array(lines.prefix(2)))) == [.lost])
        let again: [(Double, String, String)] = [
            (3, "worker1.0", "start 1 e 0 digest -"), (3.1, "worker1.0", "member 1 a"),
            (3.2, "worker1.0", "end 1 done"),
        ]
        #expect(rules(try evidence(lines + again)) == [.repeated])
    }

    @Test func `a task that ran twice needs a cause`() throws {
        #expect(rules(try evidence(twice)) == [.repeated])
    }

    @Test func `a worker that died at once, or while the server was away, is a cause`() throws {
        var soon = try evidence(twice)
        soon.processes = [ProcessRecord(name: "worker0.0", diedAt: 3 * Self.second)]
        #expect(Checker.check(soon).duplicates == [.processDied: 1])
        var late = try evidence(twice)
        late.processes = [ProcessRecord(name: "worker0.0", diedAt: 20 * Self.second)]
        #expect(rules(late) == [.repeated])
        late.faults = [fault(.stopNode, "node1", 1, 19)]
        #expect(Checker.check(late).duplicates == [.processDied: 1])
        #expect(rules(late).isEmpty)
    }

    @Test func `a worker that was stopped for long is a cause, for a moment none`() throws {
        var stopped = try evidence(twice)
        stopped.faults = [fault(.stopWorkerForLong, "worker0.0", 1, 40)]
        #expect(Checker.check(stopped).duplicates == [.leaseLost: 1])
        stopped.faults = [fault(.stopWorker, "worker0.0", 1, 5)]
        #expect(rules(stopped) == [.repeated])
        stopped.faults = [fault(.stopWorkerForLong, "worker1.0", 1, 40)]
        #expect(rules(stopped) == [.repeated])
    }

    @Test func `a fail-over is a cause where writes may be lost`() throws {
        var evidence = try evidence(twice)
        evidence.faults = [fault(.killNode, "node1", 2, 4)]
        #expect(rules(evidence) == [.repeated])
        evidence.isDurable = false
        #expect(Checker.check(evidence).duplicates == [.failOver: 1])
    }

    @Test func `a task that was sent twice may run twice`() throws {
        var lines = twice
        lines[0].2 = "ack a plain default - 0 2 1"
        #expect(Checker.check(try evidence(lines)).duplicates == [.enqueueRepeated: 1])
    }

    @Test func `an attempt that failed is no repetition`() throws {
        var lines = twice
        lines[2].2 = "end 1 failed"
        #expect(rules(try evidence(lines)).isEmpty)
    }

    @Test func `a task must not start before its time`() throws {
        var lines = once
        lines[0].2 = "ack a delayed default - 2500000000 1 1"
        #expect(rules(try evidence(lines)) == [.early])
    }

    @Test func `a task must start soon when all is well`() throws {
        var lines = once
        lines[0].2 = "ack a probe default - 0 1 1"
        #expect(rules(try evidence(lines)).isEmpty)
        lines[1].0 = 7
        lines[2].0 = 7.1
        #expect(rules(try evidence(lines)) == [.late])
    }

    @Test func `unique tasks must not overlap without a cause`() throws {
        let lines: [(Double, String, String)] = [
            (1, "worker0.0", "start 1 a 0 unique k"), (40, "worker1.0", "start 1 b 0 unique k"),
            (41, "worker0.0", "end 1 done"), (42, "worker1.0", "end 1 done"),
        ]
        var evidence = try evidence(lines)
        #expect(rules(evidence) == [.overlap])
        evidence.faults = [fault(.stopWorkerForLong, "worker0.0", 1, 41)]
        #expect(Checker.check(evidence).overlaps == [.leaseLost: 1])
        #expect(rules(evidence).isEmpty)
    }

    @Test func `a handler ends with its process`() throws {
        var evidence = try evidence([
            (1, "worker0.0", "start 1 a 0 unique k"), (40, "worker1.0", "start 1 b 0 unique k"),
            (42, "worker1.0", "end 1 done"),
        ])
        #expect(rules(evidence) == [.overlap])
        evidence.processes = [ProcessRecord(name: "worker0.0", diedAt: 2 * Self.second)]
        #expect(rules(evidence).isEmpty)
    }

    @Test func `there must not be more holders than places`() throws {
        var lines = (0..<ChaosTask.places).map { (1.0, "worker0.0", "take \($0) t\($0)") }
        #expect(rules(try evidence(lines)).isEmpty)
        lines.append((2, "worker1.0", "take 0 other"))
        #expect(rules(try evidence(lines)) == [.limit])
        // One that runs twice holds one place.
        lines[lines.count - 1].2 = "take 0 t0"
        #expect(rules(try evidence(lines)).isEmpty)
        lines[lines.count - 1].2 = "take 0 other"
        lines.insert((1.5, "worker0.0", "give 0 t0"), at: lines.count - 1)
        #expect(rules(try evidence(lines)).isEmpty)
    }

    @Test func `a fault that did not work out, or never came, breaks a rule`() throws {
        var evidence = try evidence(once)
        evidence.faults = [fault(.killNode, "node1", 1, 2), fault(.failOver, "node1", 3, 4)]
        evidence.faults[0].outcome = .impossible
        #expect(rules(evidence).isEmpty)
        evidence.faults[1].outcome = .failed
        #expect(rules(evidence) == [.fault])
        evidence.faults[1].outcome = .done
        evidence.missing = [.killNode]
        #expect(rules(evidence) == [.fault])
    }

    @Test func `a process must not crash`() throws {
        var evidence = try evidence(once)
        evidence.crashes = ["worker0.0 ended with status or signal 4"]
        #expect(rules(evidence) == [.crashed])
    }

    @Test func `the pause of a fail-over ends with the first task that runs afterwards`() throws {
        var evidence = try evidence([
            (1, "producer0.0", "ack a plain default - 0 1 1"), (1.1, "producer0.0", "ack b plain low - 0 1 1"),
            (1.2, "producer0.0", "ack c plain default - 0 1 1"), (1.9, "worker0.0", "start 1 a 0 plain -"),
            (2.1, "worker0.0", "start 2 b 0 plain -"), (2.8, "worker0.0", "start 3 c 0 plain -"),
        ])
        evidence.isDurable = false
        evidence.takeovers = [
            Takeover(time: 2 * Self.second, port: 1, queues: ["default"]),
            Takeover(time: 2 * Self.second, port: 2, queues: []),
        ]
        // One before, and one of another server's queue, do not count.
        #expect(Checker.check(evidence).takeoverPauses.map { $0 / 1_000_000 } == [800])
    }

    @Test func `nothing may be left behind`() throws {
        var evidence = try evidence(once)
        evidence.leftovers = ["a hash without a place: asynq:{default}:t:a"]
        #expect(rules(evidence) == [.leftBehind])
    }
}
