/// Rows under titles, as wide as the terminal at most.
struct Table {
    struct Column {
        var title: String
        var isRight = false
        /// Whether its texts may be cut where the terminal is too narrow.
        var isFlexible = false
        /// Whether it is the beginning that is cut off.
        var keepsEnd = false

        static func left(_ title: String) -> Column { Column(title: title) }
        static func right(_ title: String) -> Column { Column(title: title, isRight: true) }
        static func text(_ title: String) -> Column { Column(title: title, isFlexible: true) }
        /// Ids in the order of time begin alike: what tells them apart is at the end.
        static func id(_ title: String) -> Column { Column(title: title, isFlexible: true, keepsEnd: true) }

        func fitted(_ text: String, to width: Int) -> String {
            keepsEnd ? Printable.fittedEnd(text, to: width) : Printable.fitted(text, to: width)
        }
    }

    struct Cell: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        var text: String
        var style: Style

        init(_ text: String, _ style: Style = .plain) {
            self.text = Printable.line(text)
            self.style = style
        }

        init(_ number: Int, _ style: Style = .plain) { self.init(String(number), style) }
        init(stringLiteral text: String) { self.init(text) }
    }

    static let gap = 2
    /// No column is made narrower.
    private static let least = 8

    var columns: [Column]
    var rows: [[Cell]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    mutating func add(_ cells: Cell...) { rows.append(cells) }

    /// - Parameters:
    ///   - width: of the terminal; `nil`: whatever the texts need, so that a program can read all of them.
    ///   - isColoured: whether styles are shown.
    func lines(width: Int?, isColoured: Bool) -> [String] {
        let widths = widths(in: width)
        let titles = columns.map { Cell($0.title, .bold) }
        return ([titles] + rows).map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                let text = columns[index].fitted(cell.text, to: widths[index])
                let blanks = String(repeating: " ", count: widths[index] - Printable.width(text))
                let styled = isColoured ? cell.style.applied(to: text) : text
                let isLast = index == row.count - 1
                line += columns[index].isRight ? blanks + styled : styled + (isLast ? "" : blanks)
                if !isLast { line += String(repeating: " ", count: Self.gap) }
            }
            return line
        }
    }

    /// How wide each column is, so that all of them fit if they can.
    func widths(in width: Int?) -> [Int] {
        var widths = columns.enumerated().map { index, column in
            rows.reduce(Printable.width(column.title)) { max($0, Printable.width($1[index].text)) }
        }
        guard let width else { return widths }
        var excess = widths.reduce(0, +) + Self.gap * (columns.count - 1) - width
        while excess > 0 {
            // The widest gives way first, to the next one's width; ids, which are copied, only when nothing else can.
            let all = widths.indices.filter { columns[$0].isFlexible && widths[$0] > Self.least }
            let others = all.filter { !columns[$0].keepsEnd }
            let flexible = others.isEmpty ? all : others
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { break }
            let next = flexible.filter { $0 != widest }.map { widths[$0] }.max() ?? Self.least
            let cut = min(excess, max(1, widths[widest] - max(Self.least, next)))
            widths[widest] -= cut
            excess -= cut
        }
        return widths
    }
}
