import Asynq
import HTTPTypes

/// What stands behind the `?` of a request.
struct APIQuery: Sendable, Hashable {
    private var values: [String: String] = [:]

    /// - Throws: ``APIError`` (400) for what is no valid UTF-8. Of two values of a name the first counts.
    init(_ text: String?) throws(APIError) {
        for pair in (text ?? "").split(separator: "&") {
            let equals = pair.firstIndex(of: "=")
            let name = pair[..<(equals ?? pair.endIndex)]
            let value = equals.map { pair[pair.index(after: $0)...] } ?? ""
            // As forms write it, a blank is a plus.
            guard let name = PercentEncoding.decode(name.replacing("+", with: " ")),
                let value = PercentEncoding.decode(value.replacing("+", with: " "))
            else { throw .badRequest("the query is not valid UTF-8: encode it with encodeURIComponent") }
            if values[name] == nil { values[name] = value }
        }
    }

    /// `nil` if it is not there; an empty one is a value too.
    func value(_ name: String) -> String? { values[name] }

    /// `nil` if it is not there, or empty.
    func text(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// - Throws: ``APIError`` (400) for what is no whole number of this range.
    func number(_ name: String, _ range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let text = text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            let most = range.upperBound == .max ? "" : " to \(range.upperBound)"
            throw .badRequest("\(name) must be a whole number from \(range.lowerBound)\(most)")
        }
        return number
    }

    func page() throws(APIError) -> (page: Int, size: Int) {
        (try number("page", 1...Int.max) ?? 1, try number("size", 1...1000) ?? 20)
    }
}
