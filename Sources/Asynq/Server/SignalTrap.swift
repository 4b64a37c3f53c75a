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

/// Turns signals of the operating system into calls, for as long as it lives.
final class SignalTrap: Sendable {
    /// Dispatch sees a signal only where its action, such as ending the process, is off. Several traps may want that, and
    /// the last one gives the process its own action back.
    private static let actions = Mutex<[Int32: (users: Int, previous: Action)]>([:])
    #if canImport(Darwin)
    private typealias Action = (@convention(c) (Int32) -> Void)?
    #else
    private typealias Action = __sighandler_t?
    #endif

    private let sources: [any DispatchSourceSignal]
    private let numbers: [Int32]

    init(_ numbers: [Int32], onSignal: @escaping @Sendable (Int32) -> Void) {
        let queue = DispatchQueue(label: "asynq.signals")
        self.numbers = numbers
        sources = numbers.map { number in
            Self.actions.withLock { actions in
                if let action = actions[number] {
                    actions[number] = (action.users + 1, action.previous)
                } else {
                    actions[number] = (1, signal(number, SIG_IGN))
                }
            }
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { onSignal(number) }
            source.activate()
            return source
        }
    }

    func release() {
        for source in sources { source.cancel() }
        Self.actions.withLock { actions in
            for number in numbers {
                guard let action = actions[number] else { continue }
                if action.users > 1 {
                    actions[number] = (action.users - 1, action.previous)
                } else {
                    signal(number, action.previous)
                    actions[number] = nil
                }
            }
        }
    }
}

extension SignalTrap {
    /// SIGTERM and SIGINT shut the server down, the second time without waiting for handlers; SIGTSTP stops it.
    convenience init(_ engine: ServerEngine) {
        self.init([SIGTERM, SIGINT, SIGTSTP]) { number in
            if number == SIGTSTP {
                engine.requestStop()
            } else {
                engine.requestShutdown(isRepeatable: true)
            }
        }
    }
}

extension SignalTrap {
    /// For SIGTERM and SIGINT.
    convenience init(onTermination: @escaping @Sendable () -> Void) {
        self.init([SIGTERM, SIGINT]) { _ in onTermination() }
    }
}
