import ArgumentParser
import Asynq
import AsynqRedis

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct DoctorCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check the broker and the queues for what causes trouble.",
        usage: "asynq doctor [<options>]",
        discussion: "Each line is ok, warn or fail, with what to do. Exit status 1 if one is fail."
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    var printsJSON: Bool { output.json }

    func run(_ session: Session) async throws {
        let findings = try await Examination(session).findings()
        let json = JSONValue.object(["checks": .array(findings.map(\.json))])
        session.output.print(json) { page in
            for finding in findings {
                let level = session.output.styled(finding.level.rawValue.padded(to: 4), finding.level.style)
                page.line("\(level)  \(finding.name): \(Printable.line(finding.message))")
                if let advice = finding.advice { page.line("      → \(advice)") }
            }
        }
        let failed = findings.count { $0.level == .fail }
        if failed > 0 { throw Failure("\(failed) of \(findings.count) checks failed") }
    }
}

/// What a check has found.
struct Finding: Sendable, Hashable {
    enum Level: String, Sendable {
        case ok, warn, fail

        var style: Style {
            switch self {
            case .ok: .green
            case .warn: .yellow
            case .fail: .red
            }
        }
    }

    var name: String
    var level: Level
    var message: String
    /// What to do; `nil` if nothing is.
    var advice: String?

    init(_ name: String, _ level: Level, _ message: String, advice: String? = nil) {
        self.name = name
        self.level = level
        self.message = message
        self.advice = advice
    }

    var json: JSONValue {
        .object([
            "check": .string(name), "status": .string(level.rawValue), "message": .string(message),
            "advice": .optional(advice),
        ])
    }
}

/// The checks.
private struct Examination {
    /// So many active tasks of a queue are looked at.
    private static let maxTasks = 1000
    private static let maxKeys = 100_000

    private let session: Session

    init(_ session: Session) {
        self.session = session
    }

    /// - Throws: if the broker does not answer; what it refuses is a finding.
    func findings() async throws -> [Finding] {
        var findings = try await check("store") {
            let sent = Date()
            let info = try await session.inspector.info()
            let time = info["server_time_usec"].flatMap(Double.init).map { Date(timeIntervalSince1970: $0 / 1_000_000) }
            let clock = time.map { [Self.clock($0, between: sent, and: Date())] } ?? []
            return StoreChecks(info).findings + clock
        }
        findings += try await queueFindings()
        findings += try await check("keys") { try await unknownKeys().map { [$0] } ?? [] }
        return findings
    }

    private func queueFindings() async throws -> [Finding] {
        var queues: [QueueSnapshot] = []
        var findings = try await check("scripts") {
            queues = try await session.inspector.snapshots()
            // Figures are read by scripts: if this works, so do they. Of a queue that is not there, too.
            if queues.isEmpty { _ = try await session.broker.snapshots(of: ["default"]) }
            return session.broker is RedisBroker ? [Finding("scripts", .ok, "Lua scripts run")] : []
        }
        guard !findings.contains(where: { $0.level == .fail }) else { return findings }
        findings += try await check("leases") { [try await orphans(queues)] }
        findings += try await check("servers") { [Self.unserved(queues, try await session.inspector.servers())] }
        return findings + [Self.paused(queues)]
    }

    /// What the broker refuses is what a doctor is asked about.
    private func check(_ name: String, _ body: () async throws -> [Finding]) async throws -> [Finding] {
        do {
            return try await body()
        } catch let error as AsynqError where (error.cause as? RedisError)?.serverCode != nil {
            return [
                Finding(
                    name,
                    .fail,
                    "cannot be looked at: \(Failure(error, session.broker).message)",
                    advice:
                        "Redis answers, and refuses this: until it does not, other commands and servers fail as well"
                )
            ]
        }
    }

    private static func clock(_ time: Date, between sent: Date, and answered: Date) -> Finding {
        let (early, late) = (sent.timeIntervalSince(time), time.timeIntervalSince(answered))
        let skew = max(0, max(early, late))
        let text = "differs by \(skew < 0.001 ? "less than 1ms" : Times.short(.seconds(skew))) from this machine's"
        guard skew > 1 else { return Finding("clock", .ok, "the broker's clock \(text)") }
        return Finding(
            "clock",
            skew > 60 ? .fail : .warn,
            "the broker's clock \(text)",
            advice:
                "run a time service (NTP) on both: times that you give are by this machine, tasks start by the broker's"
        )
    }

    private func orphans(_ queues: [QueueSnapshot]) async throws -> Finding {
        let busy = queues.filter { $0.active > 0 }.map(\.queue)
        let inspector = session.inspector
        let pages = try await inOrder(busy) {
            try await inspector.tasks(in: .active, queue: $0, pageSize: Self.maxTasks).tasks
        }
        let orphans = pages.joined().filter(\.isOrphaned)
        guard let first = orphans.first else {
            return Finding("leases", .ok, "all active tasks that were looked at have a lease")
        }
        return Finding(
            "leases",
            .warn,
            "\(orphans.count) active \(orphans.count == 1 ? "task has" : "tasks have") no lease or one that has ended, "
                + "such as \(first.id) in \(first.queue)",
            advice: "a running server of that queue takes them up a minute later; start one if there is none"
        )
    }

    private static func unserved(_ queues: [QueueSnapshot], _ servers: [ServerInfo]) -> Finding {
        let served = Set(servers.flatMap(\.queues.keys))
        let waiting = queues.filter {
            $0.pending + $0.scheduled + $0.retry + $0.aggregating > 0 && !served.contains($0.queue)
        }
        guard !waiting.isEmpty else {
            return Finding("servers", .ok, "each queue with tasks that wait has a server (\(servers.count) running)")
        }
        return Finding(
            "servers",
            .warn,
            "no running server takes tasks of " + names(waiting),
            advice: "start a server with these queues, or delete them with 'asynq queue rm'"
        )
    }

    private static func paused(_ queues: [QueueSnapshot]) -> Finding {
        let paused = queues.filter(\.isPaused)
        guard !paused.isEmpty else { return Finding("paused", .ok, "no queue is paused") }
        return Finding(
            "paused",
            .warn,
            "paused: " + names(paused),
            advice: "'asynq queue resume' lets them go on, if that was forgotten"
        )
    }

    private static func names(_ queues: [QueueSnapshot]) -> String {
        queues.prefix(5).map(\.queue).joined(separator: ", ")
            + (queues.count > 5 ? " and \(queues.count - 5) more" : "")
    }

    /// `nil` for a broker that has no keys.
    private func unknownKeys() async throws -> Finding? {
        guard let redis = session.broker as? RedisBroker else { return nil }
        let (keys, lookedAt) = try await redis.unknownKeys(lookingAt: Self.maxKeys)
        guard let first = keys.first else {
            return Finding("keys", .ok, "all of \(lookedAt) keys under asynq: are known")
        }
        return Finding(
            "keys",
            .warn,
            "\(keys.count) of \(lookedAt) keys under asynq: are of no known queue or purpose, such as \(first)",
            advice: "look at them with redis-cli; another program may use this prefix, or a queue was deleted in part"
        )
    }
}
