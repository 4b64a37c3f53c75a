import Asynq
import Foundation
import Testing

@testable import AsynqCLI

/// How the dashboard answers to keys, and what it draws, without a terminal.
@Suite struct DashModelTests {
    private func data(_ names: String...) -> DashData {
        var data = DashData()
        data.queues = names.map { name in
            var queue = QueueSnapshot(queue: name, time: Date(timeIntervalSince1970: 1000))
            queue.pending = 3
            queue.archived = 1
            queue.processed = 10
            return queue
        }
        data.info = BrokerInfo(kind: "redis", address: "redis://host:6379/0", version: "7.2.0", sections: [])
        data.readAt = Date(timeIntervalSince1970: 1000)
        return data
    }

    private func task(_ id: String, _ payload: String = "{}") -> TaskInfo {
        TaskInfo(TaskMessage(type: "mail:\(id)", payload: Array(payload.utf8), id: id, queue: "low"), state: .pending)
    }

    private func model(columns: Int = 80, rows: Int = 24, _ names: String...) -> DashModel {
        var model = DashModel(size: TerminalSize(columns: columns, rows: rows))
        var data = data("high", "low", "middle")
        data.page = TaskPageData(
            queue: "low",
            state: .pending,
            number: 1,
            tasks: [task("a"), task("b", "x\u{1B}[2Jy")],
            total: 2
        )
        model.show(data)
        return model
    }

    private func screen(_ model: DashModel) -> String { DashView.grid(model).lines.joined(separator: "\n") }

    @Test func `a queue is opened where its tasks are, and esc goes back`() {
        var model = model()
        #expect(model.press(.down) == [] && model.press(.enter) == [.reload])
        #expect(model.screen == .tasks(queue: "low") && model.state == .pending)
        #expect(model.press(.tab) == [.reload] && model.state == .aggregating)
        #expect(model.press(.backTab) == [.reload] && model.state == .pending)
        #expect(screen(model).contains("mail:a"))
        #expect(model.press(.character("j")) == [] && model.press(.enter) == [.reload])
        #expect(model.screen == .task(queue: "low", id: "b"))
        #expect(model.press(.escape) == [.reload] && model.press(.character("q")) == [.reload])
        #expect(model.screen == .queues && model.selection == 1)
        #expect(model.press(.character("q")) == [.quit])
    }

    @Test func `an action is done after a yes, and only then`() {
        var model = model()
        #expect(model.press(.character("P")) == [])
        #expect(screen(model).contains("Pause queue high? y: yes, other keys: no"))
        #expect(model.press(.enter) == [] && model.question == nil)
        _ = model.press(.character("D"))
        #expect(model.press(.character("y")) == [.perform(.deleteQueue("high", force: true)), .reload])
        _ = model.press(.down)
        _ = model.press(.enter)
        for (letter, action) in [
            ("R", DashModel.Action.run("a", queue: "low")), ("A", .archive("a", queue: "low")),
            ("D", .delete("a", queue: "low")), ("C", .cancel("a")),
        ] {
            _ = model.press(.character(Character(letter)))
            #expect(model.press(.character("y")) == [.perform(action), .reload])
        }
        model.show(error: "refused")
        model.show(data("low"))
        #expect(screen(model).contains("refused"))
    }

    @Test func `a filter shows what holds its text, and esc shows all`() {
        var model = model()
        for key in [Key.character("/"), .character("L"), .character("o"), .character("x"), .backspace] {
            _ = model.press(key)
        }
        #expect(model.queues.map(\.queue) == ["low"])
        #expect(screen(model).contains("/Lo"))
        #expect(model.press(.enter) == [] && model.press(.enter) == [.reload])
        #expect(model.screen == .tasks(queue: "low") && model.filter.isEmpty)
        _ = model.press(.escape)
        _ = model.press(.character("/"))
        _ = model.press(.character("z"))
        #expect(screen(model).contains("/z") && model.queues.isEmpty)
        _ = model.press(.escape)
        #expect(model.queues.count == 3)
    }

    @Test func `pages turn between the first and the last`() {
        var model = model()
        _ = model.press(.down)
        _ = model.press(.enter)
        #expect(model.press(.character("n")) == [])
        var many = data("low")
        many.page = TaskPageData(
            queue: "low",
            state: .pending,
            number: 1,
            tasks: [task("a")],
            total: 3 * model.pageSize
        )
        model.show(many)
        #expect(model.press(.character("n")) == [.reload] && model.page == 2)
        #expect(model.press(.character("n")) == [.reload] && model.press(.character("n")) == [])
        #expect(model.press(.character("p")) == [.reload] && model.page == 2)
    }

    @Test func `a broker that is away is said to be, and what was read stays`() {
        var model = model()
        model.show(readError: "cannot connect")
        #expect(screen(model).contains("cannot connect") && screen(model).contains("middle"))
        model.show(data("low"))
        #expect(!screen(model).contains("cannot connect"))
    }

    @Test(arguments: [(80, 24), (200, 60), (40, 10), (20, 6), (5, 2), (0, 0)])
    func `each screen fits into any terminal`(_ columns: Int, _ rows: Int) {
        var model = model()
        model.size = TerminalSize(columns: columns, rows: rows)
        var many = data("low", String(repeating: "long", count: 50))
        many.servers = []
        model.show(many)
        for keys in [
            [], [Key.enter], [.enter], [.escape, .escape, .character("s")], [.escape, .character("i")],
            [.character("?")],
        ] {
            for key in keys { _ = model.press(key) }
            let grid = DashView.grid(model)
            #expect(grid.columns == columns && grid.rows == rows)
            for line in grid.lines { #expect(Printable.width(line) <= columns) }
        }
    }

    @Test func `the first screen shows queues with their figures in 80 columns`() throws {
        let lines = DashView.grid(model()).lines
        #expect(lines[0].hasPrefix(" asynq  redis://host:6379/0 · redis 7.2.0"))
        #expect(lines[1].contains("3 queues") && lines[1].contains("9 pending"))
        #expect(lines[3].split(separator: " ").prefix(3) == ["QUEUE", "SIZE", "ACTIVE"])
        #expect(
            try #require(lines.first { $0.contains("low") }).split(separator: " ").prefix(4) == ["low", "4", "0", "3"]
        )
        #expect(lines[23].contains("? help"))
    }

    @Test func `a payload cannot write on the screen outside of its place`() {
        var model = model()
        _ = model.press(.down)
        _ = model.press(.enter)
        #expect(screen(model).contains("x\\x1b[2Jy"))
    }

    @Test func `a trend is a rate per second, and never less than nothing`() {
        var trends = Trends()
        for (second, processed) in [(0, 0), (2, 10), (4, 10), (5, 4)] {
            var data = data("low")
            data.queues[0].processed = processed
            data.readAt = Date(timeIntervalSince1970: Double(second))
            trends.add(data)
        }
        #expect(trends.rates == [5, 0, 0] && trends.queueRates["low"] == [5, 0, 0])
        #expect(Sparkline.text([0, 5, 10], columns: 4) == " ▁▅█")
    }
}
