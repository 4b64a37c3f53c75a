import Foundation
import Synchronization
import TestSupport

/// Another server has become the master.
struct Takeover: Equatable, Sendable {
    /// When the first one knew it, on the journals' clock.
    var time: Int64
    var port: Int
    /// What it serves.
    var queues: Set<String>
}

/// Asks those who know, a hundred times a second each, who the master is.
final class TakeoverWatch: Sendable {
    private struct State {
        /// What each witness, by its port, said last. One that names no master is there too.
        var said: [Int: Int?] = [:]
        var takeovers: [Takeover] = []
        var isEnding = false
    }

    private let nodes: any Nodes
    private let state = Mutex(State())

    init(_ nodes: any Nodes) { self.nodes = nodes }

    var takeovers: [Takeover] { state.withLock { $0.takeovers } }

    /// Begins. A server that hangs holds up the thread that asks it, so that each has its own.
    func start() {
        let (servers, question) = nodes.witnesses
        for server in servers {
            Thread { [self] in
                // One that is away is asked again.
                while !isEnding { try? ask(server, question) }
            }.start()
        }
    }

    func end() { state.withLock { $0.isEnding = true } }

    private var isEnding: Bool { state.withLock { $0.isEnding } }

    private func ask(_ server: RedisServer, _ question: [String]) throws {
        usleep(10_000)
        var connection = try PlainConnection(port: server.port)
        while !isEnding {
            let answer = try connection.run(question)
            try heard(server.port, nodes.master(answer, of: server))
            usleep(10_000)
        }
    }

    /// A witness names this master.
    func heard(_ witness: Int, _ master: Int?) throws {
        let time = JournalClock.now()
        let isNew = state.withLock { state in
            guard let before = state.said.updateValue(master, forKey: witness), let master, master != before,
                // The others say it a little later.
                state.takeovers.last?.port != master
            else { return false }
            state.takeovers.append(Takeover(time: time, port: master, queues: []))
            return true
        }
        guard isNew, let master else { return }
        let queues = try nodes.queues(ofPort: master)
        state.withLock { state in
            guard let index = state.takeovers.lastIndex(where: { $0.port == master }) else { return }
            state.takeovers[index].queues = queues
        }
    }
}
