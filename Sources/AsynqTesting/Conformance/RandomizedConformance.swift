import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Random operations on a broker, compared after each step with a simple model of the contract: thousands of steps, in
/// which workers die with their tasks, brokers are replaced and time passes.
///
/// ```swift
/// @Test(arguments: RandomizedConformance.seeds(5))
/// func `behaves as the model does`(seed: UInt64) async throws {
///     try await RandomizedConformance(seed: seed, steps: 2000).run { try await MyFixture() }
/// }
/// ```
///
/// A failure names the seed, the step and the steps before it; the same seed gives the same steps again.
public struct RandomizedConformance: Sendable {
    /// What the random choices follow from.
    public var seed: UInt64
    /// How many operations are done.
    public var steps: Int

    public init(seed: UInt64, steps: Int = 2000) {
        self.seed = seed
        self.steps = steps
    }

    /// The seeds 1, 2, 3 and so on; with `ASYNQ_RANDOM_SEEDS=1` in the environment others in each run, so that every run tests
    /// something new.
    public static func seeds(_ count: Int) -> [UInt64] {
        let areRandom = ProcessInfo.processInfo.environment["ASYNQ_RANDOM_SEEDS"] == "1"
        return (0..<count).map { areRandom ? UInt64.random(in: 0 ... .max) : UInt64($0) + 1 }
    }

    /// Does the operations on a new fixture; if the machine was too slow for one of them, all anew on another new one, up to ten
    /// times.
    ///
    /// - Throws: ``BrokenRule`` at the first difference from the model.
    public func run(_ makeFixture: () async throws -> any BrokerFixture) async throws {
        try await onNewFixture(makeFixture) { fixture in
            var run = RandomizedRun(fixture, seed: seed)
            do {
                for _ in 0..<max(1, steps) { try await run.step() }
            } catch let error as TookTooLong {
                throw TookTooLong(description: "seed \(seed), \(error.description)")
            } catch {
                throw BrokenRule(
                    "seed \(seed), step \(run.history.count): \(error)\nlast steps:\n  "
                        + run.history.suffix(12).joined(separator: "\n  "),
                    #line
                )
            }
        }
    }
}
