import ArgumentParser
import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WatchCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print figures again and again, for logs and CI.",
        usage: "asynq watch [<queues> ...] [--refresh <duration>] [<options>]",
        discussion: "A line each time, until Ctrl-C; on a terminal a table that is drawn anew."
    )

    @Argument(help: "Names of queues. (default: all)") var queues: [String] = []
    @Option(help: ArgumentHelp("How often to read.", valueName: "duration")) var refresh = DurationArgument(.seconds(2))
    @Option(help: ArgumentHelp("End after so many times; with --until-empty it has failed then.", valueName: "number"))
    var count: Int?
    @Flag(help: "End when no task is active, pending, aggregating, scheduled or in retry.") var untilEmpty = false
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    var printsJSON: Bool { output.json }

    func validate() throws {
        guard refresh.duration >= .milliseconds(100) else { throw ValidationError("--refresh must be at least 100ms") }
        guard count ?? 1 >= 1 else { throw ValidationError("--count must be at least 1") }
    }

    func run(_ session: Session) async throws {
        try await Interruption.end { try await watch(session) }
    }

    private func watch(_ session: Session) async throws {
        var trends = Trends()
        var drawn = 0
        for round in 1... {
            let snapshots = try await read(session)
            var data = DashData()
            data.queues = snapshots
            data.readAt = Date()
            trends.add(data)
            if !session.output.isJSON, session.output.width != nil, session.output.isTerminal {
                // What has left the screen at the top could not be drawn over.
                let room = max(1, (TerminalSize.ofStandardOutput?.rows ?? .max) - 3)
                let shown = snapshots.count > room ? Array(snapshots.prefix(room)) : snapshots
                var lines = table(shown, trends).lines(
                    width: session.output.width,
                    isColoured: session.output.isColoured
                )
                if shown.count < snapshots.count {
                    lines.append("and \(snapshots.count - shown.count) more: name those that you want to see")
                }
                // Over what was drawn before.
                Output.write(
                    (drawn > 0 ? "\u{1B}[\(drawn)A" : "") + lines.map { "\r\($0)\u{1B}[K\n" }.joined() + "\u{1B}[J"
                )
                drawn = lines.count
            } else {
                Output.write(line(QueueTotals(snapshots), trends, session.output.isJSON, at: data.readAt) + "\n")
            }
            let states: [TaskState] = [.active, .pending, .aggregating, .scheduled, .retry]
            if untilEmpty, snapshots.allSatisfy({ queue in states.allSatisfy { queue[$0] == 0 } }) { return }
            if let count, round >= count {
                guard untilEmpty else { return }
                throw Failure("there are still tasks after \(count) \(count == 1 ? "look" : "looks")")
            }
            try await Task.sleep(for: refresh.duration)
        }
    }

    private func read(_ session: Session) async throws -> [QueueSnapshot] {
        guard !queues.isEmpty else { return try await session.inspector.snapshots() }
        return try await inOrder(queues) { try await session.inspector.snapshot(of: $0) }
    }

    private func table(_ snapshots: [QueueSnapshot], _ trends: Trends) -> Table {
        let states: [TaskState] = [.active, .pending, .scheduled, .retry, .archived]
        var table = Table(
            [.text("QUEUE")] + states.map { .right($0.rawValue.uppercased()) } + [.right("LATENCY"), .right("DONE/S")]
        )
        for queue in snapshots {
            let rate = trends.queueRates[queue.queue]?.last
            table.rows.append(
                [queue.isPaused ? .init("\(queue.queue) (paused)", .yellow) : .init(queue.queue)]
                    + states.map { .init(queue[$0], queue[$0] > 0 ? $0.style : .plain) } + [
                        .init(Times.short(queue.latency)), .init(rate.map { Times.decimal($0, digits: 1) } ?? "-"),
                    ]
            )
        }
        return table
    }

    private func line(_ totals: QueueTotals, _ trends: Trends, _ isJSON: Bool, at time: Date) -> String {
        let rate = trends.rates.last
        if isJSON {
            let states = TaskState.inOrder.map { JSONValue.Member(key: $0.rawValue, value: .int(totals[$0])) }
            return JSONValue.object(
                [.init(key: "timestamp", value: .time(time))] + states + [
                    .init(key: "processed", value: .int(totals.processed)),
                    .init(key: "failed", value: .int(totals.failed)),
                    .init(key: "processed_per_second", value: rate.map(JSONValue.double) ?? .null),
                ]
            ).compactText
        }
        let states = TaskState.inOrder.map { "\($0.rawValue)=\(totals[$0])" }.joined(separator: " ")
        let done = rate.map { Times.decimal($0, digits: 1) } ?? "-"
        return "\(Times.rfc3339(time)) \(states) processed=\(totals.processed) failed=\(totals.failed) done/s=\(done)"
    }
}
