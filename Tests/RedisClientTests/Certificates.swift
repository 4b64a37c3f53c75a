import Foundation
import RedisClient
import TestSupport

/// An authority of the test's own, and certificates that it has signed.
struct Certificates {
    let folder: URL

    /// Options of a server, or of a Sentinel, that speaks TLS on this port.
    func options(port: Int, asksForCertificate: Bool = false) -> [String] {
        [
            "--tls-port", "\(port)", "--tls-cert-file", path("server.pem"), "--tls-key-file", path("server.key"),
            "--tls-ca-cert-file", path("ca.pem"), "--tls-auth-clients", asksForCertificate ? "yes" : "no",
        ]
    }

    /// What a client needs to know.
    var trust: RedisConfiguration.TLS {
        var tls = RedisConfiguration.TLS()
        tls.caCertificateFile = path("ca.pem")
        tls.serverName = "redis.test"
        return tls
    }

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
        let command = #"cd "$0" && exec openssl "$@""#
        let process = try ChildProcess("/bin/sh", ["-c", command, folder.path] + arguments)
        guard process.waitUntilExit() == 0 else { throw NeverHappened(description: "openssl \(arguments)") }
    }
}
