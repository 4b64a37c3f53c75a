import Yams

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The file of options: YAML, of which JSON is a part.
enum ConfigurationFile {
    /// Reads the file that is named, or the one in the home directory if there is one.
    ///
    /// - Throws: ``Failure`` if a file that was named is not there, or one cannot be read. What is in it is not repeated.
    static func read(named path: String?, home: String?) throws -> [ConnectionSettings.Name: String] {
        if let path {
            let path = path.hasPrefix("~/") ? (home ?? "~") + path.dropFirst() : path
            guard FileManager.default.fileExists(atPath: path) else {
                throw Failure.usage("there is no configuration file \(Printable.line(path)): check --config")
            }
            return try parse(try text(path), path: path)
        }
        guard let home, !home.isEmpty else { return [:] }
        let places = ["yaml", "yml", "json"].map { "\(home)/.asynq.\($0)" }
        guard let path = places.first(where: FileManager.default.fileExists) else { return [:] }
        return try parse(try text(path), path: path)
    }

    private static func text(_ path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path), let text = String(bytes: data, encoding: .utf8)
        else {
            throw Failure.usage("\(Printable.line(path)) cannot be read as text: check its permissions and its format")
        }
        return text
    }

    static func parse(_ text: String, path: String) throws -> [ConnectionSettings.Name: String] {
        let path = Printable.line(path)
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw Failure.usage("\(path) is no valid YAML or JSON\(line(of: error))")
        }
        guard let root else { return [:] }
        guard let mapping = root.mapping else {
            throw Failure.usage("\(path) must hold lines of the form \"uri: redis://host:6379\"")
        }
        var values: [ConnectionSettings.Name: String] = [:]
        for (key, value) in mapping {
            let key = key.string ?? ""
            guard let name = ConnectionSettings.Name(rawValue: key.replacing("-", with: "_")) else {
                let known = ConnectionSettings.Name.allCases.map(\.rawValue)
                let hint =
                    Suggestion.nearest(to: key, among: known).map { "did you mean \"\($0)\"?" }
                    ?? "known are " + known.joined(separator: ", ")
                throw Failure.usage("\(path): the key \"\(Printable.line(key))\" is not known; \(hint)")
            }
            if let list = value.sequence {
                values[name] = list.compactMap(\.scalar?.string).joined(separator: ",")
            } else if let scalar = value.scalar {
                // A key with nothing behind it is not set.
                if !(scalar.style == .plain && ["", "~", "null"].contains(scalar.string)) {
                    values[name] = scalar.string
                }
            } else {
                throw Failure.usage("\(path): \(name.rawValue) must be one value, or a list of them")
            }
        }
        return values
    }

    private static func line(of error: YamlError) -> String {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            " (line \(mark.line))"
        default: ""
        }
    }
}
