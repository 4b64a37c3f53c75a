import Foundation

/// A kind of thing that goes wrong in a run.
enum FaultKind: String, CaseIterable, Sendable {
    // Processes of ours.
    /// SIGKILL; another one is started in its place.
    case killWorker, killProducer
    /// SIGSTOP, and SIGCONT a little later.
    case stopWorker, stopProducer
    /// SIGSTOP for longer than a lease.
    case stopWorkerForLong
    /// SIGTERM.
    case endWorker
    /// The time of day changes for a worker, by up to ten minutes.
    case setClock

    // The network between a process and a server.
    /// All connections are closed.
    case cut
    /// They are closed, and no new ones come about for a while.
    case refuse
    /// Nothing arrives for a while.
    case hold
    /// All arrives later for a while.
    case delay
    /// Commands arrive, their replies do not, and then the connections are closed.
    case swallow

    // Servers.
    /// SIGKILL of the server, or of a master; it comes back with what it has stored.
    case killNode
    /// SIGKILL of a replica, or of a Sentinel.
    case killReplica, killSentinel
    /// SIGSTOP of the server, or of a master.
    case stopNode
    /// CLIENT PAUSE.
    case pauseClients
    /// DEBUG SLEEP.
    case sleep
    /// SCRIPT FLUSH on all servers.
    case flushScripts
    /// CLIENT KILL of all commands', or of all listeners' connections.
    case killClients, killListeners
    /// No memory is left.
    case fillMemory
    /// A master and a replica change places in good order.
    case failOver
    /// The slot of a queue goes to another node.
    case moveSlot
    /// A node joins, serves the slot of a queue for a while, and leaves.
    case joinNode

    /// Another server may be the master afterwards, one that does not know the last of what the old one did.
    var mayLoseWrites: Bool {
        switch self {
        case .killNode, .stopNode, .failOver, .sleep, .killReplica, .moveSlot, .joinNode: true
        default: false
        }
    }
}

/// Something that goes wrong.
struct Fault: Equatable, Sendable {
    var kind: FaultKind
    /// Picks whom it happens to, among those that are there at that time.
    var choice: Int
    /// How long it lasts, in milliseconds.
    var length: Int
    /// How long nothing happens before it, in milliseconds.
    var pause: Int
}

/// What goes wrong one after the other, without end; the same for the same seed. Several such lanes run beside each other.
struct FaultLane: Sendable {
    /// What may happen, how often in comparison, how long it lasts in milliseconds.
    typealias Choice = (kind: FaultKind, weight: Int, length: ClosedRange<Int>)

    let name: String
    private let choices: [Choice]
    private let pause: ClosedRange<Int>
    private var numbers: SeededNumbers
    /// What comes next, from the end on.
    private var deck: [Choice]

    init(_ name: String, seed: UInt64, pause: ClosedRange<Int>, _ choices: [Choice]) {
        self.name = name
        self.pause = pause
        self.choices = choices
        numbers = SeededNumbers(seed: seed, stream: name)
        // Each kind once, so that none is missing in a short run.
        deck = choices.shuffled(using: &numbers)
    }

    var kinds: Set<FaultKind> { Set(choices.map(\.kind)) }

    mutating func next() -> Fault {
        if deck.isEmpty {
            deck = choices.flatMap { Array(repeating: $0, count: $0.weight) }.shuffled(using: &numbers)
        }
        let choice = deck.removeLast()
        return Fault(
            kind: choice.kind,
            choice: Int.random(in: 0..<1_000_000, using: &numbers),
            length: Int.random(in: choice.length, using: &numbers),
            pause: Int.random(in: pause, using: &numbers)
        )
    }

    // MARK: The lanes of all topologies

    static func processes(_ seed: UInt64) -> FaultLane {
        FaultLane(
            "processes",
            seed: seed,
            pause: 500...2500,
            [
                (.killWorker, 4, 0...1500), (.stopWorker, 3, 50...4000), (.endWorker, 2, 0...500),
                (.setClock, 1, 0...0), (.killProducer, 2, 0...1000), (.stopProducer, 1, 50...4000),
            ]
        )
    }

    /// Two of these in a run of two minutes.
    static func longStops(_ seed: UInt64) -> FaultLane {
        FaultLane("long stops", seed: seed, pause: 5000...10_000, [(.stopWorkerForLong, 1, 33_000...45_000)])
    }

    static func network(_ seed: UInt64) -> FaultLane {
        FaultLane(
            "network",
            seed: seed,
            pause: 200...2000,
            [
                (.cut, 4, 0...0), (.refuse, 2, 50...2500), (.hold, 2, 50...4500), (.delay, 2, 200...5000),
                (.swallow, 4, 10...500),
            ]
        )
    }
}

/// Something that went wrong, or was to.
struct FaultRecord: Equatable, Sendable {
    enum Outcome: String, Sendable {
        case done
        /// There was nobody whom it could happen to at that moment.
        case impossible
        /// It did not come about as it should. It may have happened in part.
        case failed
    }

    var kind: FaultKind
    /// The process or server; the reason, if it did not happen.
    var target: String
    /// On the journals' clock.
    var from: Int64
    var to: Int64
    var outcome = Outcome.done
}

/// A fault cannot happen at the moment.
struct NotNow: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The life of a process of ours.
struct ProcessRecord: Equatable, Sendable {
    var name: String
    /// When it ended; `nil`: it was told to at the end of the run, and did.
    var diedAt: Int64?
}
