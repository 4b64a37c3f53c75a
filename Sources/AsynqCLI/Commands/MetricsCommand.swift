import ArgumentParser
import Asynq
import AsynqMetrics

struct MetricsCommand: BrokerCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Serve the figures of all queues to Prometheus, at /metrics.",
        usage: "asynq metrics [--port <number>] [--host <address>] [<options>]"
    )

    @Option(help: ArgumentHelp("The port to listen on.", valueName: "number")) var port = 9876
    @Option(help: ArgumentHelp("The address to listen on.", valueName: "address")) var host = "0.0.0.0"
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
    }

    func run(_ session: Session) async throws {
        let exporter = MetricsExporter(QueueMetrics(session.inspector))
        let (host, port) = (host, port)
        try await Interruption.end {
            try await exporter.run(host: host, port: port) { address in
                Output.write("serving http://\(address)/metrics\n")
            }
        }
    }
}
