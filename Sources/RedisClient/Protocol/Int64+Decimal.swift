extension Int64 {
    /// A number that is written with decimal digits, and maybe a sign in front of them. `nil` if there is anything else, or if
    /// it does not fit.
    init?(decimal text: UnsafeRawBufferPointer) {
        guard let first = text.first else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var place = isNegative || first == UInt8(ascii: "+") ? 1 : 0
        guard place < text.count else { return nil }
        // Built up as a negative number, which reaches one further.
        var number: Int64 = 0
        while place < text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflowed) = product.subtractingReportingOverflow(Int64(digit))
            guard !overflow, !overflowed else { return nil }
            number = sum
            place += 1
        }
        guard isNegative || number != .min else { return nil }
        self = isNegative ? number : -number
    }
}
