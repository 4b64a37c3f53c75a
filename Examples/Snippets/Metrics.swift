import Asynq
import AsynqMetrics
import CoreMetrics

enum Metrics {
    static func bootstrap(_ factory: any MetricsFactory) {
        MetricsSystem.bootstrap(factory)  // swift-prometheus or swift-otel; once, before clients and servers are made
    }

    static func text(_ broker: any Broker) async throws -> String {
        let metrics = QueueMetrics(AsynqInspector(broker))
        let text = try await metrics.text()  // to be served as QueueMetrics.contentType
        return text
    }
}
