/// The options of a connection, each from the first place that has it: the command line, the environment, the file.
struct ConnectionSettings: Sendable {
    /// Where a value comes from; the later, the stronger.
    enum Source: Int, Sendable, Comparable {
        case file, environment, commandLine

        static func < (first: Source, second: Source) -> Bool { first.rawValue < second.rawValue }
    }

    /// The names of options as in the file; in the environment they are in capitals, after `ASYNQ_`.
    enum Name: String, CaseIterable, Sendable {
        case uri, db, username, password, cluster
        case clusterAddresses = "cluster_addrs"
        case tls
        case tlsServer = "tls_server"
        case insecure

        var environmentName: String { "ASYNQ_" + rawValue.uppercased() }
    }

    private var values: [Name: (text: String, source: Source)] = [:]

    /// - Parameters:
    ///   - options: of the command line.
    ///   - environment: of the process.
    ///   - file: what the file says, if there is one.
    init(_ options: ConnectionOptions, environment: [String: String], file: [Name: String]) {
        for (name, text) in file { values[name] = (text, .file) }
        for name in Name.allCases {
            // Empty is as good as not set: some systems cannot unset a variable.
            if let text = environment[name.environmentName], !text.isEmpty { values[name] = (text, .environment) }
        }
        let given: [(Name, String?)] = [
            (.uri, options.uri), (.db, options.db.map(String.init)), (.username, options.username),
            (.password, options.password), (.cluster, options.cluster ? "true" : nil),
            (.clusterAddresses, options.clusterAddrs), (.tls, options.tls ? "true" : nil),
            (.tlsServer, options.tlsServer), (.insecure, options.insecure ? "true" : nil),
        ]
        for case (let name, let text?) in given { values[name] = (text, .commandLine) }
    }

    func text(_ name: Name) -> String? { values[name]?.text }

    /// Whether a value is at least as strong as the URI, and so counts more than what the URI itself says.
    func overridesURI(_ name: Name) -> Bool {
        guard let value = values[name] else { return false }
        guard let uri = values[.uri] else { return true }
        return value.source >= uri.source
    }

    func isGivenOnCommandLine(_ name: Name) -> Bool { values[name]?.source == .commandLine }

    /// - Throws: ``Failure`` if the text is no number.
    func number(_ name: Name) throws -> Int? {
        guard let value = values[name] else { return nil }
        guard let number = Int(value.text), number >= 0 else {
            throw Failure.usage("\(place(name)) is no number from 0: give the number of a database")
        }
        return number
    }

    /// - Throws: ``Failure`` if the text is neither true nor false.
    func isTrue(_ name: Name) throws -> Bool {
        guard let value = values[name] else { return false }
        switch value.text.lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default: throw Failure.usage("\(place(name)) is neither true nor false")
        }
    }

    /// Where a value stands, as it is written there.
    private func place(_ name: Name) -> String {
        switch values[name]?.source {
        case .environment: name.environmentName
        case .file: "\(name.rawValue) in the configuration file"
        case .commandLine, nil: "--" + name.rawValue.replacing("_", with: "-")
        }
    }
}
