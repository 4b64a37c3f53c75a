import Asynq
import Foundation
import TestSupport
import Testing

@testable import AsynqCLI

/// The dashboard in a real terminal: tmux types, and looks at the screen.
@Suite struct DashProgramTests {
    /// A tmux server of the test's own, with one terminal.
    private struct Tmux {
        let folder: URL

        private static var path: String {
            get throws {
                try #require(
                    ["/usr/bin/tmux", "/usr/local/bin/tmux", "/opt/homebrew/bin/tmux"].first {
                        FileManager.default.isExecutableFile(atPath: $0)
                    },
                    "tmux is not installed: run `make setup`"
                )
            }
        }

        @discardableResult
        func run(_ arguments: String...) async throws -> String { try await run(arguments) }

        @discardableResult
        func run(_ arguments: [String]) async throws -> String {
            let output = folder.appendingPathComponent("output-\(UUID().uuidString)")
            _ = FileManager.default.createFile(atPath: output.path, contents: nil)
            let process = try ChildProcess(
                try Self.path,
                ["-S", folder.appendingPathComponent("socket").path, "-f", "/dev/null"] + arguments,
                environment: [
                    "PATH": "/usr/bin:/bin", "HOME": folder.path, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
                ],
                output: try FileHandle(forWritingTo: output)
            )
            try await eventually("tmux \(arguments) ends") { !process.isRunning }
            return try String(contentsOf: output, encoding: .utf8)
        }

        /// Has a terminal of this size, in which a command runs, while `body` does its part.
        func with(
            _ command: String,
            columns: Int = 80,
            rows: Int = 24,
            _ body: () async throws -> Void
        ) async throws {
            let size = ["-x", "\(columns)", "-y", "\(rows)"]
            do {
                try await run(["new-session", "-d", "-s", "main"] + size + [command])
                try await body()
            } catch {
                try await run("kill-server")
                throw error
            }
            try await run("kill-server")
        }

        func screen() async throws -> String { try await run("capture-pane", "-p", "-t", "main") }

        func press(_ keys: String...) async throws {
            for key in keys { try await run("send-keys", "-t", "main", key) }
        }

        func expect(_ text: String, line: UInt = #line) async throws {
            var last = ""
            do {
                try await eventually("\(text) is on the screen") {
                    last = try await screen()
                    return last.contains(text)
                }
            } catch {
                throw NeverHappened(description: "line \(line): no \"\(text)\" on this screen:\n\(last)")
            }
        }
    }

    /// Prints whether the terminal is that of a shell.
    private static let terminalState = "stty -a | grep -oE -- '-?(icanon|echo|isig)\\b' | tr '\\n' ' '"

    /// Runs the dashboard in a terminal, under a shell that says how it ended and how the terminal is then.
    private func withDash(
        _ place: Place,
        columns: Int = 80,
        rows: Int = 24,
        environment: String = "",
        _ body: (Tmux) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let tmux = Tmux(folder: folder)
            let script = """
                \(Self.terminalState)
                \(environment) ASYNQ_URI='\(place.uri)' '\(try Program.path)' dash --refresh 100ms
                echo "ended $?"
                \(Self.terminalState)
                echo "sane"
                cat
                """
            let file = folder.appendingPathComponent("script")
            try script.write(to: file, atomically: true, encoding: .utf8)
            try await tmux.with("bash '\(file.path)'", columns: columns, rows: rows) { try await body(tmux) }
        }
    }

    private func fill(_ place: Place) async throws {
        for number in 1...40 {
            try await place.client.enqueue(
                AsynqTask("mail:send", payload: Array("n\(number)".utf8)),
                .taskID("task-\(number)")
            )
        }
        try await place.client.enqueue(AsynqTask("report"), .queue("low"), .taskID("later"), .processIn(.hours(1)))
    }

    @Test(arguments: Store.allCases)
    func `queues are shown, opened and acted on`(_ store: Store) async throws {
        try await store.with { place in
            try await fill(place)
            try await withDash(place) { tmux in
                try await tmux.expect("2 queues")
                try await tmux.expect("default")
                // A task that comes while it is open.
                try await place.client.enqueue(AsynqTask("x"), .queue("new-one"))
                try await tmux.expect("new-one")
                try await tmux.press("Enter")
                try await tmux.expect("mail:send")
                try await tmux.expect("page 1 of 3")
                try await tmux.press("n")
                try await tmux.expect("page 2 of 3")
                try await tmux.press("p")
                try await tmux.expect("page 1 of 3")
                try await tmux.press("Down", "Enter")
                try await tmux.expect("Payload")
                try await tmux.expect("task-2")
                try await tmux.press("A")
                try await tmux.expect("Archive task task-2? y: yes")
                try await tmux.press("y")
                try await tmux.expect("archived task-2")
                #expect(try await place.inspector.task("task-2", queue: "default").state == .archived)
                try await tmux.press("Escape")
                try await tmux.expect("arch 1")
                try await tmux.press("Escape")
                try await tmux.expect("QUEUE")
                try await tmux.press("P")
                try await tmux.expect("Pause queue default?")
                try await tmux.press("y")
                try await tmux.expect("default (paused)")
                try await tmux.press("/", "l", "o", "w")
                try await tmux.expect("/low")
                try await tmux.press("Enter", "Enter")
                try await tmux.expect("later")
                try await tmux.press("?")
                try await tmux.expect("next or previous state of tasks")
                try await tmux.press("q", "Escape", "i")
                try await tmux.expect(store == .redis ? "redis_version" : "sqlite_version")
                try await tmux.press("C-c")
                try await tmux.expect("ended 0")
                try await tmux.expect("isig icanon echo sane")
            }
        }
    }

    @Test func `the terminal is as it was after each end`() async throws {
        try await Store.sqlite.with { place in
            try await fill(place)
            for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("SEGV", 139), ("ABRT", 134)] {
                try await withDash(place) { tmux in
                    try await tmux.expect("2 queues")
                    // By the file that it works on, which no other process has in its environment.
                    let process = try ChildProcess(
                        "/bin/bash",
                        [
                            "-c",
                            "for p in /proc/[0-9]*; do if grep -qz 'ASYNQ_URI=\(place.uri)' $p/environ 2>/dev/null && grep -qz '^dash$' $p/cmdline; then kill -\(signal) ${p#/proc/}; fi; done",
                        ]
                    )
                    try await eventually("the signal is sent") { !process.isRunning }
                    try await tmux.expect("ended \(status)")
                    try await tmux.expect("isig icanon echo sane")
                    // The screen of the dashboard is gone.
                    #expect(try await !tmux.screen().contains("2 queues"))
                }
            }
        }
    }

    @Test func `ctrl-z gives the terminal to the shell, and fg takes it again`() async throws {
        try await Store.sqlite.with { place in
            try await fill(place)
            try await withFolder { folder in
                let tmux = Tmux(folder: folder)
                try await tmux.with("bash --norc --noprofile -i") {
                    try await tmux.press("PS1='ready '", "Enter")
                    try await tmux.expect("ready ")
                    let dash = "ASYNQ_URI='\(place.uri)' '\(try Program.path)' dash --refresh 100ms"
                    try await tmux.press("clear; " + dash, "Enter")
                    for round in 1...8 {
                        try await tmux.expect("2 queues")
                        try await tmux.press("C-z")
                        try await tmux.expect("Stopped")
                        try await tmux.press("clear; \(Self.terminalState); echo round $((\(round)))", "Enter")
                        try await tmux.expect("isig icanon echo round \(round)")
                        try await tmux.press("clear; fg", "Enter")
                        try await tmux.expect("2 queues")
                        try await tmux.press("?")
                        try await tmux.expect("next or previous state of tasks")
                        try await tmux.press("Escape")
                    }
                    try await tmux.press("q")
                    try await tmux.expect("ready")
                }
            }
        }
    }

    @Test func `a broker that cannot be read at all ends it with one line`() async throws {
        let missing = Place(uri: "redis://127.0.0.1:1", broker: try Store.broker("redis://127.0.0.1:1"))
        try await withDash(missing) { tmux in
            try await tmux.expect("ended 1")
            try await tmux.expect("connection refused")
            try await tmux.expect("isig icanon echo sane")
        }
        await missing.broker.shutdown()
    }

    @Test func `it fills large terminals, follows their size, and is as useful without colours`() async throws {
        try await Store.sqlite.with { place in
            try await fill(place)
            try await withDash(place, columns: 200, rows: 60, environment: "NO_COLOR=1") { tmux in
                try await tmux.expect("AGGREGATING")
                try await tmux.expect("MEMORY")
                let colours = try await tmux.run("capture-pane", "-p", "-e", "-t", "main")
                #expect(!colours.contains("[31m") && !colours.contains("38;5"))
                try await tmux.run("resize-window", "-t", "main", "-x", "80", "-y", "24")
                try await eventually("it is narrow") { try await !tmux.screen().contains("AGGREGATING") }
                // As wide as the terminal, and as high.
                let keys = " enter open  P pause  D delete  / filter  s servers  i info  ? help  q quit"
                try await eventually("the keys are on the last row") {
                    let rows = try await tmux.screen().split(separator: "\n", omittingEmptySubsequences: false)
                    return rows.count == 25 && rows[23] == keys
                }
                try await tmux.press("q")
                try await tmux.expect("ended 0")
            }
        }
    }

    @Test func `without a terminal it says what to use instead`() async throws {
        try await Store.sqlite.with { place in
            let outcome = try await place.run("dash")
            #expect(outcome.status == 1 && outcome.output.isEmpty)
            #expect(outcome.errors == "asynq: the dashboard needs a terminal; 'asynq stats' and 'asynq watch' do not\n")
        }
    }
}
