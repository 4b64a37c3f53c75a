import Foundation
import RedisClient
import TestSupport
import Testing

/// Encrypted connections to a real Redis.
struct TLSTests {
    /// An authority of the test's own, and certificates that it has signed.
    private struct Certificates {
        let folder: URL

        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

        init() throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-tls-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for authority in ["ca", "other-ca"] {
                try openssl(
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=\(authority)",
                    "-keyout",
                    "\(authority).key",
                    "-out",
                    "\(authority).pem"
                )
            }
            for (name, extension_) in [
                ("server", "subjectAltName=DNS:redis.test"), ("client", "keyUsage=digitalSignature"),
            ] {
                try openssl(
                    "req",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-subj",
                    "/CN=\(name)",
                    "-keyout",
                    "\(name).key",
                    "-out",
                    "\(name).csr"
                )
                try extension_.write(toFile: path("\(name).ext"), atomically: true, encoding: .utf8)
                try openssl(
                    "x509",
                    "-req",
                    "-in",
                    "\(name).csr",
                    "-CA",
                    "ca.pem",
                    "-CAkey",
                    "ca.key",
                    "-CAcreateserial",
                    "-days",
                    "2",
                    "-extfile",
                    "\(name).ext",
                    "-out",
                    "\(name).pem"
                )
            }
        }

        private func openssl(_ arguments: String...) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["openssl"] + arguments
            process.currentDirectoryURL = folder
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { throw NeverHappened(description: "openssl \(arguments)") }
        }
    }

    private func withServer(
        asksForCertificate: Bool = false,
        _ body: (RedisServer, Int, Certificates) async throws -> Void
    ) async throws {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        let port = try RedisServer.freePort()
        let arguments = [
            "--tls-port", "\(port)", "--tls-cert-file", certificates.path("server.pem"), "--tls-key-file",
            certificates.path("server.key"), "--tls-ca-cert-file", certificates.path("ca.pem"), "--tls-auth-clients",
            asksForCertificate ? "yes" : "no",
        ]
        try await RedisServer.withServer(arguments) { try await body($0, port, certificates) }
    }

    /// The error of connecting with these settings.
    private func failure(_ port: Int, _ change: (inout RedisConfiguration.TLS) -> Void) async throws -> RedisError? {
        try await withClient("rediss://127.0.0.1:\(port)") { configuration in
            var tls = RedisConfiguration.TLS()
            change(&tls)
            configuration.tls = tls
        } _: { redis async throws in
            await redis.failure()
        }
    }

    @Test func `the server's certificate is checked, by the authority and the name that are told`() async throws {
        try await withServer { _, port, certificates async throws in
            let authority = certificates.path("ca.pem")
            #expect(
                try await failure(port) {
                    $0.caCertificateFile = authority
                    $0.serverName = "redis.test"
                } == nil
            )
            let wrong: [(inout RedisConfiguration.TLS) -> Void] = [
                { $0.serverName = "redis.test" },
                { $0.caCertificateFile = authority },
                { $0.caCertificateFile = certificates.path("other-ca.pem") },
                {
                    $0.caCertificateFile = authority
                    $0.serverName = "elsewhere.test"
                },
            ]
            for (number, change) in wrong.enumerated() {
                let error = try #require(try await failure(port, change), "case \(number)")
                #expect(error.code == .connectionFailed)
                #expect(error.message.contains("127.0.0.1:\(port)") && error.message.contains("TLS"))
            }
            #expect(try await failure(port) { $0.verification = .insecure } == nil)
        }
    }

    @Test func `a client's certificate is shown where it is asked for`() async throws {
        try await withServer(asksForCertificate: true) { _, port, certificates async throws in
            let authority = certificates.path("ca.pem")
            #expect(
                try await failure(port) {
                    $0.caCertificateFile = authority
                    $0.serverName = "redis.test"
                    $0.certificateFile = certificates.path("client.pem")
                    $0.privateKeyFile = certificates.path("client.key")
                } == nil
            )
            let error = try await failure(port) {
                $0.caCertificateFile = authority
                $0.serverName = "redis.test"
            }
            #expect(error?.code == .connectionFailed)
        }
    }

    @Test func `TLS to a plain port and plain to a TLS port are told from other faults`() async throws {
        try await withServer { server, port, _ async throws in
            let error = try #require(try await failure(server.port) { $0.verification = .insecure })
            #expect(
                error.code == .connectionFailed && error.message.contains("Does the server speak TLS on this port?")
            )
            try await withClient("redis://127.0.0.1:\(port)") { redis async throws in
                let error = try #require(await redis.failure())
                #expect(error.code == .connectionFailed && error.message.contains("rediss://"))
            }
        }
    }

    @Test func `a certificate that cannot be read is named`() async throws {
        let error = try await failure(try RedisServer.freePort()) { $0.caCertificateFile = "/nowhere/ca.pem" }
        #expect(error?.message.contains("caCertificateFile \"/nowhere/ca.pem\"") == true)
    }
}
