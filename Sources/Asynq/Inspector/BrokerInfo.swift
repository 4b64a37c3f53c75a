/// What the store behind a broker says of itself: version, memory, clients, time of running, whatever it has.
public struct BrokerInfo: Sendable, Hashable {
    /// Lines about one subject.
    public struct Section: Sendable, Hashable {
        public struct Entry: Sendable, Hashable {
            public var key: String
            public var value: String

            public init(_ key: String, _ value: String) {
                self.key = key
                self.value = value
            }
        }

        public var name: String
        public var entries: [Entry]

        public init(_ name: String, _ entries: [Entry]) {
            self.name = name
            self.entries = entries
        }
    }

    /// `redis`, `sqlite` or `memory`.
    public var kind: String
    /// Where it is, without secrets.
    public var address: String
    /// Of the store's software.
    public var version: String
    public var sections: [Section]

    public init(kind: String, address: String, version: String, sections: [Section]) {
        self.kind = kind
        self.address = address
        self.version = version
        self.sections = sections
    }

    /// The value of a key, in whichever section it stands; `nil` if there is none.
    public subscript(key: String) -> String? {
        sections.lazy.flatMap(\.entries).first { $0.key == key }?.value
    }

    /// All of it in the form of Redis's INFO: a line `# section`, then a line `key:value` for each.
    public var text: String {
        sections.map { section in
            "# \(section.name)\n" + section.entries.map { "\($0.key):\($0.value)\n" }.joined()
        }.joined(separator: "\n")
    }
}
