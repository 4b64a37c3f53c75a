/// A curve in one line of text.
enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█").map(String.init)

    /// The last values, each as high as its part of the greatest.
    static func text(_ values: [Double], columns: Int) -> String {
        let shown = values.suffix(max(0, columns))
        let greatest = max(shown.max() ?? 0, .leastNonzeroMagnitude)
        let text = shown.map { value in
            bars[min(bars.count - 1, max(0, Int((value / greatest * Double(bars.count - 1)).rounded(.up))))]
        }
        return String(repeating: " ", count: max(0, columns - shown.count)) + text.joined()
    }
}
