#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A periodic task as a scheduler has it: checked, and ready to be enqueued.
final class PeriodicEntry: Sendable {
    let id: String
    /// For inspectors.
    let spec: String
    let rule: OccurrenceRule
    /// With all its options.
    let task: AsynqTask
    let missed: MissedRuns
    /// The task as it is enqueued each time, but for its id.
    private let request: EnqueueRequest
    /// Whether the options name the id of the task.
    let hasTaskID: Bool
    private let optionTexts: [String]

    init(_ config: PeriodicTaskConfig, timeZone: TimeZone) throws(AsynqError) {
        let expression = try CronExpression(config.spec, timeZone: config.timeZone ?? timeZone)
        let spec = expression.specWithTimeZone
        task = AsynqTask(
            config.task.type,
            payload: config.task.payload,
            headers: config.task.headers,
            options: config.task.options + config.options
        )
        request = try EnqueueRequest(task)
        hasTaskID = task.options.contains { if case .taskID = $0.kind { true } else { false } }
        rule = OccurrenceRule(expression)
        self.spec = spec
        missed = config.missed
        let optionTexts = task.options.map(\.enqueueText)
        self.optionTexts = optionTexts
        if let id = config.id {
            guard !id.isBlank else { throw AsynqError(.invalidArgument, "the entry's id is blank") }
            self.id = id
        } else {
            id = EntryID.make(spec: spec, task: task, options: optionTexts)
        }
    }

    /// Whether nothing is to be changed to make it the other.
    func isSame(as other: PeriodicEntry) -> Bool {
        id == other.id && spec == other.spec && task == other.task && missed == other.missed
    }

    var queue: String { request.message.queue }
    var reference: EntryReference { EntryReference(entryID: id, queue: queue) }

    /// The task for one time. Its id follows from entry and time, so that it is the same whoever enqueues it.
    func occurrence(at time: Int64) -> EntryOccurrence {
        var request = request
        if !hasTaskID { request.message.id = "\(id):\(time)" }
        return EntryOccurrence(entryID: id, time: time, request: request)
    }

    func shown(next: Int64?, previous: Int64?) -> SchedulerEntry {
        SchedulerEntry(
            id: id,
            spec: spec,
            taskType: task.type,
            payload: task.payload ?? [],
            options: optionTexts,
            nextEnqueueAt: next.map { Date(milliseconds: $0) },
            previousEnqueueAt: previous.map { Date(milliseconds: $0) }
        )
    }
}

/// The ids of entries that were given none: the same wherever the same entry is registered.
enum EntryID {
    /// A UUID of version 8 made of everything that tells entries apart.
    static func make(spec: String, task: AsynqTask, options: [String]) -> String {
        var digest = Digest()
        digest.add(spec)
        digest.add(task.type)
        digest.add(task.payload == nil ? 0 : 1)
        digest.add(task.payload ?? [])
        digest.add(task.headers.count)
        for (name, value) in task.headers.sorted(by: { $0.key < $1.key }) {
            digest.add(name)
            digest.add(value)
        }
        for option in options { digest.add(option) }
        return digest.uuid
    }

    /// Names a set of entries, in whatever order.
    static func group(_ ids: some Sequence<String>) -> String {
        var digest = Digest()
        for id in ids.sorted() { digest.add(id) }
        return digest.uuid
    }

    /// FNV-1a of 128 bits: it tells things apart, it protects nothing.
    private struct Digest {
        private var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

        mutating func add(_ text: String) { add(Array(text.utf8)) }

        /// With their number, so that what follows cannot be taken for a part of them.
        mutating func add(_ bytes: [UInt8]) {
            add(bytes.count)
            for byte in bytes { add(byte) }
        }

        mutating func add(_ number: Int) {
            for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) }
        }

        private mutating func add(_ byte: UInt8) {
            value = (value ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
        }

        var uuid: String {
            var value = value
            value = value & ~(0xF << 76) | 0x8 << 76
            value = value & ~(0x3 << 62) | 0x2 << 62
            let digits = String(value, radix: 16)
            let text = Array(String(repeating: "0", count: 32 - digits.count) + digits)
            return [text[0..<8], text[8..<12], text[12..<16], text[16..<20], text[20..<32]]
                .map { String($0) }.joined(separator: "-")
        }
    }
}

extension Date {
    init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }
}

extension CronExpression {
    /// The spec, with its time zone if that is neither UTC nor in the spec.
    var specWithTimeZone: String {
        if case .every = schedule { return spec }
        let isNamed = spec.hasPrefix("CRON_TZ=") || spec.hasPrefix("TZ=")
        let isUTC = ["GMT", "UTC", "Etc/UTC"].contains(timeZone.identifier)
        return isNamed || isUTC ? spec : "CRON_TZ=\(timeZone.identifier) \(spec)"
    }
}
