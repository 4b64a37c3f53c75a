import Foundation

/// What was recorded from the Go system.
enum Golden {
    struct Missing: Error {
        var name: String
    }

    static func load<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
        let url = Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Fixtures/golden")
        guard let url else { throw Missing(name: name) }
        return try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }
}

/// A moment as in the fixtures: `2026-10-03T11:45:00-03:00`.
func moment(_ text: String) throws -> Date { try Date(text, strategy: .iso8601) }

/// A time zone by name.
func zone(_ name: String) throws -> TimeZone {
    guard let zone = TimeZone(identifier: name) else { throw Golden.Missing(name: name) }
    return zone
}
