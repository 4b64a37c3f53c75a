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
    private let sources: [any DispatchSourceSignal]
    private let numbers: [Int32]

    init(_ numbers: [Int32], onSignal: @escaping @Sendable (Int32) -> Void) {
        let queue = DispatchQueue(label: "asynq.signals")
        self.numbers = numbers
        sources = numbers.map { number in
            // Dispatch sees a signal only where the default action, such as ending the process, is off.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { onSignal(number) }
            source.activate()
            return source
        }
    }

    /// Gives the signals their default actions again.
    func release() {
        for source in sources { source.cancel() }
        for number in numbers { signal(number, SIG_DFL) }
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
