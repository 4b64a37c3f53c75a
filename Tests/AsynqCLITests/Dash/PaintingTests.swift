import TestSupport
import Testing

@testable import AsynqCLI

/// How one screen becomes the next.
@Suite struct PaintingTests {
    /// What a terminal shows that was sent this.
    private struct Screen {
        var cells: [[String]]
        private var row = 0
        private var column = 0

        init(columns: Int, rows: Int) {
            cells = Array(repeating: Array(repeating: " ", count: columns), count: rows)
        }

        mutating func write(_ text: String) {
            var rest = Substring(text)
            while let character = rest.popFirst() {
                guard character == "\u{1B}" else {
                    cells[row][column] = String(character)
                    let width = Printable.width(character)
                    if width == 2 { cells[row][column + 1] = "" }
                    column += width
                    continue
                }
                rest.removeFirst()
                let parameters = rest.prefix { !$0.isLetter }
                rest = rest[parameters.endIndex...]
                let numbers = parameters.split(separator: ";").compactMap { Int($0) }
                switch rest.removeFirst() {
                case "H": (row, column) = (numbers[0] - 1, numbers[1] - 1)
                case "J":
                    for index in cells.indices { cells[index] = cells[index].map { _ in " " } }
                default: break
                }
            }
        }
    }

    @Test func `an id that does not fit keeps its end, which tells it from others of the same time`() {
        #expect(Printable.fittedEnd("01a20f45-d3bf", to: 6) == "…-d3bf" && Printable.fittedEnd("ab", to: 2) == "ab")
        #expect(Printable.fittedEnd("ab日本", to: 4) == "…本" && Printable.fittedEnd("abc", to: 0).isEmpty)
        var table = Table([.id("ID"), .text("PAYLOAD")])
        table.add("01a20f45-d3bf-7a1e-952f-71011ee1485a", .init(String(repeating: "x", count: 40)))
        let line = table.lines(width: 30, isColoured: false)[1]
        #expect(
            line.hasPrefix("…") && line.contains("71011ee1485a  x") && line.hasSuffix("xxx…")
                && Printable.width(line) == 30,
            "\(line)"
        )
    }

    @Test func `other texts give way before an id, which is copied`() {
        var table = Table([.id("ID"), .text("TYPE"), .text("PAYLOAD")])
        let id = "0198c2f4-df10-7634-a8d5-4c9f84e6517e"
        table.add(.init(id), "email:welcome", .init(String(repeating: "x", count: 60)))
        let lines = table.lines(width: 80, isColoured: false)
        #expect(lines[1].hasPrefix(id + "  email:welcome  xxx"))
        #expect(lines.allSatisfy { Printable.width($0) <= 80 })
    }

    @Test func `a message is broken between words, and a long word anywhere`() {
        #expect(DashView.wrapped("cannot run it: it is active", columns: 14) == ["cannot run it:", "it is active"])
        #expect(DashView.wrapped("abcdefgh ij", columns: 3) == ["abc", "def", "gh", "ij"])
        #expect(DashView.wrapped("gh ij", columns: 5) == ["gh ij"])
        #expect(DashView.wrapped("", columns: 5) == [""])
    }

    @Test func `a terminal shows each screen of a random series`() {
        var generator = SeededGenerator(seed: 7)
        let painter = GridPainter(depth: .sixteen)
        var screen = Screen(columns: 30, rows: 8)
        var old: Grid?
        for _ in 0..<200 {
            var new = old ?? Grid(columns: 30, rows: 8)
            for _ in 0..<Int.random(in: 0..<5, using: &generator) {
                let text = ["hello", "日本語", "a", "   ", "é🙂x"].randomElement(using: &generator) ?? ""
                let look = Look([Style.plain, .red, .green].randomElement(using: &generator) ?? .plain)
                new.put(
                    text,
                    row: .random(in: 0..<8, using: &generator),
                    column: .random(in: 0..<30, using: &generator),
                    look: look
                )
            }
            screen.write(painter.bytes(from: old, to: new))
            for row in 0..<8 { #expect(screen.cells[row] == (0..<30).map { new[row, $0].text }) }
            old = new
        }
    }

    @Test func `only what changed is sent`() {
        let painter = GridPainter(depth: .sixteen)
        var old = Grid(columns: 80, rows: 24)
        old.put("a line of text", row: 3, column: 0)
        #expect(painter.bytes(from: old, to: old).isEmpty)
        var new = old
        new.put("T", row: 3, column: 10)
        #expect(painter.bytes(from: old, to: new) == "\u{1B}[?2026h\u{1B}[4;11HT\u{1B}[?2026l")
        #expect(painter.bytes(from: nil, to: old).contains("\u{1B}[2J"))
    }

    @Test(arguments: [
        (ColourDepth.none, "\u{1B}[0;1mx"), (.sixteen, "\u{1B}[0;1;31mx"), (.many, "\u{1B}[0;1;38;5;167mx"),
    ])
    func `colours are those that the terminal has`(_ depth: ColourDepth, _ expected: String) {
        var grid = Grid(columns: 5, rows: 1)
        grid.put("x", row: 0, column: 0, look: Look(.red, bold: true))
        #expect(GridPainter(depth: depth).bytes(from: Grid(columns: 5, rows: 1), to: grid).contains(expected))
    }

    @Test func `the environment says how many colours there are`() {
        #expect(ColourDepth(environment: ["TERM": "xterm-256color"]) == .many)
        #expect(ColourDepth(environment: ["TERM": "xterm"]) == .sixteen)
        #expect(ColourDepth(environment: ["TERM": "xterm-256color", "NO_COLOR": "1"]) == .none)
        #expect(ColourDepth(environment: ["TERM": "dumb"]) == .none)
    }

    @Test func `half of a wide character is never left on the screen`() {
        var grid = Grid(columns: 6, rows: 1)
        grid.put("日本語", row: 0, column: 0)
        grid.put("x", row: 0, column: 1)
        #expect(grid.lines == [" x本語"])
        grid.put("y", row: 0, column: 2)
        #expect(grid.lines == [" xy 語"])
    }

    @Test func `keys are read in whatever pieces they come`() {
        let bytes = Array("j\u{1B}[A\u{1B}OB\u{1B}[5~é\r\u{7F}\u{03}\u{1B}[Z".utf8)
        let keys: [Key] = [
            .character("j"), .up, .down, .pageUp, .character("é"), .enter, .backspace, .control("c"), .backTab,
        ]
        var whole = KeyParser()
        #expect(whole.feed(bytes) == keys)
        var pieces = KeyParser()
        #expect(bytes.flatMap { pieces.feed([$0]) } == keys)
        var escape = KeyParser()
        #expect(escape.feed([0x1B]) == [] && escape.isInside && escape.flush() == [.escape] && !escape.isInside)
        #expect(escape.feed(Array("\u{1B}x".utf8)) == [.escape, .character("x")])
        #expect(escape.feed([0xFF, 0x61]) == [.character("a")])
    }
}
