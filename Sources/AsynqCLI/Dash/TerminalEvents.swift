import Synchronization

#if canImport(Darwin)
import Darwin
import Dispatch
#else
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
@preconcurrency import Dispatch
#endif

/// Keys and signals, as they come.
final class TerminalEvents: Sendable {
    enum Event: Sendable {
        case key(Key)
        case resized
        /// A signal that asks the program to end.
        case signal(Int32)
        /// Nobody is at the terminal any more.
        case closed
    }

    private let sources: [any DispatchSourceSignal]
    private let isStopped = Atomic(false)

    /// - Parameter onEvent: called from any thread.
    init(onEvent: @escaping @Sendable (Event) -> Void) {
        let queue = DispatchQueue(label: "asynq.terminal")
        sources = [SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT].map { number in
            // Dispatch sees a signal only where its own action is off.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { onEvent(number == SIGWINCH ? .resized : .signal(number)) }
            source.activate()
            return source
        }
        // Reading blocks, so it has a thread of its own.
        DispatchQueue(label: "asynq.keys").async { self.read(onEvent) }
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        for source in sources { source.cancel() }
    }

    private func read(_ onEvent: @Sendable (Event) -> Void) {
        var parser = KeyParser()
        while !isStopped.load(ordering: .relaxed) {
            var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            // An escape with nothing behind it for so long is the key.
            let count = poll(&descriptor, 1, parser.isInside ? 50 : 250)
            if count == 0 {
                for key in parser.flush() { onEvent(.key(key)) }
            } else if count > 0 {
                guard let bytes = try? StandardInput.some(1024) else {
                    onEvent(.closed)
                    return
                }
                for key in parser.feed(bytes) { onEvent(.key(key)) }
            }
        }
    }
}
