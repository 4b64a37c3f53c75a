/// How a cell of the screen looks.
struct Look: Sendable, Hashable {
    static let plain = Look()

    var style = Style.plain
    var isReversed = false
    var isBold = false

    init(_ style: Style = .plain, reversed: Bool = false, bold: Bool = false) {
        self.style = style
        isReversed = reversed
        isBold = bold
    }
}

/// A screen full of characters: what the dashboard is to look like, without any terminal.
struct Grid: Sendable, Equatable {
    struct Cell: Sendable, Hashable {
        static let blank = Cell(text: " ", look: .plain)

        /// A character; empty behind one that takes two columns.
        var text: String
        var look: Look
    }

    let columns: Int
    let rows: Int
    private(set) var cells: [Cell]

    init(columns: Int, rows: Int) {
        self.columns = max(0, columns)
        self.rows = max(0, rows)
        cells = Array(repeating: .blank, count: self.columns * self.rows)
    }

    subscript(row: Int, column: Int) -> Cell { cells[row * columns + column] }

    /// Writes a text, as far as it fits.
    ///
    /// - Parameters:
    ///   - limit: how many columns it may take; what is longer ends in `…`.
    /// - Returns: the column behind it.
    @discardableResult
    mutating func put(_ text: String, row: Int, column: Int, look: Look = .plain, limit: Int? = nil) -> Int {
        guard row >= 0, row < rows, column >= 0, column < columns else { return column }
        var column = column
        let room = min(limit ?? .max, columns - column)
        for character in Printable.fitted(Printable.line(text), to: room) {
            let width = Printable.width(character)
            guard width > 0 else { continue }
            clearHalves(row, column..<column + width)
            cells[row * columns + column] = Cell(text: String(character), look: look)
            if width == 2 { cells[row * columns + column + 1] = Cell(text: "", look: look) }
            column += width
        }
        return column
    }

    /// What is left of wide characters that are written over in part becomes blank.
    private mutating func clearHalves(_ row: Int, _ range: Range<Int>) {
        let start = row * columns
        if cells[start + range.lowerBound].text.isEmpty, range.lowerBound > 0 {
            cells[start + range.lowerBound - 1].text = " "
        }
        if range.upperBound < columns, cells[start + range.upperBound].text.isEmpty {
            cells[start + range.upperBound].text = " "
        }
    }

    /// Gives a whole row one look, for a bar or what is selected.
    mutating func mark(row: Int, look: Look) {
        guard row >= 0, row < rows else { return }
        for index in row * columns..<(row + 1) * columns { cells[index].look = look }
    }

    /// Its lines as text, without blanks at their ends.
    var lines: [String] {
        (0..<rows).map { row in
            let text = cells[row * columns..<(row + 1) * columns].map(\.text).joined()
            return String(text.reversed().drop { $0 == " " }.reversed())
        }
    }
}
