import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What was read for the dashboard at one moment.
struct DashData: Sendable {
    var queues: [QueueSnapshot] = []
    var servers: [ServerInfo] = []
    var info: BrokerInfo?
    /// The page of the list that is open.
    var page: TaskPageData?
    /// The task that is open; `nil`: it is gone.
    var task: TaskInfo?
    var readAt = Date(timeIntervalSince1970: 0)
}

struct TaskPageData: Sendable {
    var queue: String
    var state: TaskState
    var number: Int
    var tasks: [TaskInfo]
    var total: Int
}

/// What the dashboard shows and how it answers to keys: no terminal, no broker.
struct DashModel: Sendable {
    enum Screen: Sendable, Hashable {
        case queues
        case tasks(queue: String)
        case task(queue: String, id: String)
        case servers
        case info
    }

    /// What is done at a key, after a question.
    enum Action: Sendable, Hashable {
        case pause(String)
        case resume(String)
        case deleteQueue(String, force: Bool)
        case run(String, queue: String)
        case archive(String, queue: String)
        case delete(String, queue: String)
        case cancel(String)

        var question: String {
            switch self {
            case .pause(let queue): "Pause queue \(queue)?"
            case .resume(let queue): "Let queue \(queue) go on?"
            case .deleteQueue(let queue, let force): "Delete queue \(queue)\(force ? " with all its tasks" : "")?"
            case .run(let id, _): "Run task \(id) now?"
            case .archive(let id, _): "Archive task \(id)?"
            case .delete(let id, _): "Delete task \(id)?"
            case .cancel(let id): "Cancel task \(id)?"
            }
        }

        var done: String {
            switch self {
            case .pause(let queue): "paused \(queue)"
            case .resume(let queue): "\(queue) goes on"
            case .deleteQueue(let queue, _): "deleted queue \(queue)"
            case .run(let id, _): "\(id) is pending"
            case .archive(let id, _): "archived \(id)"
            case .delete(let id, _): "deleted \(id)"
            case .cancel(let id): "asked to cancel \(id)"
            }
        }
    }

    /// What the program is to do.
    enum Effect: Sendable, Hashable {
        case quit, suspend, reload, redraw
        case perform(Action)
    }

    var size: TerminalSize
    private(set) var screens: [Screen] = [.queues]
    private(set) var data = DashData()
    private(set) var trends = Trends()
    /// Which line is selected, on each screen.
    private(set) var selections: [Screen: Int] = [:]
    private(set) var filter = ""
    private(set) var isFiltering = false
    private(set) var showsHelp = false
    private(set) var question: Action?
    private(set) var notice: (text: String, isError: Bool)?
    /// Why the broker could not be asked the last time.
    private(set) var readError: String?
    private(set) var state = TaskState.pending
    private(set) var page = 1

    init(size: TerminalSize) {
        self.size = size
    }

    var screen: Screen { screens.last ?? .queues }
    var selection: Int { selections[screen] ?? 0 }
    /// How many tasks fit below the titles.
    var pageSize: Int { max(5, size.rows - 8) }

    // MARK: What happened

    mutating func show(_ data: DashData) {
        self.data = data
        trends.add(data)
        readError = nil
        clamp()
    }

    /// What was read before stays on the screen, and is said to be old.
    mutating func show(readError: String) { self.readError = readError }

    mutating func show(error: String) { notice = (error, true) }
    mutating func show(done: Action) { notice = (done.done, false) }

    // MARK: Keys

    mutating func press(_ key: Key) -> [Effect] {
        if key == .control("c") { return [.quit] }
        if key == .control("z") { return [.suspend] }
        if key == .control("l") { return [.redraw] }
        if let question { return answer(question, key) }
        if isFiltering { return typeFilter(key) }
        if showsHelp {
            showsHelp = false
            return []
        }
        notice = nil
        switch key {
        case .character("?"): showsHelp = true
        case .character("q"), .escape: return back()
        case .up, .character("k"): move(by: -1)
        case .down, .character("j"): move(by: 1)
        case .pageUp, .control("b"): move(by: -pageSize)
        case .pageDown, .control("f"): move(by: pageSize)
        case .home, .character("g"): move(by: -lineCount)
        case .end, .character("G"): move(by: lineCount)
        case .enter: return open()
        case .tab, .right, .character("l"): return changeState(by: 1)
        case .backTab, .left, .character("h"): return changeState(by: -1)
        case .character("n"): return turnPage(by: 1)
        case .character("p"): return turnPage(by: -1)
        case .character("/"): if hasFilter { isFiltering = true }
        case .character("r"): return [.reload]
        case .character("s"): return push(.servers)
        case .character("i"): return push(.info)
        case .character(let letter): ask(letter)
        case .control, .backspace: break
        }
        return []
    }

    private mutating func answer(_ action: Action, _ key: Key) -> [Effect] {
        question = nil
        guard key == .character("y") || key == .character("Y") else {
            notice = ("nothing was done", false)
            return []
        }
        // What is shown may be about to go.
        if case .delete = action, case .task = screen { screens.removeLast() }
        return [.perform(action), .reload]
    }

    private mutating func typeFilter(_ key: Key) -> [Effect] {
        switch key {
        case .enter: isFiltering = false
        case .escape: (filter, isFiltering) = ("", false)
        case .backspace: if !filter.isEmpty { filter.removeLast() }
        case .character(let letter): filter.append(letter)
        default: break
        }
        clamp()
        return []
    }

    private mutating func back() -> [Effect] {
        if !filter.isEmpty {
            filter = ""
            return []
        }
        guard screens.count > 1 else { return [.quit] }
        screens.removeLast()
        clamp()
        return [.reload]
    }

    private mutating func push(_ next: Screen) -> [Effect] {
        guard next != screen else { return [] }
        screens.append(next)
        selections[next] = 0
        filter = ""
        return [.reload]
    }

    private mutating func open() -> [Effect] {
        switch screen {
        case .queues:
            guard let queue = selectedQueue else { return [] }
            page = 1
            // Where there is something to see.
            state = TaskState.inOrder.first { queue[$0] > 0 } ?? .pending
            return push(.tasks(queue: queue.queue))
        case .tasks(let queue):
            guard let task = selectedTask else { return [] }
            return push(.task(queue: queue, id: task.id))
        case .task, .servers, .info: return []
        }
    }

    private mutating func changeState(by step: Int) -> [Effect] {
        guard case .tasks = screen, let index = TaskState.inOrder.firstIndex(of: state) else { return [] }
        let count = TaskState.inOrder.count
        state = TaskState.inOrder[(index + step + count) % count]
        page = 1
        selections[screen] = 0
        return [.reload]
    }

    private mutating func turnPage(by step: Int) -> [Effect] {
        guard case .tasks = screen, (1...pageCount).contains(page + step) else { return [] }
        page += step
        selections[screen] = 0
        return [.reload]
    }

    var pageCount: Int { max(1, ((openPage?.total ?? 0) + pageSize - 1) / pageSize) }

    private mutating func move(by step: Int) {
        selections[screen] = selection + step
        clamp()
    }

    private mutating func clamp() { selections[screen] = min(max(0, selection), max(0, lineCount - 1)) }

    private mutating func ask(_ letter: Character) {
        switch (screen, letter) {
        case (.queues, "P"): question = selectedQueue.map { $0.isPaused ? .resume($0.queue) : .pause($0.queue) }
        case (.queues, "D"): question = selectedQueue.map { .deleteQueue($0.queue, force: $0.size > 0) }
        case (.tasks(let queue), _), (.task(let queue, _), _):
            guard let task = selectedTask else { return }
            switch letter {
            case "R": question = .run(task.id, queue: queue)
            case "A": question = .archive(task.id, queue: queue)
            case "D": question = .delete(task.id, queue: queue)
            case "C": question = .cancel(task.id)
            default: break
            }
        default: break
        }
    }

    // MARK: What is on the screen

    private var hasFilter: Bool {
        switch screen {
        case .queues, .tasks, .servers: true
        case .task, .info: false
        }
    }

    private func passes(_ texts: String...) -> Bool {
        filter.isEmpty || texts.contains { $0.lowercased().contains(filter.lowercased()) }
    }

    var queues: [QueueSnapshot] { data.queues.filter { passes($0.queue) } }
    var servers: [ServerInfo] { data.servers.filter { passes($0.identity.host, $0.queueText) } }

    /// The page that was read, if it is the one that is open.
    var openPage: TaskPageData? {
        guard case .tasks(let queue) = screen, let page = data.page, page.queue == queue, page.state == state else {
            return nil
        }
        return page
    }

    var tasks: [TaskInfo] {
        (openPage?.tasks ?? []).filter { passes($0.id, $0.type, Printable.line($0.payload ?? [])) }
    }

    var selectedQueue: QueueSnapshot? {
        if case .tasks(let name) = screen { return data.queues.first { $0.queue == name } }
        return queues.indices.contains(selection) ? queues[selection] : nil
    }

    var selectedTask: TaskInfo? {
        if case .task(_, let id) = screen { return data.task?.id == id ? data.task : nil }
        return tasks.indices.contains(selection) ? tasks[selection] : nil
    }

    var lineCount: Int {
        switch screen {
        case .queues: queues.count
        case .tasks: tasks.count
        case .task: selectedTask.map { DashView.taskLines($0, columns: size.columns, now: data.readAt).count } ?? 0
        case .servers: servers.count
        case .info: data.info?.sections.reduce(0) { $0 + $1.entries.count + 1 } ?? 0
        }
    }
}
