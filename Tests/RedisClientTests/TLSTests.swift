import Foundation
import RedisClient
import TestSupport
import Testing

/// Encrypted connections to a real Redis.
struct TLSTests {
    private func withServer(
        asksForCertificate: Bool = false,
        _ body: (RedisServer, Int, Certificates) async throws -> Void
    ) async throws {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        let port = try RedisServer.freePort()
        let arguments = certificates.options(port: port, asksForCertificate: asksForCertificate)
        try await RedisServer.withServer(arguments) { try await body($0, port, certificates) }
    }

    /// The error of connecting with these settings.
    private func failure(
        _ port: Int,
        authority: String? = nil,
        name: String? = nil,
        certificate: String? = nil,
        key: String? = nil,
        isInsecure: Bool = false
    ) async throws -> RedisError? {
        try await withClient("rediss://127.0.0.1:\(port)") { configuration in
            var tls = RedisConfiguration.TLS()
            tls.caCertificateFile = authority
            tls.serverName = name
            tls.certificateFile = certificate
            tls.privateKeyFile = key
            tls.verification = isInsecure ? .insecure : .full
            configuration.tls = tls
        } _: { redis in
            await redis.failure()
        }
    }

    @Test func `the server's certificate is checked, by the authority and the name that are told`() async throws {
        try await withServer { _, port, certificates async throws in
            let (right, wrong) = (certificates.path("ca.pem"), certificates.path("other-ca.pem"))
            let trusted = try await failure(port, authority: right, name: "redis.test")
            #expect(trusted == nil)
            let unchecked = try await failure(port, isInsecure: true)
            #expect(unchecked == nil)
            for (authority, name) in [
                (nil, "redis.test"), (wrong, "redis.test"), (right, "elsewhere.test"), (right, nil),
            ] {
                let error = try await failure(port, authority: authority, name: name)
                #expect(error?.code == .connectionFailed)
                let text = error?.message ?? ""
                #expect(text.contains("127.0.0.1:\(port)") && text.contains("TLS"))
            }
        }
    }

    @Test func `a client's certificate is shown where it is asked for`() async throws {
        try await withServer(asksForCertificate: true) { _, port, certificates async throws in
            let authority = certificates.path("ca.pem")
            let known = try await failure(
                port,
                authority: authority,
                name: "redis.test",
                certificate: certificates.path("client.pem"),
                key: certificates.path("client.key")
            )
            #expect(known == nil)
            let unknown = try await failure(port, authority: authority, name: "redis.test")
            #expect(unknown?.code == .connectionFailed)
        }
    }

    @Test func `TLS to a plain port and plain to a TLS port are told from other faults`() async throws {
        try await withServer { server, port, _ async throws in
            // A plain server waits for the rest of what it takes for a command.
            let text = "Does the server speak TLS on this port?"
            let error = try await firstFailure("rediss://127.0.0.1:\(server.port)", saying: text) {
                $0.dialTimeout = .seconds(1)
                $0.tls?.verification = .insecure
            }
            #expect(error.code == .connectionFailed)
            let plain = try await withClient("redis://127.0.0.1:\(port)") { await $0.failure() }
            #expect(plain?.code == .connectionFailed && plain?.message.contains("rediss://") == true)
        }
    }

    @Test func `a certificate that cannot be read is named`() async throws {
        let error = try await failure(try RedisServer.freePort(), authority: "/nowhere/ca.pem")
        #expect(error?.message.contains("caCertificateFile \"/nowhere/ca.pem\"") == true)
    }
}
