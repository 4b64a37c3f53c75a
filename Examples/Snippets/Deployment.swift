import Asynq
import Foundation
import Synchronization

/// What the probes of a container answer.
final class Health: Sendable {
    private let lastPing = Mutex(Date.distantPast)

    func watch(_ configuration: inout AsynqServer.Configuration) {
        configuration.healthCheckInterval = .seconds(5)
        configuration.healthCheck = { error in
            if error == nil { self.lastPing.withLock { $0 = Date() } }
        }
    }

    /// For a readiness probe: the broker has answered lately.
    var isReady: Bool { lastPing.withLock { Date().timeIntervalSince($0) < 20 } }
}
