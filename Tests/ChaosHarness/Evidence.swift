/// All that is known of a run when it is over.
struct Evidence {
    var lines: [JournalLine] = []
    var processes: [ProcessRecord] = []
    /// Processes that ended as nobody wanted them to, in words.
    var crashes: [String] = []
    var faults: [FaultRecord] = []
    /// Kinds of faults that have not happened and should have.
    var missing: [FaultKind] = []
    var takeovers: [Takeover] = []
    /// Tasks in the archive, with their errors.
    var archived: [String: String] = [:]
    /// What is in the store and should not be, in words.
    var leftovers: [String] = []
    /// Whether each acknowledged task is promised to survive.
    var isDurable = true
    /// Whether those that were confirmed are in every server that may become the master.
    var isReplicated = false
    /// When the last fault was over.
    var quietAt = Int64.max
}

/// One handler of one task.
struct HandlerRun {
    var process: String
    var id: String
    var kind: ChaosKind
    var key: String
    var retried: Int
    var start: Int64
    /// When it ended, or its process did.
    var end = Int64.max
    var outcome: Entry.Outcome?
}

/// What faults can explain.
struct Causes {
    /// A worker that is away for longer may have lost its leases. A little less than they last: the last heartbeat may have
    /// been a while before.
    private static let lease: Int64 = 24_000_000_000
    private static let second: Int64 = 1_000_000_000

    private let faults: [FaultRecord]
    private let deaths: [String: Int64]
    private let isDurable: Bool

    init(_ evidence: Evidence) {
        faults = evidence.faults
        isDurable = evidence.isDurable
        deaths = Dictionary(evidence.processes.compactMap { process in process.diedAt.map { (process.name, $0) } }) {
            $1
        }
    }

    func death(of process: String) -> Int64? { deaths[process] }

    /// Why the broker may not know what a process did at one time, as seen at a later time. `nil`: it must know.
    func ofForgetting(_ process: String, doneAt: Int64, seenAt: Int64) -> Cause? {
        if let death = deaths[process], death >= doneAt, death <= seenAt {
            // An outcome is stored at once, if nothing is in its way.
            let isPrompt = death - doneAt < 2 * Self.second
            if isPrompt || isDisturbed(process, from: doneAt - Self.second, to: death) { return .processDied }
        }
        if isAway(process, from: doneAt - 2 * Self.lease, to: seenAt, for: Self.lease) { return .leaseLost }
        return ofLosing(from: doneAt, to: seenAt)
    }

    /// Why a worker may have gone on with what was not its any more.
    func ofOverlap(_ process: String, from start: Int64, to seenAt: Int64, lease: Int64 = Causes.lease) -> Cause? {
        if isAway(process, from: start - Self.lease, to: seenAt, for: lease) { return .leaseLost }
        return ofLosing(from: start, to: seenAt)
    }

    /// Why the servers may have forgotten what they had acknowledged.
    func ofLosing(from start: Int64, to end: Int64) -> Cause? {
        guard !isDurable else { return nil }
        let isLost = faults.contains {
            $0.kind.mayLoseWrites && $0.from <= end && $0.to + 5 * Self.second >= start - 5 * Self.second
        }
        return isLost ? .failOver : nil
    }

    private func overlap(_ fault: FaultRecord, _ from: Int64, _ to: Int64) -> Int64 {
        max(0, min(fault.to, to) - max(fault.from, from))
    }

    private func concerns(_ fault: FaultRecord, _ process: String) -> Bool {
        switch fault.kind {
        case .killWorker, .killProducer, .endWorker, .setClock: false
        case .stopWorker, .stopProducer, .stopWorkerForLong, .cut, .refuse, .hold, .delay, .swallow:
            fault.target == process
        default: true
        }
    }

    private func isDisturbed(_ process: String, from start: Int64, to end: Int64) -> Bool {
        faults.contains { concerns($0, process) && $0.from <= end && $0.to + 2 * Self.second >= start }
    }

    /// Whether it could do nothing, or reach nobody, for so long in all.
    private func isAway(_ process: String, from start: Int64, to end: Int64, for length: Int64) -> Bool {
        faults.filter { concerns($0, process) }.reduce(0) { $0 + overlap($1, start, end) } >= length
    }

    enum Cause: String, CaseIterable {
        case enqueueRepeated = "enqueued again after a lost answer"
        case processDied = "worker died before it could store the outcome"
        case leaseLost = "worker was away for longer than its lease"
        case failOver = "server lost writes when another took over"
    }
}
