import Asynq

/// The contract of a ``Broker`` as a program: every rule that clients and servers rely on (spec 1, "Transitions"; spec
/// 2). Whoever writes a broker runs all of them:
///
/// ```swift
/// @Test(arguments: BrokerConformance.rules)
/// func `keeps the contract`(_ rule: BrokerConformance.Rule) async throws {
///     try await rule.check { try await MyFixture() }
/// }
/// ```
///
/// The fixture gives the broker, an empty store and a way to look into it: ``BrokerFixture``. The suite uses no test
/// framework; a rule that is broken throws ``BrokenRule``. See also ``RandomizedConformance``.
public enum BrokerConformance {
    /// One rule.
    public struct Rule: Sendable, CustomStringConvertible {
        /// What must hold, as a sentence.
        public let description: String
        let body: @Sendable (ConformanceSubject) async throws -> Void

        init(_ description: String, _ body: @escaping @Sendable (ConformanceSubject) async throws -> Void) {
            self.description = description
            self.body = body
        }

        /// Checks the rule on a new fixture. If the machine was too slow for it, checks it again on another new one, up to ten
        /// times.
        ///
        /// - Throws: ``BrokenRule`` that says which step went wrong, or what the broker threw.
        public func check(_ makeFixture: () async throws -> any BrokerFixture) async throws {
            try await onNewFixture(makeFixture) { try await body(ConformanceSubject($0)) }
        }
    }

    /// All rules.
    public static let rules: [Rule] =
        enqueueRules + uniquenessRules + dequeueRules + finishRules + leaseRules + attemptRules + dueRules
        + retentionRules
        + watchRules + inspectionRules + moveRules + queueRules + limitRules
        + concurrencyRules + semaphoreRules + occurrenceRules + schedulerRules + groupRules + aggregationRules
}

/// A rule that a broker does not keep.
public struct BrokenRule: Error, CustomStringConvertible {
    /// What was expected, and what was found instead.
    public let description: String

    init(_ text: String, _ line: UInt, _ file: String = #fileID) {
        description = "\(text) (line \(line))"
    }
}

/// A step took so long, on a store whose clock goes on by itself, that its outcome says nothing.
struct TookTooLong: Error {
    /// Where, and what it threw if it did.
    var description: String
}

/// Runs `body` on a new fixture, and again on another new one as long as it throws ``TookTooLong``, up to ten times.
func onNewFixture(
    _ makeFixture: () async throws -> any BrokerFixture,
    _ body: (any BrokerFixture) async throws -> Void
) async throws {
    let limit = 10
    var last = ""
    for _ in 0..<limit {
        let fixture = try await makeFixture()
        do {
            try await body(fixture)
        } catch {
            await fixture.tearDown()
            guard let error = error as? TookTooLong else { throw error }
            last = error.description
            continue
        }
        await fixture.tearDown()
        return
    }
    throw BrokenRule(
        "in each of \(limit) runs a step took too long, by the store's clock, to say anything; in the last one \(last)",
        #line
    )
}

func expect(_ condition: Bool, _ text: @autoclosure () -> String, line: UInt = #line) throws {
    if !condition { throw BrokenRule(text(), line) }
}

func expectEqual<Value: Equatable>(
    _ found: Value,
    _ expected: Value,
    _ what: @autoclosure () -> String,
    line: UInt = #line
) throws {
    if found != expected { throw BrokenRule("\(what()): found \(found), expected \(expected)", line) }
}

/// A task as the suite enqueues it.
func message(_ id: String, queue: String = "default", type: String = "t", payload: [UInt8]? = [1]) -> TaskMessage {
    var message = TaskMessage(type: type, payload: payload, id: id, queue: queue)
    message.maxRetry = 25
    message.timeout = 1800
    return message
}
