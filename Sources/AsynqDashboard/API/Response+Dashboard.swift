import HTTPTypes
import Hummingbird
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Response {
    /// Nothing but what comes from here, and nothing that is written in a page.
    static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
        base-uri 'self'; form-action 'none'; frame-ancestors 'none'
        """

    static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status,
            headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text))
        )
    }

    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        json(ByteBuffer(bytes: value.bytes), status: status)
    }

    /// - Parameter bytes: JSON, which may be compressed.
    static func json(_ bytes: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        var headers: HTTPFields = [
            .contentType: "application/json", .cacheControl: "no-store", .vary: "accept-encoding",
        ]
        if bytes.readableBytesView.starts(with: Gzip.magic) { headers[.contentEncoding] = "gzip" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: bytes))
    }

    static let noContent = Response(status: .noContent, headers: [.cacheControl: "no-store"])

    mutating func addSafetyHeaders() {
        headers[.xContentTypeOptions] = "nosniff"
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        // An answer of the API is no page, whoever opens it.
        if headers[.contentSecurityPolicy] == nil {
            headers[.contentSecurityPolicy] = "default-src 'none'; frame-ancestors 'none'"
        }
    }
}

extension Request {
    var acceptsGzip: Bool {
        let wishes = headers[.acceptEncoding]?.lowercased().split(separator: ",") ?? []
        return wishes.contains { wish in
            let parts = wish.filter { $0 != " " }.split(separator: ";")
            return parts.first == "gzip" && !parts.dropFirst().contains { $0 == "q=0" || $0 == "q=0.0" }
        }
    }

    /// The body as JSON.
    ///
    /// - Throws: ``APIError``: 413 if it is larger than `limit`, 400 if it is something else.
    func decode<Body: Decodable>(_ type: Body.Type, limit: Int) async throws -> Body {
        let tooLarge = APIError(.contentTooLarge, "the body is larger than \(limit) bytes")
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge }
        let bytes: ByteBuffer
        do {
            bytes = try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch let error as DecodingError {
            throw APIError.badRequest(error.sentence)
        }
    }
}

extension DecodingError {
    /// What is wrong, without what the body holds.
    fileprivate var sentence: String {
        func name(_ context: Context, _ key: (any CodingKey)? = nil) -> String {
            (context.codingPath + (key.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
        }
        return switch self {
        case .keyNotFound(let key, let context): "\(name(context, key)) is missing"
        case .typeMismatch(let type, let context): "\(name(context)) must be of type \(type)"
        case .valueNotFound(let type, let context): "\(name(context)) must be of type \(type), and not null"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty: "\(name(context)) has no valid value"
        default: "the body is not valid JSON"
        }
    }
}
