import ArgumentParser
import Asynq

/// What a server costs that has nothing to do.
struct Idle: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(help: "Seconds to measure.")
    var seconds = 10.0

    func run() async throws {
        let broker = try target.makeBroker()
        var configuration = AsynqServer.Configuration(concurrency: 10, queues: [newQueue(): 1])
        configuration.logger.logLevel = .error
        let server = AsynqServer(broker, handler: ClosureHandler { _, _ in }, configuration: configuration)
        let seconds = seconds
        var sent: Int?
        let (cpu, duration) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            // The start is not what is measured.
            try await Task.sleep(for: .seconds(2))
            let (cpu, start, before) = (Report.cpuSeconds, ContinuousClock.now, try await commands(broker))
            try await Task.sleep(for: .seconds(seconds))
            let result = (Report.cpuSeconds - cpu, ContinuousClock.now - start)
            let after = try await commands(broker)
            if let before, let after { sent = after - before - 1 }
            server.shutdown()
            try await group.waitForAll()
            return result
        }
        var report = Report("idle")
        report.add("seconds", duration.seconds)
        report.add("cpu_percent", 100 * cpu / duration.seconds)
        if let sent { report.add("commands_per_second", Double(sent) / duration.seconds) }
        report.print()
        await broker.shutdown()
    }

    /// How many commands Redis has been sent, by anybody.
    private func commands(_ broker: any Broker) async throws -> Int? {
        try await AsynqInspector(broker).info()["total_commands_processed"].flatMap { Int($0) }
    }
}
