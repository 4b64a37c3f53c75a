import Asynq

/// One metric of all queues in Prometheus's text format 0.0.4: a line HELP, a line TYPE, a line for each sample.
struct MetricFamily: Sendable {
    enum Kind: String {
        case counter, gauge
    }

    struct Sample {
        let value: String
        /// Beside that of the queue.
        let labels: [(name: String, value: String)]

        init(_ value: String, _ labels: [(name: String, value: String)] = []) {
            self.value = value
            self.labels = labels
        }
    }

    let name: String
    let kind: Kind
    let help: String
    let samples: @Sendable (QueueSnapshot) -> [Sample]

    init(_ name: String, _ kind: Kind, _ help: String, _ samples: @escaping @Sendable (QueueSnapshot) -> [Sample]) {
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }

    /// Empty if there are no samples.
    func text(of snapshots: [QueueSnapshot]) -> String {
        var lines = ""
        for snapshot in snapshots {
            let queue = Self.escaped(snapshot.queue)
            for sample in samples(snapshot) {
                let labels = sample.labels.map { ",\($0.name)=\"\(Self.escaped($0.value))\"" }.joined()
                lines += "\(name){queue=\"\(queue)\"\(labels)} \(sample.value)\n"
            }
        }
        return lines.isEmpty ? "" : "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n" + lines
    }

    /// The value of a label. A NUL, which the format allows and Prometheus takes for the end of the text, becomes U+FFFD.
    static func escaped(_ value: String) -> String {
        var text = String.UnicodeScalarView()
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text.append(contentsOf: "\\\\".unicodeScalars)
            case "\"": text.append(contentsOf: "\\\"".unicodeScalars)
            case "\n": text.append(contentsOf: "\\n".unicodeScalars)
            case "\0": text.append("\u{FFFD}")
            default: text.append(scalar)
            }
        }
        return String(text)
    }
}
