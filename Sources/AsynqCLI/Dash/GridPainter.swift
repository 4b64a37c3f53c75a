/// How many colours a terminal shows.
enum ColourDepth: Sendable {
    case none, sixteen, many

    init(environment: [String: String]) {
        let terminal = environment["TERM"] ?? ""
        if !(environment["NO_COLOR"] ?? "").isEmpty || ["", "dumb", "vt100", "vt220"].contains(terminal) {
            self = .none
        } else {
            let isRich = terminal.contains("256color") || terminal.contains("direct") || environment["COLORTERM"] != nil
            self = isRich ? .many : .sixteen
        }
    }
}

/// Turns one screen into the next with as few bytes as it takes: nothing is cleared that stays, so that nothing flickers.
struct GridPainter {
    let depth: ColourDepth

    /// - Parameter old: what the terminal shows; `nil` if that is not known.
    func bytes(from old: Grid?, to new: Grid) -> String {
        var old = old
        var output = ""
        if old?.columns != new.columns || old?.rows != new.rows {
            output += "\u{1B}[0m\u{1B}[2J"
            old = Grid(columns: new.columns, rows: new.rows)
        }
        var look = Look.plain
        for row in 0..<new.rows {
            var cursor = -1
            var column = 0
            while column < new.columns {
                let cell = new[row, column]
                // The second half of a wide character is written with the first.
                let isWide = column + 1 < new.columns && new[row, column + 1].text.isEmpty
                let isChanged = cell != old?[row, column] || isWide && new[row, column + 1] != old?[row, column + 1]
                defer { column += isWide ? 2 : 1 }
                guard isChanged, !cell.text.isEmpty else { continue }
                if cursor != column { output += "\u{1B}[\(row + 1);\(column + 1)H" }
                if look != cell.look {
                    output += code(cell.look)
                    look = cell.look
                }
                output += cell.text
                cursor = column + (isWide ? 2 : 1)
            }
        }
        if look != .plain { output += "\u{1B}[0m" }
        // Shown at once where the terminal can do so; others ignore it.
        return output.isEmpty ? "" : "\u{1B}[?2026h\(output)\u{1B}[?2026l"
    }

    private func code(_ look: Look) -> String {
        var parts = ["0"]
        if look.isBold || look.style == .bold { parts.append("1") }
        if look.style == .dim { parts.append("2") }
        if look.isReversed { parts.append("7") }
        switch depth {
        case .none: break
        case .sixteen: if let code = look.style.colourCode { parts.append(code) }
        case .many: if let number = look.style.colourNumber { parts.append("38;5;\(number)") }
        }
        return "\u{1B}[\(parts.joined(separator: ";"))m"
    }
}

extension Style {
    fileprivate var colourCode: String? {
        switch self {
        case .plain, .bold, .dim: nil
        case .red, .green, .yellow, .blue, .cyan, .magenta: code
        }
    }

    /// Of the 256: softer than the sixteen, and readable on black and on white.
    fileprivate var colourNumber: Int? {
        switch self {
        case .plain, .bold, .dim: nil
        case .red: 167
        case .green: 71
        case .yellow: 172
        case .blue: 68
        case .cyan: 37
        case .magenta: 133
        }
    }
}
