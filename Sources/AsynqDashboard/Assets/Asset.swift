import Crypto
import Synchronization

/// A file of the front end.
struct Asset: Sendable {
    let bytes: [UInt8]
    let contentType: String
    let etag: String

    init(_ path: String, _ bytes: [UInt8]) {
        self.bytes = bytes
        contentType = Self.contentType(path)
        let digest = SHA256.hash(data: bytes).prefix(12)
        etag = "\"" + digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\""
    }

    /// Compressed files by their tags, each made when it is first asked for.
    private static let compressed = Mutex<[String: [UInt8]]>([:])

    /// The file as gzip; nil where that would be no smaller.
    var gzipped: [UInt8]? {
        guard bytes.count > 300, contentType.hasPrefix("text/") else { return nil }
        if let known = Self.compressed.withLock({ $0[etag] }) { return known }
        let made = Gzip.compress(bytes)
        Self.compressed.withLock { $0[etag] = made }
        return made
    }

    private static func contentType(_ path: String) -> String {
        switch path.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "svg": "image/svg+xml"
        case "png": "image/png"
        case "ico": "image/x-icon"
        case "json", "webmanifest": "application/json"
        case "woff2": "font/woff2"
        default: "application/octet-stream"
        }
    }
}
