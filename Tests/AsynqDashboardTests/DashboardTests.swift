import AsyncHTTPClient
import HummingbirdTesting
import Testing

@testable import AsynqDashboard

@Suite struct DashboardTests {
    @Test func `it builds`() { _ = Dashboard() }
}
