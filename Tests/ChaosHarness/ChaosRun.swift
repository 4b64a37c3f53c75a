import Asynq
import Foundation
import Synchronization
import TestSupport

/// What a run is told.
struct ChaosSettings: Sendable {
    enum Topology: String, CaseIterable, Sendable {
        case standalone, sentinel, cluster, sqlite

        /// In so much time each kind of fault must have happened.
        var round: Duration { self == .sqlite ? .seconds(60) : .seconds(120) }
    }

    var topology = Topology.standalone
    var seed: UInt64 = 1
    /// For how long things go wrong.
    var length = Duration.seconds(120)
    /// Tasks in a second.
    var rate = 500
    var workers = 4
    var producers = 2
    /// How many tasks that kill their process.
    var poison = 3
    /// `appendfsync always`, for standalone.
    var isSynced = true
    var folder = URL(fileURLWithPath: ".")
    /// Whether the folder is kept even if all rules held.
    var isKept = false
}

/// One run: processes and servers start, faults come and go, all heals, what is left is worked off, and the rules are checked.
struct ChaosRun {
    private let settings: ChaosSettings
    private let nodes: any Nodes
    private let fleet: Fleet
    private let faults = FaultLog()

    static func run(_ settings: ChaosSettings) async throws -> (
        report: ChaosReport, faults: [FaultRecord], isDurable: Bool
    ) {
        func go(_ nodes: some Nodes) async throws -> (ChaosReport, [FaultRecord], Bool) {
            do {
                let run = try await ChaosRun(settings, nodes)
                let evidence = try await run.run()
                keepLogs(of: nodes, settings)
                return (Checker.check(evidence), evidence.faults, nodes.isDurable)
            } catch {
                keepLogs(of: nodes, settings)
                throw error
            }
        }
        switch settings.topology {
        case .standalone:
            return try await RedisServer.withServer(StandaloneNodes.arguments(isSynced: settings.isSynced)) {
                try await go(StandaloneNodes(server: $0, isSynced: settings.isSynced))
            }
        case .sentinel:
            return try await SentinelSet.withSet(serverArguments: SentinelNodes.arguments) {
                try await go(SentinelNodes(redis: $0))
            }
        case .cluster:
            return try await ClusterSet.withCluster(SentinelNodes.arguments) { try await go(ClusterNodes(cluster: $0)) }
        case .sqlite:
            return try await go(FileNodes(path: settings.folder.appendingPathComponent("tasks.db").path))
        }
    }

    private static func keepLogs(of nodes: some Nodes, _ settings: ChaosSettings) {
        for server in nodes.servers {
            let log = settings.folder.appendingPathComponent("node\(server.port).log")
            try? FileManager.default.copyItem(at: server.folder.appendingPathComponent("redis.log"), to: log)
        }
    }

    private init(_ settings: ChaosSettings, _ nodes: some Nodes) async throws {
        self.settings = settings
        self.nodes = nodes
        var places: [Fleet.Place] = []
        for (role, count) in [(Fleet.Role.worker, settings.workers), (.producer, settings.producers)] {
            for number in 0..<count {
                guard let target = nodes.proxyTarget else {
                    places.append(Fleet.Place(role: role, number: number, uri: nodes.uri, proxy: nil))
                    continue
                }
                let proxy = Proxy(target: target)
                let uri = "redis://127.0.0.1:\(try await proxy.start())"
                places.append(Fleet.Place(role: role, number: number, uri: uri, proxy: proxy))
            }
        }
        fleet = Fleet(places, folder: settings.folder, settings: settings, replicas: nodes.replicas)
    }

    private func run() async throws -> Evidence {
        let broker = try ChaosBroker.make(nodes.uri, replicas: nodes.replicas)
        say("starting \(settings.workers) workers and \(settings.producers) producers on \(settings.topology)")
        try fleet.start()
        let takeovers = TakeoverWatch(nodes)
        takeovers.start()
        let watchman = Task { [fleet] in
            while !Task.isCancelled {
                try fleet.tend()
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
        defer { watchman.cancel() }
        try await breakThings()
        let quietAt = JournalClock.now()
        takeovers.end()
        say("no more faults; all heals")
        for place in fleet.places { place.proxy?.become(.open) }
        try await nodes.heal()
        try await fleet.end(.producer)
        try await probe(broker)
        say("waiting until all is worked off")
        try await drain(broker)
        try await fleet.end(.worker)
        watchman.cancel()
        try await watchman.value
        try fleet.tend()
        let leftovers = try await look(broker)
        await broker.shutdown()
        for place in fleet.places { await place.proxy?.close() }
        return Evidence(
            lines: try JournalLine.read(folder: settings.folder),
            processes: fleet.records,
            crashes: fleet.crashes,
            faults: faults.records,
            missing: missingFaults,
            takeovers: takeovers.takeovers,
            archived: leftovers.archived,
            leftovers: leftovers.found,
            isDurable: nodes.isDurable,
            isReplicated: nodes.replicas > 0,
            quietAt: quietAt
        )
    }

    private func say(_ text: String) { ChaosProgram.say(text) }

    // MARK: Faults

    private var lanes: [FaultLane] {
        var lanes = [FaultLane.processes(settings.seed), .longStops(settings.seed)]
        if nodes.proxyTarget != nil { lanes.append(.network(settings.seed)) }
        if let lane = nodes.lane(settings.seed) { lanes.append(lane) }
        return lanes
    }

    /// What should have happened at least once, and has not.
    private var missingFaults: [FaultKind] {
        missing(lanes.flatMap(\.kinds)).sorted { $0.rawValue < $1.rawValue }
    }

    /// Those of these kinds that should have happened at least once, and have not.
    private func missing(_ kinds: some Sequence<FaultKind>) -> [FaultKind] {
        guard settings.length >= settings.topology.round else { return [] }
        let done = Set(faults.records.filter { $0.outcome == .done }.map(\.kind))
        return kinds.filter { !done.contains($0) }
    }

    private func breakThings() async throws {
        let end = ContinuousClock.now + settings.length
        await withDiscardingTaskGroup { group in
            for lane in lanes { group.addTask { await run(lane, until: end) } }
        }
    }

    private func run(_ lane: FaultLane, until end: ContinuousClock.Instant) async {
        var lane = lane
        while true {
            let fault = lane.next()
            let start = ContinuousClock.now + .milliseconds(fault.pause)
            // What would last beyond the end does not begin, unless some kind has not had its turn: where the machine is busy it
            // takes longer until servers are well again.
            if start + .milliseconds(fault.length) >= end {
                guard start < end + settings.length, !missing(lane.kinds).isEmpty else { return }
            }
            try? await Task.sleep(until: start, clock: .continuous)
            let from = JournalClock.now()
            do {
                let target = try await inject(fault)
                faults.add(FaultRecord(kind: fault.kind, target: target, from: from, to: JournalClock.now()))
            } catch let error as NotNow {
                let record = FaultRecord(
                    kind: fault.kind,
                    target: error.description,
                    from: from,
                    to: JournalClock.now(),
                    outcome: .impossible
                )
                faults.add(record)
            } catch {
                let record = FaultRecord(
                    kind: fault.kind,
                    target: "\(error)",
                    from: from,
                    to: JournalClock.now(),
                    outcome: .failed
                )
                faults.add(record)
                say("\(fault.kind) did not work out: \(error)")
                do {
                    try await nodes.heal()
                } catch {
                    say("the servers did not come back: \(error)")
                }
            }
        }
    }

    private func inject(_ fault: Fault) async throws -> String {
        switch fault.kind {
        case .killWorker, .killProducer:
            return try await fleet.withProcess(fault.kind == .killWorker ? .worker : .producer, fault.choice) {
                index,
                name in
                await fleet.kill(index, for: fault.length)
                return name
            }
        case .stopWorker, .stopProducer, .stopWorkerForLong:
            return try await fleet.withProcess(fault.kind == .stopProducer ? .producer : .worker, fault.choice) {
                index,
                name in
                guard fleet.signal(index, SIGSTOP) else { throw NotNow("\(name) has just ended") }
                try await Task.sleep(for: .milliseconds(fault.length))
                guard fleet.signal(index, SIGCONT) else { throw ChaosFailure("\(name) ended while it was stopped") }
                return name
            }
        case .endWorker:
            return try await fleet.withProcess(.worker, fault.choice) { index, name in
                guard fleet.signal(index, SIGTERM) else { throw NotNow("\(name) has just ended") }
                try await eventually("\(name) ends after SIGTERM") { fleet.hasEnded(name) }
                return name
            }
        case .setClock:
            return try await fleet.withProcess(.worker, fault.choice) { index, name in
                guard fleet.hasBegun(name) else { throw NotNow("\(name) has just begun") }
                guard fleet.signal(index, SIGUSR1) else { throw NotNow("\(name) has just ended") }
                return name
            }
        case .cut, .refuse, .hold, .delay, .swallow:
            let index = fleet.pick(fault.choice)
            guard let proxy = fleet.places[index].proxy else { throw ChaosFailure("there is no proxy") }
            guard proxy.hasConnections else { throw NotNow("\(fleet.name(index)) has no connection") }
            let name = fleet.name(index)
            try await disturb(proxy, fault)
            return name
        default: return try await nodes.inject(fault)
        }
    }

    private func disturb(_ proxy: Proxy, _ fault: Fault) async throws {
        switch fault.kind {
        case .refuse: proxy.become(.refusing)
        case .hold: proxy.become(.holding)
        case .delay: proxy.become(.delaying(milliseconds: 5 + fault.choice % 150))
        case .swallow: proxy.become(.swallowing)
        default: break
        }
        if fault.kind == .refuse { proxy.cut() }
        try await Task.sleep(for: .milliseconds(fault.length))
        proxy.become(.open)
        // After a reply that is lost nothing on the connection is in order any more.
        if fault.kind == .cut || fault.kind == .swallow { proxy.cut() }
    }

    // MARK: The end

    /// Enqueues tasks one after the other, to see that they run at once.
    private func probe(_ broker: any Broker) async throws {
        let journal = try Journal(settings.folder.appendingPathComponent("probe.journal").path)
        let client = ChaosProducer(
            broker,
            journal: journal,
            name: "probe",
            seed: settings.seed,
            rate: 1,
            replicas: nodes.replicas
        )
        for number in 0..<40 {
            let queue = ChaosTask.queues[number % ChaosTask.queues.count]
            await client.store([ChaosTask(id: "probe-\(number)", kind: .probe, queue: queue)])
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Two leases, and a little: a poisonous task may have begun a moment ago.
    private func drain(_ broker: any Broker) async throws {
        let end = ContinuousClock.now + .seconds(200)
        while true {
            do {
                if try await Leftovers.isDrained(broker) { return }
            } catch {
                say("cannot look at the queues: \(error)")
            }
            // What is left then is reported.
            guard ContinuousClock.now < end else { return say("not all was worked off in time") }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    private func look(_ broker: any Broker) async throws -> Leftovers {
        // Servers that were killed are listed for ten seconds more, and places in the semaphore are free at their end.
        let end = ContinuousClock.now + ChaosTask.permit + .seconds(2)
        while true {
            let leftovers = try await Leftovers.look(broker, nodes)
            if leftovers.found.isEmpty || ContinuousClock.now >= end { return leftovers }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

/// What went wrong so far.
final class FaultLog: Sendable {
    private let list = Mutex<[FaultRecord]>([])

    var records: [FaultRecord] { list.withLock { $0.sorted { $0.from < $1.from } } }

    func add(_ record: FaultRecord) { list.withLock { $0.append(record) } }
}
