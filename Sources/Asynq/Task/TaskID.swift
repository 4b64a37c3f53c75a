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
            write(high, digits: 0..<8, to: text, at: 0)
            write(high, digits: 8..<12, to: text, at: 9)
            write(high, digits: 12..<16, to: text, at: 14)
            write(low, digits: 0..<4, to: text, at: 19)
            write(low, digits: 4..<16, to: text, at: 24)
            for place in stride(from: 8, through: 23, by: 5) { text[place] = UInt8(ascii: "-") }
            return 36
        }
    }

    /// Some of the sixteen digits of a number.
    private static func write(
        _ number: UInt64,
        digits: Range<Int>,
        to text: UnsafeMutableBufferPointer<UInt8>,
        at start: Int
    ) {
        for digit in digits {
            let value = UInt8(truncatingIfNeeded: number >> UInt64(60 - digit * 4)) & 0xF
            let first = value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10
            text[start + digit - digits.lowerBound] = first + value
        }
    }
}
