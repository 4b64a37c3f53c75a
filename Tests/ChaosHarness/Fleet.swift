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
        var records: [ProcessRecord] = []
    }

    let places: [Place]
    private let folder: URL
    private let settings: ChaosSettings
    private let isConfirmed: Bool
    private let state = Mutex(State())

    init(_ places: [Place], folder: URL, settings: ChaosSettings, isConfirmed: Bool) {
        self.places = places
        self.folder = folder
        self.settings = settings
        self.isConfirmed = isConfirmed
    }

    var records: [ProcessRecord] { state.withLock { $0.records } }

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
                name, "\(settings.seed)", "\(max(1, settings.rate / producers))", isConfirmed ? "1" : "0", "\(poison)",
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
                Self.note(&state, died: name)
                return !state.isHeld.contains(index)
            }
            if isToStart { try launch(index) }
        }
    }

    private static func note(_ state: inout State, died name: String) {
        guard let place = state.records.firstIndex(where: { $0.name == name }) else { return }
        if state.records[place].diedAt == nil { state.records[place].diedAt = JournalClock.now() }
    }

    // MARK: Faults

    /// Whom a fault happens to.
    func pick(_ role: Role?, _ choice: Int) -> Int {
        let fitting = places.indices.filter { role == nil || places[$0].role == role }
        return fitting[choice % fitting.count]
    }

    func name(_ index: Int) -> String { state.withLock { $0.processes[index]?.name ?? "-" } }

    func signal(_ index: Int, _ number: Int32) {
        state.withLock { $0.processes[index] }?.process.signal(number)
    }

    /// Kills a process, and has another one started after a while.
    func kill(_ index: Int, for milliseconds: Int) async {
        state.withLock { state in
            state.isHeld.insert(index)
            guard let (name, process) = state.processes[index] else { return }
            process.signal(SIGKILL)
            process.waitUntilExit()
            Self.note(&state, died: name)
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
