/// Judges a run by what is written of it.
struct Checker {
    private static let millisecond: Int64 = 1_000_000
    /// So soon must a task run when all is well.
    private static let promptness: Int64 = 5000 * millisecond
    /// After a fail-over this is worth a look.
    private static let longPause: Int64 = 2000 * millisecond

    private let evidence: Evidence
    private let causes: Causes
    private var report = ChaosReport()

    private var tasks: [String: Entry.Acknowledgement] = [:]
    private var acknowledgedAt: [String: Int64] = [:]
    private var runs: [HandlerRun] = []
    private var runsOfTask: [String: [Int]] = [:]
    /// Times at which a task of a group was handled, and by which digest.
    private var aggregations: [String: [(time: Int64, process: String, digest: String)]] = [:]
    private var permits: [(id: String, process: String, from: Int64, to: Int64)] = []

    static func check(_ evidence: Evidence) -> ChaosReport {
        var checker = Checker(evidence)
        checker.read()
        checker.checkLoss()
        checker.checkTimes()
        checker.checkRepetition()
        checker.checkUniqueness()
        checker.checkPermits()
        checker.checkArchive()
        checker.checkFaults()
        checker.measureTakeovers()
        for text in evidence.leftovers { checker.violation(.leftBehind, nil, text) }
        for text in evidence.crashes { checker.violation(.crashed, nil, text) }
        return checker.report
    }

    private init(_ evidence: Evidence) {
        self.evidence = evidence
        causes = Causes(evidence)
    }

    private mutating func violation(_ rule: ChaosReport.Rule, _ id: String?, _ text: String) {
        report.violations.append(.init(rule: rule, id: id, text: text))
    }

    // MARK: Reading

    private mutating func read() {
        struct Handler: Hashable {
            let process: String
            let run: Int
        }
        var open: [Handler: Int] = [:]
        var openPermits: [Handler: Int] = [:]
        var lastEnd: Int64?
        for line in evidence.lines {
            switch line.entry {
            case .acknowledged(let task):
                tasks[task.id] = task
                acknowledgedAt[task.id] = line.time
                if !task.isConfirmed { report.unconfirmed += 1 }
                if task.tries > 1 { report.repeated += 1 }
            case .started(let run, let id, let retried, let kind, let key):
                open[Handler(process: line.process, run: run)] = runs.count
                runsOfTask[id, default: []].append(runs.count)
                runs.append(
                    HandlerRun(
                        process: line.process,
                        id: id,
                        kind: kind,
                        key: key,
                        retried: retried,
                        start: line.time,
                        end: causes.death(of: line.process) ?? .max
                    )
                )
            case .ended(let run, let outcome):
                guard let index = open.removeValue(forKey: Handler(process: line.process, run: run)) else { continue }
                runs[index].end = line.time
                runs[index].outcome = outcome
                report.outcomes[outcome, default: 0] += 1
                if outcome == .done, line.time <= evidence.quietAt {
                    if let lastEnd { report.longestSilence = max(report.longestSilence, line.time - lastEnd) }
                    lastEnd = line.time
                }
            case .took(let run, let id):
                openPermits[Handler(process: line.process, run: run)] = permits.count
                permits.append((id, line.process, line.time, causes.death(of: line.process) ?? .max))
            case .gave(let run, _):
                guard let index = openPermits.removeValue(forKey: Handler(process: line.process, run: run)) else {
                    continue
                }
                permits[index].to = line.time
            case .aggregated(let run, let id):
                guard let index = open[Handler(process: line.process, run: run)] else { continue }
                aggregations[id, default: []].append((line.time, line.process, runs[index].id))
            case .failed(let code): report.errors[code, default: 0] += 1
            }
        }
        report.tasks = tasks.count
        report.handlers = runs.count
        report.archived = evidence.archived.count
    }

    private func completions(of id: String) -> [HandlerRun] {
        (runsOfTask[id] ?? []).map { runs[$0] }.filter { $0.outcome == .done }.sorted { $0.end < $1.end }
    }

    private func kind(of id: String) -> ChaosKind? {
        tasks[id]?.kind ?? runsOfTask[id]?.first.map { runs[$0].kind }
    }

    // MARK: Rules

    /// Every acknowledged task has run to its end, or is in the archive.
    private mutating func checkLoss() {
        for (id, task) in tasks where evidence.archived[id] == nil {
            let isDone = task.kind == .grouped ? aggregations[id] != nil : !completions(of: id).isEmpty
            if isDone { continue }
            if evidence.isDurable || (evidence.isReplicated && task.isConfirmed) {
                violation(.lost, id, "was acknowledged, has not run to its end and is not in the archive")
            } else {
                report.lostWithoutPromise += 1
            }
        }
    }

    /// No task starts before its time; when all is well each starts soon.
    private mutating func checkTimes() {
        for (id, task) in tasks {
            guard let first = runsOfTask[id]?.map({ runs[$0].start }).min() else { continue }
            if first < task.earliest - 5 * Self.millisecond {
                violation(.early, id, "started \((task.earliest - first) / Self.millisecond) ms before its time")
            }
            if task.kind == .probe, let sentAt = acknowledgedAt[id] {
                report.slowestProbe = max(report.slowestProbe, first - sentAt)
                if first - sentAt > Self.promptness {
                    violation(
                        .late,
                        id,
                        "started \((first - sentAt) / Self.millisecond) ms after it was stored, with nothing amiss"
                    )
                }
            }
        }
    }

    /// What ran to its end more than once has a cause.
    private mutating func checkRepetition() {
        for id in runsOfTask.keys {
            let done = completions(of: id)
            for (first, second) in zip(done, done.dropFirst()) {
                judge(id, first.process, doneAt: first.end, seenAt: second.start, "ran to its end twice")
            }
        }
        for (id, ends) in aggregations {
            for (first, second) in zip(ends, ends.dropFirst()) where first.digest != second.digest {
                judge(id, first.process, doneAt: first.time, seenAt: second.time, "was aggregated twice")
            }
        }
    }

    private mutating func judge(_ id: String, _ process: String, doneAt: Int64, seenAt: Int64, _ text: String) {
        // What was never acknowledged may have been sent again by a producer that died over it.
        let isRepeated = tasks[id].map { $0.tries > 1 } ?? (kind(of: id) != .digest)
        let cause =
            isRepeated ? .enqueueRepeated : causes.ofForgetting(process, doneAt: doneAt, seenAt: seenAt)
        if let cause {
            report.duplicates[cause, default: 0] += 1
        } else {
            violation(.repeated, id, "\(text), the first time by \(process), and nothing explains it")
        }
    }

    /// Two tasks with the same key never run at once.
    private mutating func checkUniqueness() {
        let unique = Dictionary(grouping: runs.filter { $0.kind == .unique }, by: \.key)
        for own in unique.values {
            var open: [HandlerRun] = []
            for run in own.sorted(by: { $0.start < $1.start }) {
                open.removeAll { $0.end <= run.start }
                for other in open {
                    if let cause = causes.ofOverlap(other.process, from: other.start, to: run.start) {
                        report.overlaps[cause, default: 0] += 1
                    } else {
                        violation(
                            .overlap,
                            run.id,
                            "began while \(other.id) with the same key \(run.key) was running in \(other.process)"
                        )
                    }
                }
                open.append(run)
            }
        }
    }

    /// There are never more holders than places.
    private mutating func checkPermits() {
        var open: [(id: String, process: String, from: Int64, to: Int64)] = []
        // A place is held no longer than for this: less a second, as times are whole seconds.
        let length = Int64((ChaosTask.permit - .seconds(2)) / .nanoseconds(1))
        for permit in permits.sorted(by: { $0.from < $1.from }) {
            open.removeAll { $0.to <= permit.from }
            open.append(permit)
            // A task that runs twice has one place.
            guard Set(open.map(\.id)).count > ChaosTask.places else {
                report.mostPermits = max(report.mostPermits, Set(open.map(\.id)).count)
                continue
            }
            let cause = open.compactMap { causes.ofOverlap($0.process, from: $0.from, to: permit.from, lease: length) }
                .first
            if let cause {
                report.overlaps[cause, default: 0] += 1
            } else {
                let holders = open.map { "\($0.id) in \($0.process)" }.joined(separator: ", ")
                violation(.limit, permit.id, "took a place of \(ChaosTask.places) beside \(holders)")
            }
        }
    }

    /// A run in which less went wrong than was to says less.
    private mutating func checkFaults() {
        for fault in evidence.faults where fault.outcome == .failed {
            violation(.fault, nil, "\(fault.kind): \(fault.target)")
        }
        for kind in evidence.missing { violation(.fault, nil, "\(kind) has not happened once") }
    }

    private mutating func measureTakeovers() {
        for takeover in evidence.takeovers where !takeover.queues.isEmpty {
            // By time, as the lines were.
            let first = runs.first { run in
                run.start >= takeover.time && tasks[run.id].map { takeover.queues.contains($0.queue) } == true
            }
            guard let first else { continue }
            let pause = first.start - takeover.time
            report.takeoverPauses.append(pause)
            guard pause > Self.longPause else { continue }
            let faults = evidence.faults.filter { $0.from <= first.start && $0.to >= takeover.time }
            let names = faults.map { "\($0.kind) \($0.target) (\(($0.from - takeover.time) / Self.millisecond) ms)" }
            report.longPauses.append(
                """
                \(pause / Self.millisecond) ms after port \(takeover.port) at \(takeover.time), beside \
                \(names.isEmpty ? "no fault" : names.joined(separator: ", "))
                """
            )
        }
    }

    /// What is in the archive has a reason.
    private mutating func checkArchive() {
        for (id, error) in evidence.archived {
            if error.isEmpty { violation(.archived, id, "is in the archive without an error") }
            guard let kind = kind(of: id) else { continue }
            report.archivedKinds[kind, default: 0] += 1
            if !kind.mayBeArchived(error) { violation(.archived, id, "of kind \(kind) is in the archive: \(error)") }
        }
    }
}
