import Asynq
import AsynqMetrics
import HTTPTypes
import Logging
import ServiceLifecycle

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What all requests of a dashboard share.
final class DashboardEngine: Sendable {
    /// How long an unasked look at the broker may be ahead of the history's next one.
    private static let early = 0.5

    let broker: any Broker
    let inspector: AsynqInspector
    let client: AsynqClient
    let configuration: DashboardConfiguration
    let logger: Logger
    let texts: TaskTexts
    let gate: Gate
    let audit: AuditLog
    let assets: AssetStore
    let work = BackgroundWork()
    let answers: SharedAnswers
    let feed: LiveFeed
    let history = History()
    let bulk: BulkJobs
    let prometheus: Prometheus?

    init(_ broker: any Broker, _ configuration: DashboardConfiguration, _ logger: Logger) {
        let clock = ContinuousClock()
        let start = clock.now
        let now: @Sendable () -> Duration = { start.duration(to: clock.now) }
        let inspector = AsynqInspector(broker)
        let texts = TaskTexts(
            payloadLimit: configuration.maxPayloadLength,
            resultLimit: configuration.maxResultLength,
            payloadFormatter: configuration.payloadFormatter,
            resultFormatter: configuration.resultFormatter
        )
        let history = history
        self.broker = broker
        self.inspector = inspector
        self.configuration = configuration
        self.logger = logger
        self.texts = texts
        client = AsynqClient(broker)
        gate = Gate(configuration, now: now)
        audit = AuditLog(logger)
        assets = AssetStore(folder: configuration.resourceFolder)
        answers = SharedAnswers(lifetime: configuration.answerLifetime, now: now)
        bulk = BulkJobs(inspector, work: work, now: now)
        prometheus = configuration.prometheusAddress.map { Prometheus($0) }
        let historyStep = configuration.historyInterval.map { $0 / .seconds(1) }
        feed = LiveFeed(interval: configuration.refreshInterval, work: work) {
            async let queues = inspector.snapshots()
            async let servers = inspector.servers()
            let figures = LiveFigures(queues: try await queues, servers: try await servers)
            let time = Date().timeIntervalSince1970
            if let historyStep, time - history.lastTime >= historyStep - Self.early {
                history.add(figures.queues, time: time)
            }
            return figures
        } render: { figures in
            .object([
                "queues": .array(figures.queues.map { JSONValue($0) }),
                "servers": .array(figures.servers.map { JSONValue($0, texts) }),
            ])
        }
    }

    /// Runs what goes on beside requests.
    func run() async {
        await work.run { [self] in
            if let interval = configuration.historyInterval {
                _ = work.start { await self.keepHistory(interval) }
            }
        }
    }

    private func keepHistory(_ interval: Duration) async {
        let step = interval / .seconds(1)
        var isFailing = false
        repeat {
            do {
                // The poll of those who look may have been here.
                if Date().timeIntervalSince1970 - history.lastTime >= step - Self.early {
                    history.add(try await inspector.snapshots(), time: Date().timeIntervalSince1970)
                }
                isFailing = false
            } catch {
                if !isFailing, !(error is CancellationError) {
                    logger.warning("no history is kept: \(APIError(error).message)")
                }
                isFailing = true
            }
        } while (try? await Task.sleep(for: interval)) != nil
    }
}

/// The engine as a service, for the application that answers its requests.
struct DashboardService: Service, CustomStringConvertible {
    let engine: DashboardEngine

    var description: String { "AsynqDashboard" }

    func run() async throws { await engine.run() }
}
