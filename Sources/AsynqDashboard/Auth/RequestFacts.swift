import HTTPTypes
import Hummingbird

/// What of a request decides whether it is answered.
struct RequestFacts: Sendable {
    var method: String
    /// As in `Host`; `nil`: it has none.
    var authority: String?
    var origin: String?
    var fetchSite: String?
    var authorization: String?
    var csrf: String?
    /// Of the client, as text; empty if it is not known.
    var address: String
    /// Whether the browser speaks TLS with us, or with the proxy in front.
    var isSecure: Bool
    private var cookies: [String]

    private static let fetchSiteName = HTTPField.Name("Sec-Fetch-Site")
    private static let csrfName = HTTPField.Name("X-CSRF-Token")
    private static let forwardedForName = HTTPField.Name("X-Forwarded-For")
    private static let forwardedProtoName = HTTPField.Name("X-Forwarded-Proto")

    init(_ request: Request, address: String?, trustsProxy: Bool) {
        func field(_ name: HTTPField.Name?) -> String? { name.flatMap { request.headers[$0] } }
        method = request.method.rawValue
        authority = request.head.authority
        origin = request.headers[.origin]
        fetchSite = field(Self.fetchSiteName)
        authorization = request.headers[.authorization]
        csrf = field(Self.csrfName)
        cookies = request.headers[values: .cookie]
        self.address = address ?? ""
        isSecure = request.head.scheme == "https"
        guard trustsProxy else { return }
        // The last one is what the nearest proxy wrote; those before it may be the client's own invention.
        if let last = field(Self.forwardedForName)?.split(separator: ",").last {
            self.address = String(last.filter { !$0.isWhitespace }.prefix(64))
        }
        if let proto = field(Self.forwardedProtoName) { isSecure = proto.lowercased() == "https" }
    }

    func cookie(_ name: String) -> String? {
        for header in cookies {
            for pair in header.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                if pair.hasPrefix(name), pair.dropFirst(name.count).first == "=" {
                    return String(pair.dropFirst(name.count + 1))
                }
            }
        }
        return nil
    }

    /// Browsers send one cookie to all ports of a host: each dashboard has a name of its own.
    var sessionCookie: String {
        let port = authority?.split(separator: ":").last.flatMap { UInt16($0) }
        return "asynq_session" + (port.map { "_\($0)" } ?? "")
    }
}
