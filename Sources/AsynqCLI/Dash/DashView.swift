import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Draws the dashboard: a model becomes a grid, and nothing else happens.
struct DashView {
    private let model: DashModel
    private var grid: Grid
    /// The rows between the head and the foot.
    private let body: Range<Int>

    static func grid(_ model: DashModel) -> Grid {
        var view = DashView(model)
        view.draw()
        return view.grid
    }

    private init(_ model: DashModel) {
        self.model = model
        grid = Grid(columns: model.size.columns, rows: model.size.rows)
        body = 3..<max(3, model.size.rows - 1)
    }

    private mutating func draw() {
        guard grid.columns >= 20, grid.rows >= 6 else {
            grid.put("too small", row: 0, column: 0)
            return
        }
        drawHead()
        if model.showsHelp {
            drawHelp()
        } else {
            switch model.screen {
            case .queues: drawQueues()
            case .tasks: drawTasks()
            case .task: drawTask()
            case .servers: drawServers()
            case .info: drawInfo()
            }
        }
        drawFoot()
    }

    // MARK: Head and foot

    private mutating func drawHead() {
        let figures = model.data.info.map { BrokerFigures($0).line } ?? "reading…"
        grid.put(" asynq  \(figures)", row: 0, column: 0, look: Look(bold: true))
        grid.mark(row: 0, look: Look(reversed: true, bold: true))
        let totals = QueueTotals(model.data.queues)
        var column = 1
        let queues = model.data.queues.count
        for (text, style) in [
            ("\(queues) queue\(queues == 1 ? "" : "s")", Style.plain), ("\(totals[.active]) active", .green),
            ("\(totals[.pending]) pending", .cyan), ("\(totals[.retry]) retry", .yellow),
            ("\(totals[.archived]) archived", .red),
        ] {
            column = grid.put(text, row: 1, column: column, look: Look(style)) + 3
        }
        let today = "today \(totals.processed), \(Times.percent(totals.failed, of: totals.processed)) failed"
        if column + today.count < grid.columns {
            grid.put(today, row: 1, column: grid.columns - today.count - 1, look: Look(.dim))
        }
        drawTrend("done/s", model.trends.rates, column: 1, columns: grid.columns / 2 - 2)
        drawTrend("pending", model.trends.pending, column: grid.columns / 2 + 1, columns: grid.columns / 2 - 2)
    }

    private mutating func drawTrend(_ title: String, _ values: [Double], column: Int, columns: Int) {
        let last =
            values.last.map { $0 >= 100 || $0 == $0.rounded() ? "\(Int($0))" : Times.decimal($0, digits: 1) } ?? "-"
        let text = "\(title) \(last) "
        let next = grid.put(text, row: 2, column: column, look: Look(.dim), limit: columns)
        let curve = Sparkline.text(values, columns: max(0, min(values.count, columns - text.count)))
        grid.put(curve, row: 2, column: next, look: Look(.green))
    }

    private mutating func drawFoot() {
        let row = grid.rows - 1
        if let question = model.question {
            drawMessage("\(question.question) y: yes, other keys: no", Look(.yellow, reversed: true, bold: true))
        } else if model.isFiltering {
            grid.put(" /\(model.filter)█", row: row, column: 0, look: Look(bold: true))
        } else if let notice = model.notice {
            drawMessage(notice.text, Look(notice.isError ? .red : .green, bold: true))
        } else if let error = model.readError {
            drawMessage(error, Look(.red, bold: true))
        } else {
            var column = 1
            if !model.filter.isEmpty {
                let filter = "filter: \(model.filter) (esc: all)"
                column = grid.put(filter, row: row, column: column, look: Look(bold: true)) + 2
            }
            grid.put(keys, row: row, column: column, look: Look(.dim))
        }
    }

    /// At the foot, on as many rows as it needs: what it says last is as important as what it says first.
    private mutating func drawMessage(_ text: String, _ look: Look) {
        let lines = Self.wrapped(text, columns: grid.columns - 2)
        let first = max(body.lowerBound, grid.rows - lines.count)
        for (offset, line) in lines.prefix(grid.rows - first).enumerated() {
            grid.put(String(repeating: " ", count: grid.columns), row: first + offset, column: 0)
            grid.put(" " + line, row: first + offset, column: 0, look: look)
            if look.isReversed { grid.mark(row: first + offset, look: look) }
        }
    }

    /// A text in parts that are no wider than that.
    private static func pieces(_ text: String, columns: Int) -> [String] {
        var pieces = [""]
        var used = 0
        for character in text {
            let width = Printable.width(character)
            if used + width > columns, used > 0 {
                pieces.append("")
                used = 0
            }
            pieces[pieces.count - 1].append(character)
            used += width
        }
        return pieces
    }

    /// Lines that are no wider than that, between words where there are any.
    static func wrapped(_ text: String, columns: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            let word = String(word)
            if !line.isEmpty, Printable.width(line) + 1 + Printable.width(word) <= columns {
                line += " " + word
                continue
            }
            if !line.isEmpty { lines.append(line) }
            let parts = pieces(word, columns: columns)
            lines += parts.dropLast()
            line = parts.last ?? ""
        }
        return lines + [line]
    }

    private var keys: String {
        switch model.screen {
        case .queues: "enter open  P pause  D delete  / filter  s servers  i info  ? help  q quit"
        case .tasks: "enter open  tab state  n/p page  R run  A archive  D delete  C cancel  ? help"
        case .task: "R run  A archive  D delete  C cancel  esc back  ? help"
        case .servers, .info: "arrows move  esc back  ? help"
        }
    }

    private mutating func drawHelp() {
        let lines = [
            ("up down  j k", "move"), ("enter", "open what is selected"), ("esc  q", "back; quit on the first screen"),
            ("tab  l  h", "next or previous state of tasks"), ("n  p", "next or previous page"),
            ("g  G", "to the beginning, to the end"), ("/", "filter what is listed; esc shows all again"),
            ("P", "pause a queue, or let it go on"), ("R  A  D  C", "run, archive, delete, cancel a task"),
            ("D", "delete a queue"), ("s  i", "servers, broker"), ("r  ctrl-l", "read anew, draw anew"),
            ("ctrl-z  ctrl-c", "suspend, quit"),
        ]
        grid.put("Keys", row: body.lowerBound + 1, column: 2, look: Look(bold: true))
        for (index, line) in lines.enumerated() where body.contains(body.lowerBound + 2 + index) {
            grid.put(line.0, row: body.lowerBound + 2 + index, column: 4, look: Look(.cyan))
            grid.put(line.1, row: body.lowerBound + 2 + index, column: 22)
        }
    }

    // MARK: Lists

    /// Titles, and as many rows as fit, so that the selected one is among them.
    private mutating func drawTable(_ table: Table, from top: Int, ifEmpty message: String) {
        guard !table.rows.isEmpty else {
            grid.put(message, row: top + 1, column: 1, look: Look(.dim))
            return
        }
        let widths = table.widths(in: grid.columns - 2)
        let room = max(1, body.upperBound - top - 1)
        let first = max(0, min(model.selection - room / 2, table.rows.count - room))
        drawRow(table.columns.map { .init($0.title) }, table, widths, row: top, look: Look(bold: true))
        for (offset, cells) in table.rows[first...].prefix(room).enumerated() {
            drawRow(cells, table, widths, row: top + 1 + offset, look: nil)
            if first + offset == model.selection { grid.mark(row: top + 1 + offset, look: Look(reversed: true)) }
        }
    }

    private mutating func drawRow(_ cells: [Table.Cell], _ table: Table, _ widths: [Int], row: Int, look: Look?) {
        var column = 1
        for (index, cell) in cells.enumerated() {
            let text = table.columns[index].fitted(cell.text, to: widths[index])
            let indent = table.columns[index].isRight ? widths[index] - Printable.width(text) : 0
            grid.put(text, row: row, column: column + indent, look: look ?? Look(cell.style))
            column += widths[index] + Table.gap
        }
    }

    private mutating func drawQueues() {
        let isWide = grid.columns >= 110
        let states: [TaskState] =
            isWide ? TaskState.inOrder : [.active, .pending, .scheduled, .retry, .archived]
        var table = Table(
            [.text("QUEUE"), .right("SIZE")] + states.map { .right((isWide ? $0.rawValue : $0.shortName).uppercased()) }
                + [
                    .right("LATENCY"), .left("DONE/S"),
                ]
        )
        if grid.columns >= 100 { table.columns += [.right("ERRORS"), .right("MEMORY")] }
        let curve = max(6, min(24, grid.columns - 110))
        for queue in model.queues {
            let name: Table.Cell = queue.isPaused ? .init("\(queue.queue) (paused)", .yellow) : .init(queue.queue)
            var row = [name, .init(queue.size)] + states.map { .init(queue[$0], queue[$0] > 0 ? $0.style : .dim) }
            row.append(.init(Times.short(queue.latency)))
            row.append(.init(Sparkline.text(model.trends.queueRates[queue.queue] ?? [], columns: curve), .green))
            if grid.columns >= 100 {
                row.append(.init(Times.percent(queue.failedToday, of: queue.processedToday)))
                row.append(.init(Times.bytes(queue.memoryUsage)))
            }
            table.rows.append(row)
        }
        let message =
            model.data.info == nil ? "" : model.filter.isEmpty ? "There are no queues yet." : "No queue matches."
        drawTable(table, from: body.lowerBound, ifEmpty: message)
    }

    private mutating func drawTasks() {
        guard case .tasks(let queue) = model.screen else { return }
        let snapshot = model.selectedQueue
        var column = grid.put(queue, row: body.lowerBound, column: 1, look: Look(bold: true), limit: 24) + 2
        let isWide = grid.columns >= 120
        for state in TaskState.inOrder {
            let title = "\(isWide ? state.rawValue : state.shortName) \(snapshot?[state] ?? 0)"
            let look = state == model.state ? Look(state.style, reversed: true, bold: true) : Look(state.style)
            column = grid.put(" \(title) ", row: body.lowerBound, column: column, look: look)
        }
        let table = TaskTable.table(model.tasks, model.state, now: model.data.readAt)
        let message =
            if model.openPage == nil {
                "reading…"
            } else if model.filter.isEmpty {
                "No task \(TaskTable.verb(model.state))."
            } else if model.pageCount > 1 {
                "No task of this page matches; n: the next page."
            } else {
                "No task matches."
            }
        drawTable(table, from: body.lowerBound + 1, ifEmpty: message)
        if let page = model.openPage, page.total > model.tasks.count {
            // Of the page that is shown: what was asked for may still be on its way.
            let text = "page \(page.number) of \(model.pageCount)"
            grid.put(text, row: grid.rows - 2, column: grid.columns - text.count - 1, look: Look(.dim))
        }
    }

    private mutating func drawServers() {
        var table = Table([
            .text("HOST"), .right("PID"), .left("STATE"), .right("WORKERS"), .text("QUEUES"), .right("UP"),
        ])
        for server in model.servers {
            table.add(
                .init(server.identity.host),
                .init(Int(server.identity.pid)),
                .init(server.status, server.status == "active" ? .green : .yellow),
                .init("\(server.workers.count)/\(server.concurrency)"),
                .init(server.queueText),
                .init(Times.short(Times.between(server.startedAt, model.data.readAt)))
            )
        }
        drawTable(table, from: body.lowerBound, ifEmpty: "No server is running.")
    }

    // MARK: Texts

    private mutating func drawTask() {
        guard case .task(_, let id) = model.screen else { return }
        guard let task = model.selectedTask else {
            grid.put("Task \(id) is not there (any more).", row: body.lowerBound + 1, column: 1, look: Look(.dim))
            return
        }
        drawLines(Self.taskLines(task, columns: grid.columns, now: model.data.readAt).map { ($0.title, $0.text) })
    }

    /// What is known of a task, in lines that fit.
    static func taskLines(_ task: TaskInfo, columns: Int, now: Date) -> [(title: String, text: String)] {
        let room = max(10, columns - 14)
        return TaskTable.fields(task, now: now).flatMap { field -> [(title: String, text: String)] in
            pieces(Printable.line(field.value), columns: room).enumerated().map {
                ($0.offset == 0 ? field.name : "", $0.element)
            }
        }
    }

    private mutating func drawInfo() {
        let sections = model.data.info?.sections ?? []
        drawLines(
            sections.flatMap { section in [(section.name, "")] + section.entries.map { ("", "\($0.key): \($0.value)") }
            }
        )
    }

    private mutating func drawLines(_ lines: [(String, String)]) {
        let first = max(0, min(model.selection, lines.count - body.count))
        for (offset, line) in lines.dropFirst(first).prefix(body.count).enumerated() {
            grid.put(line.0, row: body.lowerBound + offset, column: 1, look: Look(bold: true), limit: 12)
            grid.put(line.1, row: body.lowerBound + offset, column: 13)
        }
    }
}

extension TaskState {
    /// For narrow screens.
    fileprivate var shortName: String {
        switch self {
        case .active: "active"
        case .pending: "pend"
        case .aggregating: "aggr"
        case .scheduled: "sched"
        case .retry: "retry"
        case .archived: "arch"
        case .completed: "done"
        }
    }
}
