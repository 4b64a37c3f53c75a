#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What is written into this program.
enum StandardInput {
    /// All of it, to its end.
    ///
    /// - Throws: ``Failure`` if it cannot be read.
    static func all() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let piece = try some(65_536) { bytes += piece }
        return bytes
    }

    /// What is there now, or the next to come; `nil` at the end.
    static func some(_ limit: Int) throws -> [UInt8]? {
        while true {
            var failure: Int32 = 0
            let piece = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
                let result = read(STDIN_FILENO, buffer.baseAddress, buffer.count)
                failure = result < 0 ? errno : 0
                count = max(0, result)
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw Failure("standard input cannot be read (errno \(failure))") }
            return piece.isEmpty ? nil : piece
        }
    }
}
