import Foundation
import Synchronization
import TestSupport

/// The workers and producers of a run. A process that ends has another one in its place.
final class Fleet: Sendable {
    enum Role: String, Sendable {
        case worker, producer
    }

    /// A place for a process.
    struct Place: Sendable {
        let role: Role
        let number: Int
        let uri: String
        let proxy: Proxy?
    }

    private struct State {
        var processes: [Int: (name: String, process: ChildProcess)] = [:]
        var generations: [Int: Int] = [:]
        /// Places in which nothing is to be started at the moment.
        var isHeld: Set<Int> = []
        /// Places whose process something happens to at the moment.
        var isTaken: Set<Int> = []
        var records: [ProcessRecord] = []
        var crashes: [String] = []
    }

    let places: [Place]
    private let folder: URL
    private let settings: ChaosSettings
    private let replicas: Int
    private let state = Mutex(State())

    init(_ places: [Place], folder: URL, settings: ChaosSettings, replicas: Int) {
        self.places = places
        self.folder = folder
        self.settings = settings
        self.replicas = replicas
    }

    var records: [ProcessRecord] { state.withLock { $0.records } }
    /// Processes that ended as nobody wanted them to, in words.
    var crashes: [String] { state.withLock { $0.crashes } }

    func start() throws {
        for index in places.indices { try launch(index) }
    }

    private func launch(_ index: Int) throws {
        let place = places[index]
        let generation = state.withLock { state in
            state.generations[index, default: -1] += 1
            return state.generations[index] ?? 0
        }
        let name = "\(place.role)\(place.number).\(generation)"
        let journal = folder.appendingPathComponent("\(name).journal").path
        let log = folder.appendingPathComponent("\(name).log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        let output = try FileHandle(forWritingTo: log)
        defer { try? output.close() }
        var arguments = [place.role.rawValue, place.uri, journal]
        if place.role == .producer {
            let producers = places.count { $0.role == .producer }
            // Early, because it takes two leases until they are given up.
            let poison = place.number == 0 && generation == 0 ? settings.poison : 0
            arguments += [
                name, "\(settings.seed)", "\(max(1, settings.rate / producers))", "\(replicas)", "\(poison)",
            ]
        }
        let process = try ChildProcess(try ChaosProgram.path(), arguments, output: output, errors: output)
        state.withLock { state in
            state.processes[index] = (name, process)
            state.records.append(ProcessRecord(name: name, diedAt: nil))
        }
    }

    /// Starts another one in place of each that has ended. To be called again and again.
    func tend() throws {
        for index in places.indices {
            let isToStart = state.withLock { state in
                guard let (name, process) = state.processes[index], !process.isRunning else { return false }
                Self.note(&state, died: name, status: process.status)
                return !state.isHeld.contains(index)
            }
            if isToStart { try launch(index) }
        }
    }

    private static func note(_ state: inout State, died name: String, status: Int32?) {
        guard let place = state.records.firstIndex(where: { $0.name == name }),
            state.records[place].diedAt == nil
        else { return }
        state.records[place].diedAt = JournalClock.now()
        // Told to, killed, told to before it expected signals, or started while no server could be reached.
        if let status, ![0, SIGKILL, SIGTERM, 1].contains(status) {
            state.crashes.append("\(name) ended with status or signal \(status): see \(name).log")
        }
    }

    // MARK: Faults

    /// A place whose connections something happens to.
    func pick(_ choice: Int) -> Int { choice % places.count }

    /// Takes a process of this role for a fault. No other one can take it until this one is over.
    ///
    /// - Returns: what `body` returns; it is told the place and the process's name.
    /// - Throws: ``NotNow`` if all are taken or have just ended.
    func withProcess<Value>(
        _ role: Role,
        _ choice: Int,
        _ body: (Int, String) async throws -> Value
    ) async throws -> Value {
        let found = state.withLock { state -> (index: Int, name: String)? in
            let fitting = places.indices.filter { index in
                places[index].role == role && !state.isTaken.contains(index)
                    && state.processes[index]?.process.isRunning == true
            }
            guard !fitting.isEmpty, let name = state.processes[fitting[choice % fitting.count]]?.name else {
                return nil
            }
            state.isTaken.insert(fitting[choice % fitting.count])
            return (fitting[choice % fitting.count], name)
        }
        guard let found else { throw NotNow("no \(role) is free") }
        defer { state.withLock { _ = $0.isTaken.remove(found.index) } }
        return try await body(found.index, found.name)
    }

    func name(_ index: Int) -> String { state.withLock { $0.processes[index]?.name ?? "-" } }

    /// - Returns: whether there was a process to get it.
    @discardableResult
    func signal(_ index: Int, _ number: Int32) -> Bool {
        guard let process = state.withLock({ $0.processes[index] })?.process, process.isRunning else { return false }
        process.signal(number)
        return true
    }

    /// Whether the process is so far that it expects signals.
    func hasBegun(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: folder.appendingPathComponent("\(name).journal").path)
    }

    func hasEnded(_ name: String) -> Bool {
        state.withLock { $0.records.first { $0.name == name }?.diedAt != nil }
    }

    /// Kills a process, and has another one started after a while.
    func kill(_ index: Int, for milliseconds: Int) async {
        state.withLock { state in
            state.isHeld.insert(index)
            guard let (name, process) = state.processes[index] else { return }
            process.signal(SIGKILL)
            let status = process.waitUntilExit()
            Self.note(&state, died: name, status: status)
        }
        try? await Task.sleep(for: .milliseconds(milliseconds))
        _ = state.withLock { $0.isHeld.remove(index) }
    }

    // MARK: Ending

    /// Ends the processes of a role in good order, for good.
    ///
    /// - Throws: if one does not end.
    func end(_ role: Role) async throws {
        let own = places.indices.filter { places[$0].role == role }
        state.withLock { $0.isHeld.formUnion(own) }
        for index in own {
            signal(index, SIGCONT)
            signal(index, SIGTERM)
        }
        for index in own {
            guard let (name, process) = state.withLock({ $0.processes[index] }) else { continue }
            do {
                try await eventually("\(name) ends") { !process.isRunning }
            } catch {
                process.signal(SIGKILL)
                throw ChaosFailure("\(name) has not ended within a minute after SIGTERM")
            }
            let status = process.waitUntilExit()
            // A task may have killed it, and one that has just begun does not expect signals yet.
            guard [0, SIGKILL, SIGTERM].contains(status) else {
                throw ChaosFailure("\(name) ended with status \(status): see \(name).log")
            }
        }
    }
}
