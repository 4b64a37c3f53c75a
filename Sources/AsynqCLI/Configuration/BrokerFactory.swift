import Asynq
import AsynqRedis
import AsynqSQLite
import Logging

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ConnectionSettings {
    static let defaultURI = "127.0.0.1:6379"

    /// The broker that these settings name. Nothing is connected yet.
    ///
    /// - Parameter createsFile: whether a SQLite file that is not there is made.
    /// - Throws: ``Failure``, without the password.
    func makeBroker(createsFile: Bool) throws -> any Broker {
        let logger = Logger(label: "asynq") { _ in SwiftLogNoOpLogHandler() }
        let uri = try self.uri()
        if uri.hasPrefix("sqlite:") { return try sqliteBroker(uri, createsFile: createsFile, logger) }
        do {
            return try RedisBroker(configuration: try redisConfiguration(uri), logger: logger)
        } catch let error as RedisError {
            throw Failure.usage("\(error.message) (--uri)")
        }
    }

    private func uri() throws -> String {
        let addresses = text(.clusterAddresses)
        guard try isTrue(.cluster) || addresses != nil else { return text(.uri) ?? Self.defaultURI }
        if addresses == nil, text(.uri)?.hasPrefix("sqlite:") == true {
            throw Failure.usage("--cluster is for Redis; a SQLite file has no such thing")
        }
        let nodes = addresses ?? text(.uri) ?? Self.defaultURI
        return nodes.contains("://") ? nodes : "redis-cluster://" + nodes.filter { !$0.isWhitespace }
    }

    private func sqliteBroker(_ uri: String, createsFile: Bool, _ logger: Logger) throws -> any Broker {
        for name in [Name.db, .username, .password, .tls, .tlsServer, .insecure] where isGivenOnCommandLine(name) {
            throw Failure.usage(
                "--\(name.rawValue.replacing("_", with: "-")) is for Redis; a SQLite file has no such thing"
            )
        }
        var path = String(uri.dropFirst("sqlite:".count))
        // As some write it: sqlite:///var/lib/tasks.db.
        if path.hasPrefix("//") { path = String(path.dropFirst(2)) }
        guard !path.isEmpty else { throw Failure.usage("sqlite: needs a path, such as sqlite:tasks.db (--uri)") }
        guard createsFile || FileManager.default.fileExists(atPath: path) else {
            throw Failure("there is no file \(Printable.line(path)): check --uri; 'asynq task enqueue' makes it")
        }
        do {
            return try SQLiteBroker(path: path, logger: logger)
        } catch let error as AsynqError {
            throw Failure(error.message)
        }
    }

    func redisConfiguration(_ uri: String) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(uri)
        if let number = try number(.db), configuration.database == 0 || overridesURI(.db) {
            configuration.database = number
        }
        if let name = text(.username), configuration.username == nil || overridesURI(.username) {
            configuration.username = name
        }
        if let secret = text(.password), configuration.password == nil || overridesURI(.password) {
            configuration.password = secret
        }
        let (server, isInsecure) = (text(.tlsServer), try isTrue(.insecure))
        if try isTrue(.tls) || server != nil || isInsecure {
            var tls = configuration.tls ?? .init()
            tls.serverName = server ?? tls.serverName
            if isInsecure { tls.verification = .insecure }
            configuration.tls = tls
        }
        configuration.clientName = "asynq-cli"
        return configuration
    }
}
