import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs the dashboard: reads for it, draws it, and does what it asks for.
struct DashProgram {
    private enum Event: Sendable {
        case terminal(TerminalEvents.Event)
        case tick
        case read(DashData)
        case failed(String)
        case refused(String)
        case done(DashModel.Action)
    }

    let session: Session
    let refresh: Duration
    let depth: ColourDepth

    /// - Returns: the signal that ended it, if one did.
    /// - Throws: ``Failure`` if the broker cannot even be read once.
    func run() async throws -> Int32? {
        let terminal = try Terminal()
        let (events, input) = AsyncStream<Event>.makeStream()
        let source = TerminalEvents { input.yield(.terminal($0)) }
        terminal.enter()
        defer {
            source.stop()
            terminal.leave()
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            let clock = ContinuousClock()
            group.addTask {
                while (try? await clock.sleep(for: refresh)) != nil { input.yield(.tick) }
            }
            var model = DashModel(size: TerminalSize.ofStandardOutput ?? .init(columns: 80, rows: 24))
            var painter = Painter(painter: GridPainter(depth: depth))
            var reader = Reader()
            func read() {
                guard let request = reader.begin(model) else { return }
                group.addTask { input.yield(await load(request)) }
            }
            read()
            painter.draw(model)
            for await event in events {
                switch event {
                case .tick: read()
                case .read(let data):
                    model.show(data)
                    if reader.end() { read() }
                case .failed(let message):
                    guard model.data.info != nil else { throw Failure(message) }
                    model.show(readError: message)
                    if reader.end() { read() }
                case .refused(let message): model.show(error: message)
                case .done(let action):
                    model.show(done: action)
                    reader.isWanted = true
                    read()
                case .terminal(.resized):
                    model.size = TerminalSize.ofStandardOutput ?? model.size
                    reader.isWanted = true
                    read()
                case .terminal(.signal(let number)): return number
                case .terminal(.closed): return SIGHUP
                case .terminal(.key(let key)):
                    for effect in model.press(key) {
                        switch effect {
                        case .quit: return nil
                        case .suspend:
                            terminal.suspend()
                            painter.forget()
                        case .redraw: painter.forget()
                        case .reload:
                            reader.isWanted = true
                            read()
                        case .perform(let action): group.addTask { input.yield(await perform(action)) }
                        }
                    }
                }
                painter.draw(model)
            }
            return nil
        }
    }

    /// What the terminal shows, and how it becomes what it is to show.
    private struct Painter {
        let painter: GridPainter
        private var shown: Grid?

        init(painter: GridPainter) {
            self.painter = painter
        }

        mutating func draw(_ model: DashModel) {
            let grid = DashView.grid(model)
            let text = painter.bytes(from: shown, to: grid)
            if !text.isEmpty { Output.write(text) }
            shown = grid
        }

        mutating func forget() { shown = nil }
    }

    /// One reading at a time: a broker that is slow is not asked more often than it answers.
    private struct Reader {
        private var isReading = false
        /// What is shown is not what was asked for last.
        var isWanted = false

        mutating func begin(_ model: DashModel) -> DashModel? {
            guard !isReading else { return nil }
            isReading = true
            isWanted = false
            return model
        }

        /// - Returns: whether to read again at once.
        mutating func end() -> Bool {
            isReading = false
            return isWanted
        }
    }

    // MARK: The broker

    /// Reads what the screen needs. All that can be asked for at once is, and shares a round trip: the names of queues are
    /// read beside the figures of those that were there before.
    private func load(_ model: DashModel) async -> Event {
        let (broker, inspector) = (session.broker, session.inspector)
        do {
            let known = model.data.queues.map(\.queue)
            async let names = broker.queueNames()
            async let figures = broker.snapshots(of: known)
            async let info = inspector.info()
            async let page = loadPage(model)
            async let task = loadTask(model)
            async let servers = model.screen == .servers ? broker.servers() : []
            var data = DashData()
            var queues = try await figures.compactMap(\.self)
            let others = Set(try await names).subtracting(known)
            if !others.isEmpty { queues += try await broker.snapshots(of: Array(others)).compactMap(\.self) }
            data.queues = queues.sorted { $0.queue < $1.queue }
            data.info = try await info
            data.page = try await page
            data.task = try await task
            data.servers = try await servers
            data.readAt = Date()
            return .read(data)
        } catch {
            return .failed(Failure(error, broker).message)
        }
    }

    private func loadPage(_ model: DashModel) async throws -> TaskPageData? {
        guard case .tasks(let queue) = model.screen else { return nil }
        let page = try await session.inspector.tasks(
            in: model.state,
            queue: queue,
            page: model.page,
            pageSize: model.pageSize
        )
        return TaskPageData(queue: queue, state: model.state, number: page.page, tasks: page.tasks, total: page.total)
    }

    private func loadTask(_ model: DashModel) async throws -> TaskInfo? {
        guard case .task(let queue, let id) = model.screen else { return nil }
        return try await session.broker.tasks([TaskReference(queue: queue, id: id)]).first ?? nil
    }

    private func perform(_ action: DashModel.Action) async -> Event {
        let inspector = session.inspector
        do {
            switch action {
            case .pause(let queue): try await inspector.pause(queue)
            case .resume(let queue): try await inspector.resume(queue)
            case .deleteQueue(let queue, let force): try await inspector.deleteQueue(queue, force: force)
            case .run(let id, let queue): try await inspector.run(id, queue: queue)
            case .archive(let id, let queue): try await inspector.archive(id, queue: queue)
            case .delete(let id, let queue): try await inspector.delete(id, queue: queue)
            case .cancel(let id): try await inspector.cancel(id)
            }
            return .done(action)
        } catch {
            return .refused(Failure(error, session.broker).message)
        }
    }
}
