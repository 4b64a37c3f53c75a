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

    /// Compressed files by their tags.
    private static let compressed = Mutex<[String: CompressedFile]>([:])

    /// The file as gzip; nil where that would be no smaller.
    var gzipped: [UInt8]? {
        guard bytes.count > 300, contentType.hasPrefix("text/") else { return nil }
        let file = Self.compressed.withLock { files in
            if let file = files[etag] { return file }
            let file = CompressedFile()
            files[etag] = file
            return file
        }
        return file.bytes { Gzip.compress(bytes) }
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

/// A file that is compressed once, when it is first asked for: who asks meanwhile waits for the few milliseconds that it takes,
/// in place of doing the same work.
final class CompressedFile: Sendable {
    private let made = Mutex<[UInt8]?>(nil)

    func bytes(_ compress: () -> [UInt8]) -> [UInt8] {
        made.withLock { made in
            if let made { return made }
            let bytes = compress()
            made = bytes
            return bytes
        }
    }
}
