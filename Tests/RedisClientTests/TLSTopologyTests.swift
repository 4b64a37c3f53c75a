import Foundation
import RedisClient
import TestSupport
import Testing

/// Encrypted connections to Sentinels and to the nodes of a Cluster.
struct TLSTopologyTests {
    /// A first command is answered with the right authority, and fails with another one.
    private func expectChecks(_ uri: String, _ certificates: Certificates) async throws {
        try await withClient(uri) {
            $0.tls = certificates.trust
        } _: { redis async throws in
            try await redis.runEventually("PING")
        }
        let doubting = try await firstFailure(uri, saying: "TLS handshake") {
            $0.tls = certificates.trust
            $0.tls?.caCertificateFile = certificates.path("other-ca.pem")
        }
        #expect(doubting.code == .connectionFailed)
    }

    @Test func `Sentinels and the master that they name are reached over TLS, and their certificates checked`()
        async throws
    {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        let (port, masterPort) = (try RedisServer.freePort(), try RedisServer.freePort())
        // A Sentinel that looks at its servers over TLS.
        let arguments = certificates.options(port: port) + ["--tls-replication", "yes"]
        try await SentinelSet.withSet(replicas: 0, sentinels: 1, sentinelArguments: arguments) { set async throws in
            let (master, sentinel) = (set.servers[0], set.sentinels[0])
            let options = certificates.options(port: masterPort).map {
                $0.hasPrefix("--") ? String($0.dropFirst(2)) : $0
            }
            #expect(try master.cli(["CONFIG", "SET"] + options)[0] == "OK")
            try sentinel.cli("SENTINEL", "REMOVE", SentinelSet.masterName)
            try sentinel.cli("SENTINEL", "MONITOR", SentinelSet.masterName, "127.0.0.1", "\(masterPort)", "1")
            let uri = "rediss-sentinel://127.0.0.1:\(port)/?master=\(SentinelSet.masterName)"
            try await expectChecks(uri, certificates)
            let clients = try await withClient(uri) {
                $0.tls = certificates.trust
            } _: { redis async throws in
                try await redis.runEventually("PING")
                return try master.cli("CLIENT", "LIST").split(separator: "\n")
            }
            #expect(clients.contains { $0.contains("name=swift-asynq") && $0.contains(":\(masterPort) ") })
        }
    }

    @Test func `all nodes of a Cluster are reached over TLS, and their certificates checked`() async throws {
        let certificates = try Certificates()
        defer { try? FileManager.default.removeItem(at: certificates.folder) }
        let ports = [try RedisServer.freePort(), try RedisServer.freePort()]
        func arguments(_ port: Int) throws -> [String] {
            certificates.options(port: port) + [
                "--tls-cluster", "yes", "--cluster-enabled", "yes", "--cluster-port", "\(try RedisServer.freePort())",
            ]
        }
        try await RedisServer.withServer(arguments(ports[0])) { first async throws in
            try await RedisServer.withServer(arguments(ports[1])) { second async throws in
                try first.cli("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
                try second.cli("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
                try second.cli("CLUSTER", "SET-CONFIG-EPOCH", "2")
                let bus = try second.cli("CONFIG", "GET", "cluster-port").split(separator: "\n").last ?? ""
                try first.cli("CLUSTER", "MEET", "127.0.0.1", "\(ports[1])", "\(bus)")
                try await eventually("they serve together") {
                    try [first, second].allSatisfy {
                        try $0.cli("CLUSTER", "INFO").contains("cluster_state:ok")
                            && $0.cli("CLUSTER", "INFO").contains("cluster_size:2")
                    }
                }
                let uri = "rediss-cluster://127.0.0.1:\(ports[0])"
                try await expectChecks(uri, certificates)
                try await withClient(uri) {
                    $0.tls = certificates.trust
                } _: { redis async throws in
                    try await redis.runEventually("PING")
                    for number in 0..<20 {
                        let command = RESPCommand("SET", "k\(number)", "1")
                        #expect(try await redis.execute(command, to: .key("k\(number)")).string == "OK")
                    }
                    for (server, port) in zip([first, second], ports) {
                        #expect(Int(try server.cli("DBSIZE")) ?? 0 > 0)
                        let clients = try server.cli("CLIENT", "LIST").split(separator: "\n")
                        #expect(clients.contains { $0.contains("name=swift-asynq") && $0.contains(":\(port) ") })
                    }
                }
            }
        }
    }
}
