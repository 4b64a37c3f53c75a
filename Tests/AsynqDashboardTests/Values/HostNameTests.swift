import Testing

@testable import AsynqDashboard

@Suite struct HostNameTests {
    @Test(arguments: ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:80", "[::1]:8080", "::1", "a.localhost"])
    func `a loopback name is known`(_ host: String) { #expect(HostName.isLoopback(host)) }

    @Test(arguments: [
        "example.com", "127.0.0.1.example.com", "10.0.0.1:8080", "0.0.0.0", "[::]", "localhost.evil", "127.0.0",
    ])
    func `another name is not taken for one`(_ host: String) { #expect(!HostName.isLoopback(host)) }
}
