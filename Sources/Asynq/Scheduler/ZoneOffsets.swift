// FoundationEssentials alone knows no zones but fixed offsets: their rules come with Foundation.
import Foundation
import Synchronization

/// When a time zone's clocks show what. The spans of this century are looked up once a zone and process; moments
/// outside are asked of `TimeZone` each time.
final class ZoneOffsets: Sendable {
    /// A time between two changes of the clocks, in seconds since 1970.
    struct Span: Equatable, Sendable {
        var start: Int64
        /// The next change; `Int64.max` if there is none.
        var end: Int64
        /// What the clocks show is this much more than UTC.
        var offset: Int64
        /// Whatever the clocks show below this, in seconds since 1970, they have shown before this span as well.
        var seen: Int64
    }

    private static let known = Mutex<[String: ZoneOffsets]>([:])
    /// 2000 to 2099.
    private static let table: Range<Int64> = 946_684_800..<4_102_444_800
    /// A span repeats nothing that is older than this: zones have jumped by a day at most.
    private static let memory: Int64 = 3 * CivilDate.secondsPerDay

    private let zone: TimeZone
    private let spans: [Span]

    /// The offsets of a zone, shared by all who use it.
    static func of(_ zone: TimeZone) -> ZoneOffsets {
        let identifier = zone.identifier
        if let offsets = known.withLock({ $0[identifier] }) { return offsets }
        let offsets = ZoneOffsets(zone)
        // There are too many fixed offsets to keep them all, and each is made at once.
        if offsets.spans.count > 1 { known.withLock { $0[identifier] = offsets } }
        return offsets
    }

    private init(_ zone: TimeZone) {
        self.zone = zone
        spans = Self.spans(of: zone, from: Self.table.lowerBound - Self.memory, to: Self.table.upperBound)
    }

    /// The span that holds a moment.
    func span(at second: Int64) -> Span {
        guard Self.table.contains(second) else {
            let near = Self.spans(of: zone, from: second - Self.memory, to: second + 1)
            return near[near.count - 1]
        }
        // The last span that starts at the moment or before; the first starts before the table.
        var (low, high) = (0, spans.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if spans[middle].start <= second { low = middle } else { high = middle }
        }
        return spans[low]
    }

    /// The spans from the one that holds `from` to the one that holds the moment before `to`; at least one.
    private static func spans(of zone: TimeZone, from: Int64, to: Int64) -> [Span] {
        var (start, seen) = (from, Int64.min)
        var spans: [Span] = []
        repeat {
            let date = Date(secondsSince1970: start)
            let next = zone.nextDaylightSavingTimeTransition(after: date)?.secondsSince1970RoundedUp
            let end = next.map { max($0, start + 1) } ?? .max
            let span = Span(start: start, end: end, offset: Int64(zone.secondsFromGMT(for: date)), seen: seen)
            spans.append(span)
            guard end != .max else { break }
            (start, seen) = (end, max(seen, end + span.offset))
        } while start < to
        return spans
    }
}

extension Date {
    private static let secondsTo2001: Int64 = 978_307_200

    /// Exact for whole seconds: a `Date` counts from 2001.
    init(secondsSince1970 seconds: Int64) {
        self.init(timeIntervalSinceReferenceDate: Double(seconds - Self.secondsTo2001))
    }

    /// The whole second in which the date lies; `nil` if it is no number or beyond all calendars.
    var secondsSince1970RoundedDown: Int64? {
        Int64(exactly: timeIntervalSinceReferenceDate.rounded(.down)).flatMap(Self.from2001)
    }

    fileprivate var secondsSince1970RoundedUp: Int64? {
        Int64(exactly: timeIntervalSinceReferenceDate.rounded(.up)).flatMap(Self.from2001)
    }

    private static func from2001(_ seconds: Int64) -> Int64? {
        let (sum, overflow) = seconds.addingReportingOverflow(secondsTo2001)
        return overflow ? nil : sum
    }
}
