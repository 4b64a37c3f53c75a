#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How the ids of tasks that were given none are made: see ``Broker/taskIDScheme``.
public enum TaskIDScheme: Sendable {
    /// UUIDs of version 4: random. As Go's clients make them (spec 2, "Task and options").
    case random

    /// UUIDs of version 7: the time in milliseconds, and then random. Those of one time lie together in an index, so that
    /// a store that keeps its index on a disk writes few places of it and not one for each task.
    case timeOrdered
}

/// Makes the ids of tasks that were given none.
package enum TaskID {
    package static func make(_ scheme: TaskIDScheme) -> String {
        switch scheme {
        case .random: random()
        case .timeOrdered: timeOrdered()
        }
    }

    /// A new random UUID (version 4), in lower case.
    package static func random() -> String {
        let (high, low) = RandomWords.shared.pair()
        return text(high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000, low: low)
    }

    /// A new UUID of the time (version 7), in lower case.
    ///
    /// - Parameter milliseconds: Unix time.
    package static func timeOrdered(
        milliseconds: Int64 = Int64(Date().timeIntervalSince1970 * 1000)
    ) -> String {
        let (high, low) = RandomWords.shared.pair()
        let time = UInt64(truncatingIfNeeded: milliseconds) << 16
        return text(high: time | high & 0x0FFF | 0x7000, low: low)
    }

    /// Sets the variant, which all versions have in common.
    private static func text(high: UInt64, low: UInt64) -> String {
        let low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return String(unsafeUninitializedCapacity: 36) { text in
            var position = 0
            for (index, word) in [high, low].enumerated() {
                for nibble in 0..<16 {
                    let digits = index * 16 + nibble
                    if digits == 8 || digits == 12 || digits == 16 || digits == 20 {
                        text[position] = UInt8(ascii: "-")
                        position += 1
                    }
                    let value = UInt8(truncatingIfNeeded: word >> UInt64(60 - nibble * 4)) & 0xF
                    text[position] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                    position += 1
                }
            }
            return 36
        }
    }
}
