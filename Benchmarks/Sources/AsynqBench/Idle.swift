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
        let (cpu, duration) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            // The start is not what is measured.
            try await Task.sleep(for: .seconds(2))
            let (cpu, start) = (Report.cpuSeconds, ContinuousClock.now)
            try await Task.sleep(for: .seconds(seconds))
            let result = (Report.cpuSeconds - cpu, ContinuousClock.now - start)
            server.shutdown()
            try await group.waitForAll()
            return result
        }
        var report = Report("idle")
        report.add("seconds", duration.seconds)
        report.add("cpu_percent", 100 * cpu / duration.seconds)
        report.print()
        await broker.shutdown()
    }
}
