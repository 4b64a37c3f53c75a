import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Random numbers of the system, got many at a time: a call of the kernel for each would cost more than the rest of an id.
final class RandomWords: Sendable {
    static let shared = RandomWords()

    private let words = Mutex<[UInt64]>([])

    private init() {}

    func pair() -> (UInt64, UInt64) {
        words.withLock { words in
            if words.count < 2 { words = Self.fresh() }
            return (words.removeLast(), words.removeLast())
        }
    }

    private static func fresh() -> [UInt64] {
        let count = 32
        #if os(Linux)
        let words = [UInt64](unsafeUninitializedCapacity: count) { buffer, filled in
            // 256 bytes, the most that it gives. It fails where the kernel has no such call.
            filled = getentropy(buffer.baseAddress!, count * MemoryLayout<UInt64>.size) == 0 ? count : 0
        }
        if words.count == count { return words }
        #endif
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in generator.next() }
    }
}
