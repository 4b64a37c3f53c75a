/// A condition did not come true.
package struct NeverHappened: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) {
        self.description = description
    }
}

/// Waits for an outcome that nothing announces. The limit is only there so that a test that fails ends.
package func eventually(
    _ what: String,
    within limit: Duration = .seconds(180),
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while try await !condition() {
        guard clock.now < deadline else { throw NeverHappened(description: "did not happen within \(limit): \(what)") }
        try await clock.sleep(for: .milliseconds(5))
    }
}
