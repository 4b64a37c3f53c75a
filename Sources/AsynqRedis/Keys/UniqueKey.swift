internal import Crypto

extension QueueKeys {
    /// The lock of tasks with this type and payload. MD5 because Go's asynq has it so: it tells payloads apart, it
    /// protects nothing.
    package func unique(type: String, payload: [UInt8]?) -> String {
        let prefix = base + "unique:" + type + ":"
        guard let payload else { return prefix }
        let digest = Insecure.MD5.hash(data: payload)
        return prefix + hexadecimal(digest)
    }
}

/// Bytes as lower-case hexadecimal text.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
}
