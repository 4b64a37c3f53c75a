/// Durations as Go writes them: `1h30m0s`, `1.5s`, `250ms`. The options of periodic tasks are kept in this form
/// (spec 1, "Messages"). Go counts nanoseconds in 64 bits: 292 years either way.
package enum GoDuration {
    /// The shortest text with seconds, or a smaller unit for less than a second. What Go cannot hold becomes the
    /// nearest that it can.
    package static func format(_ duration: Duration) -> String {
        let nanoseconds = duration.nanosecondsClamped
        let sign = nanoseconds < 0 ? "-" : ""
        let amount = nanoseconds.magnitude
        switch amount {
        case 0: return "0s"
        case ..<1000: return "\(sign)\(amount)ns"
        case ..<1_000_000: return sign + decimal(amount, digits: 3) + "µs"
        case ..<1_000_000_000: return sign + decimal(amount, digits: 6) + "ms"
        default:
            let minutes = amount / 60_000_000_000
            let seconds = decimal(amount % 60_000_000_000, digits: 9) + "s"
            if minutes == 0 { return sign + seconds }
            if minutes < 60 { return "\(sign)\(minutes)m\(seconds)" }
            return "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
        }
    }

    /// A number with so many of its digits after the point, without zeros at the end.
    private static func decimal(_ amount: UInt64, digits: Int) -> String {
        var divisor: UInt64 = 1
        for _ in 0..<digits { divisor *= 10 }
        var text = String(amount / divisor)
        var rest = amount % divisor
        if rest > 0 { text += "." }
        while rest > 0 {
            rest *= 10
            text += String(rest / divisor)
            rest %= divisor
        }
        return text
    }

    /// Reads numbers with units (`h`, `m`, `s`, `ms`, `us` or `µs`, `ns`), each with or without a fraction, and a sign
    /// in front of them all. `0` needs no unit. What is finer than a nanosecond is cut off.
    ///
    /// - Throws: ``AsynqError/Code/invalidArgument`` for any other text, and for more than 64 bits of nanoseconds.
    package static func parse(_ text: String) throws(AsynqError) -> Duration {
        var rest = Substring(text).utf8
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        if rest.elementsEqual("0".utf8) { return .zero }
        guard !rest.isEmpty else { throw error(text, "it holds no number") }
        var sum: UInt64 = 0
        while !rest.isEmpty {
            let (next, overflow) = sum.addingReportingOverflow(try part(&rest, of: text))
            guard !overflow, next <= Int64.min.magnitude else { throw tooLong(text) }
            sum = next
        }
        guard isNegative || sum <= Int64.max.magnitude else { throw tooLong(text) }
        return .nanoseconds(isNegative ? Int64(truncatingIfNeeded: 0 &- sum) : Int64(sum))
    }

    /// Takes one number and its unit off the front, and returns the nanoseconds.
    private static func part(_ rest: inout Substring.UTF8View, of text: String) throws(AsynqError) -> UInt64 {
        let whole = rest.prefix(while: isDigit)
        rest = rest[whole.endIndex...]
        var fraction = rest.prefix(0)
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = rest.prefix(while: isDigit)
            rest = rest[fraction.endIndex...]
        }
        guard !whole.isEmpty || !fraction.isEmpty else { throw error(text, "a unit has no number in front") }
        let name = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: ".") }
        rest = rest[name.endIndex...]
        guard !name.isEmpty else { throw error(text, "a number has no unit, such as s or m") }
        guard let unit = unit(String(Substring(name))) else {
            throw error(text, "\(String(Substring(name).prefix(20)).goQuoted) is not a unit: use h, m, s, ms, us or ns")
        }
        guard let count = whole.isEmpty ? 0 : UInt64(Substring(whole)) else { throw tooLong(text) }
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        let (sum, overflowed) = product.addingReportingOverflow(part(fraction, of: unit))
        guard !overflow, !overflowed else { throw tooLong(text) }
        return sum
    }

    /// A unit's fraction in nanoseconds, in the arithmetic of Go, so that the last digit is the same.
    private static func part(_ fraction: Substring.UTF8View, of unit: UInt64) -> UInt64 {
        var (digits, scale) = (UInt64(0), 1.0)
        for byte in fraction {
            guard digits <= Int64.max.magnitude / 10 else { break }
            let next = digits * 10 + UInt64(byte - UInt8(ascii: "0"))
            guard next <= Int64.max.magnitude else { break }
            (digits, scale) = (next, scale * 10)
        }
        return UInt64(Double(digits) * (Double(unit) / scale))
    }

    private static func unit(_ name: String) -> UInt64? {
        switch name {
        case "ns": 1
        // The micro sign, and the Greek letter.
        case "us", "\u{B5}s", "\u{3BC}s": 1000
        case "ms": 1_000_000
        case "s": 1_000_000_000
        case "m": 60_000_000_000
        case "h": 3_600_000_000_000
        default: nil
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func error(_ text: String, _ reason: String) -> AsynqError {
        AsynqError(.invalidArgument, "the duration \(String(text.prefix(60)).goQuoted) is not one: \(reason)")
    }

    private static func tooLong(_ text: String) -> AsynqError {
        error(text, "it is longer than 292 years, which is the most there is")
    }
}
