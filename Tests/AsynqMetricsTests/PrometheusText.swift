/// A strict reader of Prometheus's text format 0.0.4: refuses what a scraper may refuse, and what is merely untidy.
struct PrometheusText {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    struct Malformed: Error, CustomStringConvertible {
        var description: String
    }

    private(set) var types: [String: String] = [:]
    private(set) var help: [String: String] = [:]
    private(set) var samples: [Sample] = []

    init(_ text: String) throws {
        guard text.isEmpty || text.utf8.last == 10 else { throw Malformed(description: "the last line is not ended") }
        var current = ""
        var lines = Self.lines(text)
        if !lines.isEmpty { lines.removeLast() }
        for line in lines {
            if line.starts(with: "# HELP ".unicodeScalars) {
                let (name, rest) = try Self.name(line.dropFirst(7))
                guard help[name] == nil, types[name] == nil else { throw Malformed(description: "\(name) again") }
                guard rest.first == " " else { throw Malformed(description: "no text after HELP \(name)") }
                help[name] = String(String.UnicodeScalarView(rest.dropFirst()))
                current = name
            } else if line.starts(with: "# TYPE ".unicodeScalars) {
                let (name, rest) = try Self.name(line.dropFirst(7))
                let type = String(String.UnicodeScalarView(rest.dropFirst()))
                guard name == current, types[name] == nil else {
                    throw Malformed(description: "TYPE \(name) is not after its HELP")
                }
                guard ["counter", "gauge"].contains(type) else { throw Malformed(description: "type \(type)") }
                types[name] = type
            } else {
                let sample = try Self.sample(line)
                guard sample.name == current, types[current] != nil else {
                    throw Malformed(description: "\(sample.name) is not among its own")
                }
                guard !samples.contains(where: { $0.name == sample.name && $0.labels == sample.labels }) else {
                    throw Malformed(description: "\(sample.name) \(sample.labels) twice")
                }
                guard types[current] != "counter" || sample.value >= 0 else {
                    throw Malformed(description: "a counter below zero")
                }
                samples.append(sample)
            }
        }
        for name in types.keys where !samples.contains(where: { $0.name == name }) {
            throw Malformed(description: "\(name) has no sample")
        }
    }

    /// Only LF ends a line.
    private static func lines(_ text: String) -> [Substring.UnicodeScalarView] {
        guard !text.isEmpty else { return [] }
        return text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { $0 }
    }

    private static func isNameStart(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
    }

    private static func name(
        _ text: Substring.UnicodeScalarView
    ) throws -> (name: String, rest: Substring.UnicodeScalarView) {
        let name = text.prefix { isNameStart($0) || ("0"..."9").contains($0) }
        guard let first = name.first, isNameStart(first) else {
            throw Malformed(description: "no name at \(String(text))")
        }
        return (String(name), text.dropFirst(name.count))
    }

    private static func sample(_ line: Substring.UnicodeScalarView) throws -> Sample {
        guard !line.contains("\0") else { throw Malformed(description: "NUL") }
        var (name, rest) = try name(line)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            repeat {
                rest = rest.dropFirst()
                let (label, after) = try Self.name(rest)
                guard after.starts(with: "=\"".unicodeScalars) else {
                    throw Malformed(description: "no value of \(label)")
                }
                rest = after.dropFirst(2)
                var value = String.UnicodeScalarView()
                while let scalar = rest.popFirst(), scalar != "\"" {
                    guard scalar == "\\" else {
                        value.append(scalar)
                        continue
                    }
                    switch rest.popFirst() {
                    case "n": value.append("\n")
                    case "\\": value.append("\\")
                    case "\"": value.append("\"")
                    case let other: throw Malformed(description: "escape \(String(describing: other))")
                    }
                }
                guard labels.updateValue(String(value), forKey: label) == nil else {
                    throw Malformed(description: "label \(label) twice")
                }
            } while rest.first == ","
            guard rest.popFirst() == "}" else {
                throw Malformed(description: "labels are not closed in \(String(line))")
            }
        }
        guard rest.popFirst() == " ", let value = Double(String(rest)) else {
            throw Malformed(description: "no number in \(String(line))")
        }
        name = String(name)
        return Sample(name: name, labels: labels, value: value)
    }
}
