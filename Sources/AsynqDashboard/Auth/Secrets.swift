import Crypto

/// Passwords and tokens, kept as digests and compared in constant time: neither the time that it takes nor a dump of the
/// memory shortens the way to one.
struct SecretDigest: Sendable {
    /// New with each process, so that the digest of a guess is known to nobody.
    private static let key = SymmetricKey(size: .bits256)

    private let digest: HMAC<SHA256>.MAC

    init(_ secret: String) {
        digest = HMAC<SHA256>.authenticationCode(for: Array(secret.utf8), using: Self.key)
    }

    /// The same time for all that differ.
    func matches(_ other: SecretDigest) -> Bool {
        digest == other.digest
    }
}

enum RandomToken {
    /// 256 random bits as hexadecimal digits.
    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let digits = String(generator.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
