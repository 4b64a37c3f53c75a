import ArgumentParser
import Asynq

struct StatsCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show totals by state and queue, what was done today, and the broker.",
        usage: "asynq stats [<options>]"
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    var printsJSON: Bool { output.json }

    func run(_ session: Session) async throws {
        async let info = session.inspector.info()
        let queues = try await session.inspector.snapshots()
        let totals = QueueTotals(queues)
        let broker = BrokerFigures(try await info)
        session.output.print(json(queues, totals, broker)) { page in
            page.line(broker.line)
            page.line()
            var states = Table([.left("STATE"), .right("TASKS")])
            for state in TaskState.inOrder {
                states.add(.init(state.rawValue, state.style), .init(totals[state]))
            }
            states.add(.init("total", .bold), .init(totals.size, .bold))
            page.table(states, ifEmpty: "")
            page.line()
            page.line(
                "Today (UTC): \(totals.processed) processed, \(totals.failed) failed, error rate "
                    + Times.percent(totals.failed, of: totals.processed)
            )
            page.line()
            var table = Table([.text("QUEUE")] + TaskState.inOrder.map { .right($0.rawValue.uppercased()) })
            for queue in queues {
                table.rows.append([.init(queue.queue)] + TaskState.inOrder.map { .init(queue[$0]) })
            }
            page.table(table, ifEmpty: "There are no queues yet.")
        }
    }

    private func json(_ queues: [QueueSnapshot], _ totals: QueueTotals, _ broker: BrokerFigures) -> JSONValue {
        .object([
            "broker": broker.json,
            "totals": .object(
                [.init(key: "size", value: .int(totals.size))]
                    + TaskState.inOrder.map { .init(key: $0.rawValue, value: .int(totals[$0])) } + [
                        .init(key: "processed", value: .int(totals.processed)),
                        .init(key: "succeeded", value: .int(max(0, totals.processed - totals.failed))),
                        .init(key: "failed", value: .int(totals.failed)),
                    ]
            ),
            "queues": .array(queues.map(JSONValue.init)),
        ])
    }
}

/// The figures of all queues together.
struct QueueTotals: Sendable {
    private var states: [TaskState: Int] = [:]
    private(set) var processed = 0
    private(set) var failed = 0

    init(_ queues: [QueueSnapshot]) {
        for queue in queues {
            for state in TaskState.allCases { states[state, default: 0] += queue[state] }
            processed += queue.processedToday
            failed += queue.failedToday
        }
    }

    subscript(state: TaskState) -> Int { states[state] ?? 0 }
    var size: Int { states.values.reduce(0, +) }
}

/// What the broker says of itself, as far as it is shown.
struct BrokerFigures: Sendable {
    let kind: String
    let address: String
    let version: String
    let uptime: Int?
    let connections: Int?
    let memory: Int?

    init(_ info: BrokerInfo) {
        kind = info.kind
        address = info.address
        version = info.version
        uptime = info["uptime_in_seconds"].flatMap { Int($0) }
        connections = info["connected_clients"].flatMap { Int($0) }
        memory = (info["used_memory"] ?? info["bytes"]).flatMap { Int($0) }
    }

    var line: String {
        var parts = [Printable.line(address), "\(kind) \(Printable.line(version))"]
        if let uptime { parts.append("up \(Times.short(.seconds(uptime)))") }
        if let connections { parts.append("\(connections) connection\(connections == 1 ? "" : "s")") }
        if let memory { parts.append(Times.bytes(memory)) }
        return parts.joined(separator: " · ")
    }

    var json: JSONValue {
        func number(_ value: Int?) -> JSONValue { value.map(JSONValue.int) ?? .null }
        return .object([
            "kind": .string(kind),
            "address": .string(address),
            "version": .string(version),
            "uptime_seconds": number(uptime),
            "connections": number(connections),
            "memory_bytes": number(memory),
        ])
    }
}

extension TaskState {
    /// As tasks go through them.
    static let inOrder: [TaskState] = [.active, .pending, .aggregating, .scheduled, .retry, .archived, .completed]

    var style: Style {
        switch self {
        case .active: .green
        case .pending: .cyan
        case .aggregating: .magenta
        case .scheduled: .blue
        case .retry: .yellow
        case .archived: .red
        case .completed: .plain
        }
    }
}
