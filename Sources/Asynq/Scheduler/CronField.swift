/// One field of a cron spec: what it is called and what may stand in it.
struct CronField: Sendable {
    /// What a field says.
    struct Value: Equatable {
        /// Bit n stands for the value n.
        var bits: UInt64 = 0
        /// Whether a `*` or `?` without a step is among it.
        var isAny = false
        /// Whether a step is among it.
        var isStepped = false
    }

    let name: String
    let range: ClosedRange<Int>
    /// Names of the values from the smallest on.
    var names: [String] = []
    /// Whether the value after the largest is the smallest again, and ranges may go on there.
    var wraps = false

    static let second = CronField(name: "second", range: 0...59)
    static let minute = CronField(name: "minute", range: 0...59)
    static let hour = CronField(name: "hour", range: 0...23)
    static let dayOfMonth = CronField(name: "day-of-month", range: 1...31)
    static let month = CronField(
        name: "month",
        range: 1...12,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    )
    static let dayOfWeek = CronField(
        name: "day-of-week",
        range: 0...6,
        names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        wraps: true
    )

    /// The bits of all values.
    var all: UInt64 { range.reduce(into: 0) { $0 |= 1 << UInt64($1) } }

    func parse(_ text: Substring) throws(AsynqError) -> Value {
        var value = Value()
        for element in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !element.isEmpty else { throw error(text, "there is nothing before or after a comma") }
            try add(element, to: &value)
        }
        return value
    }

    private func add(_ element: Substring, to value: inout Value) throws(AsynqError) {
        let parts = element.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw error(element, "it has more than one slash") }
        let step = parts.count == 2 ? try step(parts[1], of: element) : 1
        value.isStepped = value.isStepped || parts.count == 2
        let (low, high): (Int, Int)
        if parts[0] == "*" || parts[0] == "?" {
            (low, high) = (range.lowerBound, range.upperBound)
            value.isAny = value.isAny || step == 1
        } else {
            (low, high) = try bounds(parts[0], of: element, isStepped: parts.count == 2)
        }
        for number in stride(from: low, through: high, by: step) {
            value.bits |= 1 << UInt64(number > range.upperBound ? number - range.count : number)
        }
    }

    /// The first and the last value of a number or a range; the last is past the largest value if the range wraps.
    private func bounds(
        _ text: Substring,
        of element: Substring,
        isStepped: Bool
    ) throws(AsynqError) -> (low: Int, high: Int) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2 else { throw error(element, "it has more than one hyphen") }
        guard ends.count == 2 else {
            let number = try number(text, of: element)
            let low = number > range.upperBound ? range.lowerBound : number
            return (low, isStepped ? range.upperBound : low)
        }
        guard !ends[0].isEmpty, !ends[1].isEmpty else {
            throw error(element, "a hyphen needs a value on both sides")
        }
        var (low, high) = (try number(ends[0], of: element), try number(ends[1], of: element))
        if low > range.upperBound {
            (low, high) = (range.lowerBound, high > range.upperBound ? range.lowerBound : high)
        }
        if high < low {
            guard wraps else { throw error(element, "the range ends before it begins") }
            high += range.count
        }
        return (low, high)
    }

    private func number(_ text: Substring, of element: Substring) throws(AsynqError) -> Int {
        if let index = names.firstIndex(of: text.lowercased()) { return range.lowerBound + index }
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            let known = names.isEmpty ? "not a number" : "neither a number nor a name"
            throw error(element, "\(CronParser.quoted(text)) is \(known)")
        }
        // Seven is Sunday, as zero is.
        guard let number = Int(text), range.contains(number) || wraps && number == range.upperBound + 1 else {
            throw error(element, "\(CronParser.quoted(text)) is out of range")
        }
        return number
    }

    private func step(_ text: Substring, of element: Substring) throws(AsynqError) -> Int {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let step = Int(text),
            step > 0
        else { throw error(element, "the step \(CronParser.quoted(text)) must be a whole number from 1 on") }
        return step
    }

    private func error(_ text: Substring, _ reason: String) -> AsynqError {
        var allowed = "\(range.lowerBound)-\(range.upperBound + (wraps ? 1 : 0))"
        if let first = names.first, let last = names.last { allowed += " or \(first)-\(last)" }
        return CronParser.error(
            "the \(name) field of the cron spec has \(CronParser.quoted(text)): \(reason); allowed is \(allowed)"
        )
    }
}
