/// The name in `Host`, by which a browser found this server.
enum HostName {
    /// Without the port, and `[` `]` of an IPv6 address; in lower case.
    static func withoutPort(_ authority: String) -> String {
        let text = authority.lowercased()
        if text.hasPrefix("[") { return String(text.dropFirst().prefix { $0 != "]" }) }
        // More than one colon: an IPv6 address without brackets.
        guard text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1 else { return text }
        return String(text.prefix { $0 != ":" })
    }

    /// Whether only this machine can mean this name or address.
    static func isLoopback(_ host: String) -> Bool {
        let host = withoutPort(host)
        if host == "localhost" || host == "::1" || host == "0:0:0:0:0:0:0:1" || host.hasSuffix(".localhost") {
            return true
        }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
