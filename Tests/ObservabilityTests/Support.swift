import Asynq
import AsynqTesting
import CoreMetrics
import MetricsTestKit
import Synchronization

struct Boom: Error {}

/// A server's handler and settings on a broker in memory, with a client and a server that report to the same place.
func makeTester(
    handler: any TaskHandler,
    clock: ManualClock = ManualClock(),
    metrics: (any MetricsFactory)? = nil,
    configure: (inout AsynqServer.Configuration) -> Void = { _ in }
) -> AsynqTester {
    // All tests begin at once: on two cores one may have to wait long for its turn.
    AsynqTester(handler: handler, clock: clock, patience: .seconds(300)) {
        $0.metrics = metrics
        configure(&$0)
    }
}

extension TestMetrics {
    /// What was counted under this name, by its labels: `a=1,b=2` → count.
    func counts(_ label: String) -> [String: Int64] {
        Dictionary(
            counters(label: label).map { ($0.dimensions.text, $0.totalValue) },
            uniquingKeysWith: +
        ).filter { $0.value != 0 }
    }

    /// The durations that were measured under this name, in nanoseconds, by labels.
    func durations(_ label: String) -> [String: [Int64]] {
        Dictionary(timers(label: label).map { ($0.dimensions.text, $0.values) }, uniquingKeysWith: +)
    }
}

extension [(String, String)] {
    var text: String { map { "\($0.0)=\($0.1)" }.joined(separator: ",") }
}
