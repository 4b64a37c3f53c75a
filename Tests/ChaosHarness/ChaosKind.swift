import Asynq
import Foundation

/// The kinds of tasks of a run. A task's type is the name of its kind.
enum ChaosKind: String, CaseIterable, Sendable {
    /// Ends at once.
    case plain
    /// As plain, with a large payload.
    case bulk
    /// Is to start later.
    case delayed
    /// Has a deadline in five minutes, and no retries: a worker whose clock is wrong might give it up.
    case dated
    /// No two with the same key may run at once.
    case unique
    /// Takes a place in a semaphore.
    case limited
    /// Fails now and then.
    case flaky
    /// Fails each time, and so is archived.
    case failing
    /// Is archived by its first attempt.
    case refused
    /// Is kept for a while after it was done.
    case kept
    /// Waits in a group, to be aggregated.
    case grouped
    /// What groups are aggregated into.
    case digest
    /// Hangs at its first attempt until its time is up.
    case slow
    /// Kills its process.
    case poison
    /// Enqueued when all has healed.
    case probe

    /// Whether the archive may be its end, with this error.
    func mayBeArchived(_ error: String) -> Bool {
        switch self {
        // Its only attempt was that of a worker that has died.
        case .dated: error.contains("lease expired")
        case .flaky, .failing, .refused, .poison: true
        case .plain, .bulk, .delayed, .unique, .limited, .kept, .grouped, .digest, .slow, .probe: false
        }
    }
}

/// A task of a run, before it is enqueued.
struct ChaosTask: Sendable {
    static let queues = ["default", "low", "critical", "mail"]
    static let uniqueKeys = 200
    /// Places in the semaphore.
    static let places = 3
    static let scope = "chaos"
    /// How long a handler may hold one, and how long an attempt of a limited task may take.
    static let permit = Duration.seconds(20)

    var id: String
    var kind: ChaosKind
    var key = "-"
    var queue: String
    var delay = Duration.zero
    /// Bytes beyond those that it needs.
    var size = 0

    /// How many of a thousand are of each kind; the rest is plain.
    private static let shares: [(ChaosKind, Int)] = [
        (.bulk, 10), (.dated, 20), (.delayed, 80), (.unique, 80), (.limited, 20), (.flaky, 60), (.failing, 8),
        (.refused, 4),
        (.kept, 50), (.grouped, 60), (.slow, 3),
    ]

    static func random(id: String, onlyPlain: Bool, using generator: inout SeededNumbers) -> ChaosTask {
        var task = ChaosTask(id: id, kind: .plain, queue: queues[Int.random(in: 0..<queues.count, using: &generator)])
        guard !onlyPlain else { return task }
        var number = Int.random(in: 0..<1000, using: &generator)
        for (kind, share) in shares {
            if number < share {
                task.kind = kind
                break
            }
            number -= share
        }
        switch task.kind {
        // Uniqueness is a matter of one queue.
        case .unique: task.key = "\(task.queue)-\(Int.random(in: 0..<uniqueKeys, using: &generator))"
        case .grouped: task.key = "g\(Int.random(in: 0..<5, using: &generator))"
        case .delayed: task.delay = .milliseconds(Int.random(in: 50...3000, using: &generator))
        case .bulk: task.size = Int.random(in: 1000...60_000, using: &generator)
        default: break
        }
        return task
    }

    /// As the client is given it.
    var asynqTask: AsynqTask {
        var task = AsynqTask(kind.rawValue, headers: ["key": key], .taskID(id), .queue(queue))
        // Uniqueness is by type, payload and queue.
        task.payload = Array((kind == .unique ? key : id).utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: size)
        switch kind {
        case .delayed: task.options.append(.processIn(delay))
        case .unique: task.options.append(.unique(for: .seconds(86_400)))
        case .dated: task.options += [.deadline(Date().addingTimeInterval(300)), .maxRetry(0)]
        case .limited: task.options.append(.timeout(Self.permit))
        case .flaky: task.options.append(.maxRetry(3))
        case .failing: task.options.append(.maxRetry(2))
        case .kept: task.options.append(.retention(.seconds(2)))
        case .grouped: task.options.append(.group(key))
        case .slow: task.options.append(.timeout(.seconds(1)))
        case .poison: task.options += [.maxRetry(1), .processIn(delay)]
        case .plain, .bulk, .refused, .digest, .probe: break
        }
        return task
    }
}

/// Random numbers that are the same for the same seed, everywhere (SplitMix64).
struct SeededNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameter stream: numbers of another stream of the same seed are other ones.
    init(seed: UInt64, stream: String = "") {
        // FNV-1a, since Swift's own hashes differ from run to run.
        state = stream.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0100_0000_01B3 }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
