package import Foundation
import Synchronization

/// A child process. Foundation's `Process` reads beyond its memory now and then while it looks for the files to close,
/// and takes the tests with it (swift-corelibs-foundation 5472, in Swift 6.3 still).
package final class ChildProcess: Sendable {
    /// A program could not be started.
    package struct StartFailure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    package let identifier: Int32
    /// How it ended, as `waitpid` says it.
    private let end = Mutex<Int32?>(nil)

    /// Starts a program. It has no other file of this process open, whatever is blocked here is not blocked there.
    ///
    /// - Parameters:
    ///   - path: of the program, which is not looked for.
    ///   - environment: its variables. Default: those of this process.
    ///   - input: the file that it reads from. Default: an empty one.
    ///   - output, errors: where it writes; nowhere if `nil`.
    package init(
        _ path: String,
        _ arguments: [String],
        environment: [String: String]? = nil,
        input: String = "/dev/null",
        output: FileHandle? = nil,
        errors: FileHandle? = nil
    ) throws {
        #if os(Linux)
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #else
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #endif
        func check(_ code: Int32) throws {
            guard code == 0 else { throw StartFailure(description: "\(path) cannot be started: errno \(code)") }
        }
        try check(posix_spawn_file_actions_init(&actions))
        defer { posix_spawn_file_actions_destroy(&actions) }
        try check(posix_spawnattr_init(&attributes))
        defer { posix_spawnattr_destroy(&attributes) }

        try check(posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0))
        for (descriptor, handle) in [(Int32(1), output), (2, errors)] {
            if let handle {
                try check(posix_spawn_file_actions_adddup2(&actions, handle.fileDescriptor, descriptor))
            } else {
                try check(posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0))
            }
        }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        try check(posix_spawnattr_setsigmask(&attributes, &none))
        try check(posix_spawnattr_setsigdefault(&attributes, &all))
        #if os(Linux)
        // Those too that other threads open from now on, which come next in number: a socket that lived on in the child would
        // not end when it is closed here. A number that is not open does no harm.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int($0) }
        for descriptor in 3..<min((open.max() ?? 3) + 256, sysconf(Int32(_SC_OPEN_MAX))) {
            try check(posix_spawn_file_actions_addclose(&actions, Int32(descriptor)))
        }
        try check(posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)))
        #else
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_CLOEXEC_DEFAULT
        try check(posix_spawnattr_setflags(&attributes, Int16(flags)))
        #endif

        let words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let variables = (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for variable in variables { free(variable) } }
        var identifier: Int32 = 0
        if environment == nil {
            try check(posix_spawn(&identifier, path, &actions, &attributes, words, environ))
        } else {
            try check(posix_spawn(&identifier, path, &actions, &attributes, words, variables))
        }
        self.identifier = identifier
        LiveProcesses.shared.add(identifier)
    }

    /// The status with which it ended, or the signal that killed it; `nil` while it runs.
    package var status: Int32? {
        end.withLock { end in
            if end == nil {
                var status: Int32 = 0
                if waitpid(identifier, &status, WNOHANG) == identifier {
                    end = status
                    LiveProcesses.shared.remove(identifier)
                }
            }
            return end.map { $0 & 0x7F == 0 ? $0 >> 8 & 0xFF : $0 & 0x7F }
        }
    }

    package var isRunning: Bool { status == nil }

    /// Does nothing once it has ended: its number may be another one's.
    package func signal(_ number: Int32) {
        if isRunning { _ = kill(identifier, number) }
    }

    /// Blocks until it has ended, which must be certain.
    ///
    /// - Returns: ``status``.
    @discardableResult
    package func waitUntilExit() -> Int32 {
        while true {
            if let status { return status }
            usleep(1000)
        }
    }
}

/// Kills what is left when the test process ends.
private final class LiveProcesses: Sendable {
    static let shared = LiveProcesses()
    private let identifiers = Mutex<Set<Int32>>([])

    private init() {
        atexit { LiveProcesses.shared.killAll() }
    }

    func add(_ identifier: Int32) { _ = identifiers.withLock { $0.insert(identifier) } }
    func remove(_ identifier: Int32) { _ = identifiers.withLock { $0.remove(identifier) } }

    private func killAll() {
        for identifier in identifiers.withLock({ $0 }) { _ = kill(identifier, SIGKILL) }
    }
}
