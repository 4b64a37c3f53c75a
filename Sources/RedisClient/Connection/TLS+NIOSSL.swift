import NIOCore
import NIOSSL

extension RedisConfiguration.TLS {
    /// What encrypts connections.
    ///
    /// - Throws: ``RedisError`` with code `invalidConfiguration` that names the file that cannot be used.
    func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let caCertificateFile {
            configuration.trustRoots = .certificates(
                try read("caCertificateFile", caCertificateFile) { try NIOSSLCertificate.fromPEMFile($0) }
            )
        }
        if let certificateFile, let privateKeyFile {
            configuration.certificateChain =
                try read("certificateFile", certificateFile) { try NIOSSLCertificate.fromPEMFile($0) }
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try read("privateKeyFile", privateKeyFile) { try NIOSSLPrivateKey(file: $0, format: .pem) }
            )
        }
        configuration.certificateVerification = verification == .insecure ? .none : .fullVerification
        return try NIOSSLContext(configuration: configuration)
    }

    /// The name that the server's certificate must hold. An address is checked against the certificate as an address, and must not be sent as a name.
    func hostname(of endpoint: RedisConfiguration.Endpoint) -> String? {
        if let serverName { return serverName }
        guard case .host(let host, _) = endpoint else { return nil }
        return (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    }

    private func read<Value>(_ setting: String, _ path: String, _ body: (String) throws -> Value) throws -> Value {
        do {
            return try body(path)
        } catch {
            throw RedisError(.invalidConfiguration, "TLS: \(setting) \"\(path)\" cannot be used: is it a PEM file?")
        }
    }
}
