import Foundation

/// `Chaos`: a run, or one of its processes.
package enum ChaosProgram {
    private static let usage = """
        usage: Chaos [--topology standalone|sentinel|cluster|sqlite] [--seed NUMBER] [--minutes NUMBER]
                     [--rate TASKS-PER-SECOND] [--workers NUMBER] [--producers NUMBER] [--appendfsync always|everysec]
                     [--folder PATH] [--keep yes|no]

        The folder gets journals and logs; it is deleted if all rules held, unless it is to be kept.
        """

    /// Runs until all is done.
    ///
    /// - Returns: the status to exit with: 0 if all rules held, 1 if one did not, 64 for arguments that make no sense.
    package static func main(_ arguments: [String]) async -> Int32 {
        do {
            switch (arguments.first, arguments.count) {
            case ("worker", 3): try await ChaosWorker.run(arguments[1], journal: arguments[2])
            case ("producer", 8):
                try await ChaosProducer.run(
                    arguments[1],
                    journal: arguments[2],
                    name: arguments[3],
                    seed: UInt64(arguments[4]) ?? 0,
                    rate: Int(arguments[5]) ?? 1,
                    replicas: Int(arguments[6]) ?? 0,
                    poison: Int(arguments[7]) ?? 0
                )
            case ("--help", 1): say(usage)
            default:
                guard let settings = settings(arguments) else {
                    say(usage)
                    return 64
                }
                return try await run(settings)
            }
            return 0
        } catch {
            say("\(error)")
            return 1
        }
    }

    static func path() throws -> String {
        guard let path = Bundle.main.executablePath else { throw ChaosFailure("this program does not know its path") }
        return path
    }

    /// A line at once, also into a pipe.
    static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

    /// - Returns: `nil` if they make no sense.
    static func settings(_ arguments: [String]) -> ChaosSettings? {
        var settings = ChaosSettings()
        var folder: String?
        guard arguments.count.isMultiple(of: 2) else { return nil }
        for index in stride(from: 0, to: arguments.count, by: 2) {
            let value = arguments[index + 1]
            switch arguments[index] {
            case "--topology":
                guard let topology = ChaosSettings.Topology(rawValue: value) else { return nil }
                settings.topology = topology
            case "--seed":
                guard let seed = UInt64(value) else { return nil }
                settings.seed = seed
            case "--minutes":
                guard let minutes = Double(value), minutes > 0, minutes < 10_000 else { return nil }
                settings.length = .milliseconds(Int64(minutes * 60_000))
            case "--rate":
                guard let rate = Int(value), rate > 0 else { return nil }
                settings.rate = rate
            case "--workers":
                guard let workers = Int(value), workers > 0 else { return nil }
                settings.workers = workers
            case "--producers":
                guard let producers = Int(value), producers > 0 else { return nil }
                settings.producers = producers
            case "--appendfsync":
                guard value == "always" || value == "everysec" else { return nil }
                settings.isSynced = value == "always"
            case "--folder": folder = value
            case "--keep":
                guard value == "yes" || value == "no" else { return nil }
                settings.isKept = value == "yes"
            default: return nil
            }
        }
        let name = "asynq-chaos-\(settings.topology)-\(settings.seed)-\(getpid())"
        settings.folder =
            folder.map { URL(fileURLWithPath: $0) }
            ?? FileManager.default.temporaryDirectory.appendingPathComponent(name)
        return settings
    }

    private static func run(_ settings: ChaosSettings) async throws -> Int32 {
        // So that no server is left when the run is broken off.
        for number in [SIGINT, SIGTERM] { signal(number) { _ in exit(130) } }
        try FileManager.default.createDirectory(at: settings.folder, withIntermediateDirectories: true)
        let start = ContinuousClock.now
        let (report, faults, isDurable) = try await ChaosRun.run(settings)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let list = faults.map { "\($0.from) \($0.to) \($0.kind) \($0.outcome) \($0.target)" }.joined(separator: "\n")
        try Data("\(list)\n".utf8).write(to: settings.folder.appendingPathComponent("faults.log"))
        say("seed        \(settings.seed)")
        say(
            "topology    \(settings.topology)\(settings.topology == .standalone && !settings.isSynced ? ", everysec" : "")"
        )
        say(report.text(faults, isDurable: isDurable))
        say("seconds     \(Int(seconds))")
        if report.violations.isEmpty {
            say("all rules held")
            if !settings.isKept { try FileManager.default.removeItem(at: settings.folder) }
            return 0
        }
        say("\(report.violations.count) violations; journals and logs are in \(settings.folder.path)")
        for violation in report.violations.prefix(20) {
            say("! \(violation.rule.rawValue): \(violation.id.map { "\($0) " } ?? "")\(violation.text)")
            if let id = violation.id {
                for line in try story(of: id, settings.folder).prefix(20) { say("    \(line)") }
            }
        }
        return 1
    }

    /// The lines of the journals about a task.
    private static func story(of id: String, _ folder: URL) throws -> [String] {
        try JournalLine.read(folder: folder).filter { line in
            switch line.entry {
            case .acknowledged(let task): task.id == id
            case .started(_, let other, _, _, _), .took(_, let other), .gave(_, let other), .aggregated(_, let other):
                other == id
            case .ended, .failed: false
            }
        }.map { "\($0.time) \($0.process) \($0.entry.text)" }
    }
}
