/// What a run has shown.
struct ChaosReport {
    enum Rule: String {
        case lost, early, late
        case repeated = "repeated without a cause"
        case overlap = "unique tasks overlapped"
        case limit = "limit passed"
        case archived = "archived without a reason"
        case leftBehind = "left behind"
        case crashed = "a process crashed"
        case fault = "a fault did not come about"
    }

    struct Violation {
        var rule: Rule
        var id: String?
        var text: String
    }

    /// Acknowledged.
    var tasks = 0
    /// Of these, acknowledged without what was asked for, such as a replica.
    var unconfirmed = 0
    /// Of these, sent more than once.
    var repeated = 0
    var handlers = 0
    var outcomes: [Entry.Outcome: Int] = [:]
    var archived = 0
    var archivedKinds: [ChaosKind: Int] = [:]
    var duplicates: [Causes.Cause: Int] = [:]
    /// Of unique tasks, and of places in the semaphore.
    var overlaps: [Causes.Cause: Int] = [:]
    var mostPermits = 0
    /// Of those whose survival nobody promised.
    var lostWithoutPromise = 0
    /// What producers were told, by code: how many batches.
    var errors: [String: Int] = [:]
    /// Between two tasks that were done while things went wrong, in nanoseconds.
    var longestSilence: Int64 = 0
    /// From the acknowledgement to the start when all was well, in nanoseconds.
    var slowestProbe: Int64 = 0
    /// From each server that became a master in place of another one to the first task that began, in nanoseconds.
    var takeoverPauses: [Int64] = []
    /// The longest of these, in words, with what went wrong meanwhile.
    var longPauses: [String] = []
    var violations: [Violation] = []

    func text(_ faults: [FaultRecord], isDurable: Bool) -> String {
        func list<Key>(_ counts: [Key: Int], _ name: (Key) -> String) -> String {
            let parts = counts.map { (name($0), $1) }.sorted { $0.1 == $1.1 ? $0.0 < $1.0 : $0.1 > $1.1 }
            return parts.isEmpty ? "none" : parts.map { "\($1) \($0)" }.joined(separator: ", ")
        }
        let lost = violations.count { $0.rule == .lost }
        func kinds(_ outcome: FaultRecord.Outcome) -> String {
            let own = faults.filter { $0.outcome == outcome }
            return "\(own.count); \(list(Dictionary(grouping: own, by: \.kind).mapValues(\.count)) { $0.rawValue })"
        }
        var rows = [
            ("tasks", "\(tasks) acknowledged, \(repeated) of them sent again, \(unconfirmed) without confirmation"),
            ("handlers", "\(handlers) begun; \(list(outcomes) { $0.rawValue })"),
            ("archived", "\(archived); \(list(archivedKinds) { $0.rawValue })"),
            ("faults", kinds(.done)),
            ("not then", kinds(.impossible)),
            ("duplicates", "\(duplicates.values.reduce(0, +)); \(list(duplicates) { $0.rawValue })"),
            ("overlaps", "\(overlaps.values.reduce(0, +)); \(list(overlaps) { $0.rawValue })"),
            ("places", "at most \(mostPermits) of \(ChaosTask.places) held without such a cause"),
            ("errors", list(errors) { $0 }),
        ]
        let others = isDurable ? "" : " that were to survive; \(lostWithoutPromise) others"
        rows.append(("lost", "\(lost)\(others)"))
        rows.append(("silence", "\(longestSilence / 1_000_000) ms at most without a task done"))
        if let most = takeoverPauses.max() {
            let median = takeoverPauses.sorted()[takeoverPauses.count / 2]
            rows.append(
                (
                    "fail-overs",
                    """
                    \(takeoverPauses.count); tasks flow \(median / 1_000_000) ms after the new master is known (median), \
                    \(most / 1_000_000) ms at most
                    """
                )
            )
        }
        rows += longPauses.map { ("", $0) }
        rows.append(("when well", "a task waits \(slowestProbe / 1_000_000) ms at most"))
        return rows.map { $0.0.padding(12) + $0.1 }.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
