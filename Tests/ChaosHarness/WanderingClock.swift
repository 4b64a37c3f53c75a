import Asynq
import Foundation
import Synchronization

/// A clock whose time of day somebody sets, as far as ten minutes ahead or back, at each SIGUSR1.
struct WanderingClock: WallClock {
    private static let settings = Atomic<Int>(0)

    /// From now on signals are obeyed.
    init() {
        // A first look makes it, which a handler of signals must not.
        _ = Self.settings.load(ordering: .relaxed)
        signal(SIGUSR1) { _ in Self.settings.wrappingAdd(1, ordering: .relaxed) }
    }

    var date: Date {
        let count = Self.settings.load(ordering: .relaxed)
        guard count > 0 else { return Date() }
        var numbers = SeededNumbers(seed: UInt64(count), stream: "\(getpid())")
        return Date().addingTimeInterval(Double.random(in: -600...600, using: &numbers))
    }

    var now: ContinuousClock.Instant { .now }
    var minimumResolution: Duration { ContinuousClock().minimumResolution }

    func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
        try await ContinuousClock().sleep(until: deadline, tolerance: tolerance)
    }
}
