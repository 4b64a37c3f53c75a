import Foundation
import TestSupport
import Testing

@testable import ChaosHarness

/// What a run is made of.
struct HarnessTests {
    @Test func `the same seed makes the same faults, another one others`() {
        func faults(_ seed: UInt64) -> [Fault] {
            var lane = FaultLane.network(seed)
            return (0..<50).map { _ in lane.next() }
        }
        #expect(faults(7) == faults(7))
        #expect(faults(7) != faults(8))
        let kinds: Set<FaultKind> = [.cut, .refuse, .hold, .delay, .swallow]
        #expect(FaultLane.network(7).kinds == kinds)
        #expect(Set(faults(7).prefix(kinds.count).map(\.kind)) == kinds)
    }

    @Test func `another master is noticed once, however many see it, and when`() throws {
        let watch = TakeoverWatch(FileNodes(path: ""))
        for witness in 1...3 { try watch.heard(witness, 10) }
        #expect(watch.takeovers.isEmpty)
        try watch.heard(1, 11)
        try watch.heard(2, 10)
        try watch.heard(2, 11)
        try watch.heard(3, 11)
        #expect(watch.takeovers.map(\.port) == [11])
        // A node of a Cluster that was a replica says that it is the master.
        try watch.heard(4, nil)
        try watch.heard(4, 4)
        try watch.heard(1, 10)
        #expect(watch.takeovers.map(\.port) == [11, 4, 10])
    }

    @Test func `what is written in a journal is read in it, but for a line that was cut off`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asynq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let entries: [Entry] = [
            .acknowledged(
                .init(id: "a", kind: .unique, queue: "q", key: "k", earliest: 5, tries: 2, isConfirmed: false)
            ),
            .started(run: 3, id: "a", retried: 1, kind: .unique, key: "k"), .ended(run: 3, outcome: .limited),
            .took(run: 3, id: "a"), .gave(run: 3, id: "a"), .aggregated(run: 3, id: "a"),
            .failed(code: "brokerUnavailable"),
        ]
        let file = folder.appendingPathComponent("worker0.0.journal")
        try Journal(file.path).add(entries)
        #expect(try JournalLine.read(folder: folder).map(\.entry) == entries)

        let handle = try FileHandle(forWritingTo: file)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("123 end 4 do".utf8))
        #expect(try JournalLine.read(folder: folder).map(\.entry) == entries)
        try handle.write(contentsOf: Data("zing\n".utf8))
        #expect(throws: ChaosFailure.self) { try JournalLine.read(folder: folder) }
    }

    @Test func `a proxy passes everything on, loses replies, and lets nobody through`() async throws {
        try await RedisServer.withServer { server in
            let proxy = Proxy(target: server.port)
            let port = try await proxy.start()
            var connection = try PlainConnection(port: port)
            #expect(try connection.run(["SET", "k", "1"]) == "OK")

            // The server hears it, the client does not hear of it.
            proxy.become(.swallowing)
            let (answer, done) = (Recorder<Bool>(), Recorder<Void>())
            let thread = Thread {
                answer.add((try? connectionRun(port, ["INCR", "k"])) == nil)
                done.add(())
            }
            thread.start()
            try await eventually("the server has done it") { try server.cli("GET", "k") == "2" }
            proxy.cut()
            await done.wait(for: 1)
            #expect(answer.elements == [true])

            proxy.become(.refusing)
            #expect(throws: (any Error).self) { try connectionRun(port, ["PING"]) }
            proxy.become(.delaying(milliseconds: 1))
            #expect(try connectionRun(port, ["GET", "k"]) == "2")
            await proxy.close()
        }
    }

    @Test func `arguments that make no sense are refused`() {
        #expect(ChaosProgram.settings([])?.topology == .standalone)
        #expect(ChaosProgram.settings(["--topology", "cluster", "--minutes", "0.5"])?.length == .seconds(30))
        for arguments in [
            ["--topology"], ["--topology", "star"], ["--minutes", "-1"], ["--rate", "0"], ["--what", "1"],
        ] {
            #expect(ChaosProgram.settings(arguments) == nil, "\(arguments)")
        }
    }
}

private func connectionRun(_ port: Int, _ words: [String]) throws -> String {
    var connection = try PlainConnection(port: port)
    return try connection.run(words)
}
