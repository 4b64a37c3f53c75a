import Foundation
import Synchronization

/// The clock of all journals of a run: monotonic, and the same in all processes of a machine. In nanoseconds.
enum JournalClock {
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// What one process has done, in a file of its own. Each addition is one write to the file, so that what was written before a
/// SIGKILL is there afterwards.
final class Journal: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ChaosFailure("\(path) cannot be opened: errno \(errno)") }
    }

    deinit { close(descriptor) }

    func add(_ entries: [Entry]) {
        guard !entries.isEmpty else { return }
        let time = JournalClock.now()
        var text = ""
        for entry in entries { text += "\(time) \(entry.text)\n" }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        // What cannot be written down cannot be judged.
        guard written == bytes.count else { fatalError("the journal cannot be written: errno \(errno)") }
    }

    func add(_ entry: Entry) { add([entry]) }
}

/// A line of a journal.
enum Entry: Equatable {
    /// The broker has stored a task.
    case acknowledged(Acknowledgement)
    /// A handler has begun. `run` counts the handlers of its process.
    case started(run: Int, id: String, retried: Int, kind: ChaosKind, key: String)
    /// It has ended.
    case ended(run: Int, outcome: Outcome)
    /// A handler has taken, and is about to give back, a place in the semaphore.
    case took(run: Int, id: String)
    case gave(run: Int, id: String)
    /// A task of a group was handled in an aggregated one.
    case aggregated(run: Int, id: String)
    /// An operation has failed, with this code.
    case failed(code: String)

    enum Outcome: String {
        case done, failed, cancelled, refused, limited
    }

    struct Acknowledgement: Equatable {
        var id: String
        var kind: ChaosKind
        var queue: String
        /// `-` if it has none.
        var key: String
        /// Not to be started earlier, on the journals' clock.
        var earliest: Int64
        /// How often it was sent.
        var tries: Int
        /// Whether what was asked for has confirmed it, such as a replica.
        var isConfirmed: Bool
    }

    var text: String {
        switch self {
        case .acknowledged(let task):
            """
            ack \(task.id) \(task.kind) \(task.queue) \(task.key) \(task.earliest) \(task.tries) \(task.isConfirmed ? 1 : 0)
            """
        case .started(let run, let id, let retried, let kind, let key): "start \(run) \(id) \(retried) \(kind) \(key)"
        case .ended(let run, let outcome): "end \(run) \(outcome)"
        case .took(let run, let id): "take \(run) \(id)"
        case .gave(let run, let id): "give \(run) \(id)"
        case .aggregated(let run, let id): "member \(run) \(id)"
        case .failed(let code): "error \(code)"
        }
    }

    /// - Returns: `nil` for what is no line of a journal.
    init?(_ words: [Substring]) {
        func number(_ index: Int) -> Int? { words.indices.contains(index) ? Int(words[index]) : nil }
        switch (words.first, words.count) {
        case ("ack", 8):
            guard let kind = ChaosKind(rawValue: String(words[2])), let earliest = Int64(words[5]),
                let tries = number(6)
            else { return nil }
            self = .acknowledged(
                Acknowledgement(
                    id: String(words[1]),
                    kind: kind,
                    queue: String(words[3]),
                    key: String(words[4]),
                    earliest: earliest,
                    tries: tries,
                    isConfirmed: words[7] == "1"
                )
            )
        case ("start", 6):
            guard let run = number(1), let retried = number(3), let kind = ChaosKind(rawValue: String(words[4])) else {
                return nil
            }
            self = .started(run: run, id: String(words[2]), retried: retried, kind: kind, key: String(words[5]))
        case ("end", 3):
            guard let run = number(1), let outcome = Outcome(rawValue: String(words[2])) else { return nil }
            self = .ended(run: run, outcome: outcome)
        case ("take", 3): self = .took(run: number(1) ?? 0, id: String(words[2]))
        case ("give", 3): self = .gave(run: number(1) ?? 0, id: String(words[2]))
        case ("member", 3): self = .aggregated(run: number(1) ?? 0, id: String(words[2]))
        case ("error", 2): self = .failed(code: String(words[1]))
        default: return nil
        }
    }
}

/// An entry with the process that wrote it, and when.
struct JournalLine {
    var process: String
    var time: Int64
    var entry: Entry

    /// All lines of the journals in a folder, by time.
    ///
    /// - Throws: for a line that says nothing; the last of a process may be cut off.
    static func read(folder: URL) throws -> [JournalLine] {
        var lines: [JournalLine] = []
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".journal") }
        for name in names {
            let process = String(name.dropLast(".journal".count))
            let text = String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
            let whole = text.hasSuffix("\n") || text.isEmpty
            let rows = text.utf8.split(separator: UInt8(ascii: "\n"))
            for (index, row) in rows.enumerated() {
                if !whole, index == rows.count - 1 { break }
                let words = row.split(separator: UInt8(ascii: " ")).map { Substring($0) }
                guard let time = words.first.flatMap({ Int64($0) }), let entry = Entry(Array(words.dropFirst())) else {
                    throw ChaosFailure("\(name), line \(index + 1) says nothing: \(Substring(row))")
                }
                lines.append(JournalLine(process: process, time: time, entry: entry))
            }
        }
        return lines.sorted { $0.time < $1.time }
    }
}

/// Why a run could not be made or judged.
struct ChaosFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
