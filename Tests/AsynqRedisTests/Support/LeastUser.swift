import Foundation
import TestSupport

/// A user who may do what the page Security of the documentation lists, and nothing else.
enum LeastUser {
    enum Kind: String {
        /// Of servers and of the nodes of a Cluster.
        case server = "worker"
        case sentinel = "watcher"
    }

    /// For a URI. What is escaped in it must arrive as it is.
    static let credentials = "worker:s3cret%2Fof%20ours"
    private static let password = "s3cret/of ours"

    /// The words of the page's `ACL SETUSER` line.
    static func rules(of kind: Kind) throws -> [String] {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let page = folder.appendingPathComponent("Sources/Asynq/Asynq.docc/Security.md")
        // A line that ends in a backslash goes on.
        let text = try String(contentsOf: page, encoding: .utf8).replacingOccurrences(of: "\\\n", with: " ")
        let line = text.split(separator: "\n").first { $0.hasPrefix("ACL SETUSER \(kind.rawValue) ") }
        guard let line else { throw NeverHappened(description: "no rules for \(kind.rawValue) on the page") }
        return line.split(separator: " ").dropFirst(2).map { $0.hasPrefix(">") ? ">\(password)" : String($0) }
    }

    static func create(on servers: [RedisServer], of kind: Kind = .server) throws {
        let command = ["ACL", "SETUSER"] + (try rules(of: kind))
        for server in servers {
            let answer = try server.cli(command)[0]
            guard answer == "OK" else { throw NeverHappened(description: "ACL SETUSER: \(answer)") }
        }
    }

    static func uri(of cluster: ClusterSet) -> String {
        cluster.uri.replacingOccurrences(of: "://", with: "://\(credentials)@")
    }

    static func uri(of set: SentinelSet) -> String {
        let user = credentials.replacingOccurrences(of: ":", with: "&password=")
        return set.uri.replacingOccurrences(
            of: "://",
            with: "://\(credentials.replacingOccurrences(of: "worker", with: "watcher"))@"
        ) + "&username=\(user)"
    }
}
