import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The terminal while a full-screen program has it: raw, on its other screen, without a cursor. It is given back as it was
/// on every end: in good order, at a signal, and when the program crashes.
final class Terminal: Sendable {
    private static let enterText = "\u{1B}[?1049h\u{1B}[?25l"
    private static let leaveText = "\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l"
    /// Signals of a program that went wrong.
    private static let crashes = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE]

    private let original: termios
    private let isEntered = Mutex(false)

    /// - Throws: ``Failure`` if there is no terminal.
    init() throws {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
            throw Failure("the dashboard needs a terminal; 'asynq stats' and 'asynq watch' do not")
        }
        var state = termios()
        guard tcgetattr(STDIN_FILENO, &state) == 0 else { throw Failure("this terminal does not say how it is set") }
        original = state
        CrashGuard.prepare(original, Self.leaveText)
        for number in Self.crashes { CrashGuard.install(number) }
        atexit { CrashGuard.restore() }
    }

    func enter() {
        isEntered.withLock { isEntered in
            guard !isEntered else { return }
            var raw = original
            cfmakeraw(&raw)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)
            Output.write(Self.enterText)
            CrashGuard.arm(true)
            isEntered = true
        }
    }

    func leave() {
        isEntered.withLock { isEntered in
            guard isEntered else { return }
            CrashGuard.arm(false)
            Output.write(Self.leaveText)
            var state = original
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &state)
            isEntered = false
        }
    }

    /// To this thread, whose signals Swift has blocked.
    static func raiseHere(_ number: Int32) {
        var (signals, before) = (sigset_t(), sigset_t())
        sigemptyset(&signals)
        sigaddset(&signals, number)
        pthread_sigmask(SIG_UNBLOCK, &signals, &before)
        raise(number)
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }

    /// Gives the terminal to the shell until this program is to go on.
    func suspend() {
        leave()
        // The others of the group, so that whatever started this one stops as well. Then this thread, which stops before it
        // goes on; a signal to the process would be another thread's, and come when the terminal has been taken again.
        signal(SIGTSTP, SIG_IGN)
        kill(0, SIGTSTP)
        signal(SIGTSTP, SIG_DFL)
        Self.raiseHere(SIGTSTP)
        enter()
    }
}

/// What is left to do when the program crashes: only what may be done in a handler of signals, on memory that was laid
/// out before.
private enum CrashGuard {
    private static let state = Atomic<UInt>(0)
    private static let text = Atomic<UInt>(0)
    private static let length = Atomic<Int>(0)
    private static let isArmed = Atomic<Bool>(false)

    static func prepare(_ original: termios, _ leaveText: String) {
        let copy = UnsafeMutablePointer<termios>.allocate(capacity: 1)
        copy.initialize(to: original)
        state.store(UInt(bitPattern: copy), ordering: .releasing)
        let bytes = Array(leaveText.utf8)
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
        buffer.initialize(from: bytes, count: bytes.count)
        text.store(UInt(bitPattern: buffer), ordering: .releasing)
        length.store(bytes.count, ordering: .releasing)
    }

    static func arm(_ isArmed: Bool) { self.isArmed.store(isArmed, ordering: .releasing) }

    static func install(_ number: Int32) {
        signal(number) { number in
            CrashGuard.restore()
            signal(number, SIG_DFL)
            raise(number)
        }
    }

    static func restore() {
        guard isArmed.exchange(false, ordering: .acquiringAndReleasing) else { return }
        if let bytes = UnsafeRawPointer(bitPattern: text.load(ordering: .acquiring)) {
            _ = write(STDOUT_FILENO, bytes, length.load(ordering: .acquiring))
        }
        if let original = UnsafePointer<termios>(bitPattern: state.load(ordering: .acquiring)) {
            tcsetattr(STDIN_FILENO, TCSANOW, original)
        }
    }
}
