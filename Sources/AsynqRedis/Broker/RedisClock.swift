import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The server's time of day, as far as its last answer tells. For what is written into messages; scripts read it
/// themselves.
final class RedisClock: Sendable {
    /// Server less local, in microseconds.
    private let offset = Atomic<Int64>(0)

    private static var local: Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    /// The server's clock has just read this.
    func observe(microseconds: Int64) {
        offset.store(microseconds - Self.local, ordering: .relaxed)
    }

    /// Unix seconds.
    var seconds: Int64 { (Self.local + offset.load(ordering: .relaxed)) / 1_000_000 }
}
