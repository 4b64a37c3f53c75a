#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

enum Times {
    /// Such as `2026-01-31T09:30:00Z`; with milliseconds if there are any.
    static func rfc3339(_ date: Date) -> String {
        // Rounded first: a Date that was made from 0.5 s and a day is a little less than that.
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
        let date = Date(timeIntervalSince1970: milliseconds / 1000)
        let isWhole = milliseconds.truncatingRemainder(dividingBy: 1000) == 0
        return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: !isWhole))
    }

    /// The day by UTC, such as `2026-01-31`.
    static func day(_ date: Date) -> String { String(rfc3339(date).prefix(10)) }

    /// - Returns: `nil` if the text is no moment as RFC 3339 writes it.
    static func date(_ text: String) -> Date? {
        [false, true].lazy.compactMap { isFractional in
            try? Date.ISO8601FormatStyle(includingFractionalSeconds: isFractional).parse(text)
        }.first
    }
}
