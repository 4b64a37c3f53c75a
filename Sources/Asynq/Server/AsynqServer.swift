public import ServiceLifecycle
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Takes tasks from queues and runs their handlers.
///
/// ```swift
/// let server = AsynqServer(broker, handler: router, configuration: .init(concurrency: 10, queues: ["critical": 6, "default": 3]))
/// try await server.run()
/// ```
///
/// It is a service of swift-service-lifecycle, to be run alone or in a `ServiceGroup`. It shuts down when its task is
/// cancelled, when a graceful shutdown is triggered, at SIGTERM or SIGINT, and at ``shutdown()``: no more tasks are
/// taken, running handlers may go on for ``Configuration/shutdownTimeout``, the tasks of those that are still running
/// then are handed back to their queues, next to run.
public final class AsynqServer: Service {
    private enum Lifecycle {
        /// What was asked of it before its start.
        case new([@Sendable (ServerEngine) -> Void])
        case running(ServerEngine)
        case closed
    }

    private let broker: any Broker
    private let handler: any TaskHandler
    private let configuration: Configuration
    private let clock: LoopClock
    private let lifecycle = Mutex(Lifecycle.new([]))

    /// - Parameters:
    ///   - broker: where the tasks are.
    ///   - handler: runs them: a ``TaskRouter``, or a handler of your own.
    ///   - configuration: checked when the server starts.
    public convenience init(_ broker: any Broker, handler: any TaskHandler, configuration: Configuration = .init()) {
        self.init(broker, handler: handler, configuration: configuration, clock: ContinuousClock())
    }

    package init<C: Clock>(
        _ broker: any Broker,
        handler: any TaskHandler,
        configuration: Configuration,
        clock: C
    ) where C.Duration == Duration {
        self.broker = broker
        self.handler = handler
        self.configuration = configuration
        self.clock = LoopClock(clock)
    }

    /// Works until the server is shut down.
    ///
    /// - Throws: ``AsynqError``: `invalidArgument` for a configuration that contradicts itself, `serverClosed` if the
    ///   server runs or has run before, `brokerUnavailable` or `brokerFailure` if the broker cannot be used. An error
    ///   later on, such as a broker that goes away, is logged and does not end it.
    public func run() async throws {
        try configuration.validate()
        let engine = ServerEngine(broker: broker, handler: handler, configuration: configuration, clock: clock)
        try lifecycle.withLock { lifecycle in
            switch lifecycle {
            case .new(let requests):
                lifecycle = .running(engine)
                for request in requests { request(engine) }
            case .running: throw AsynqError(.serverClosed, "the server is running already")
            case .closed: throw AsynqError(.serverClosed, "the server has been closed: make a new one")
            }
        }
        defer { lifecycle.withLock { $0 = .closed } }
        try await broker.connect()

        let trap = configuration.handlesSignals ? SignalTrap(engine) : nil
        defer { trap?.release() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                // A task of its own, because cancelling the caller begins the shutdown, which must still be able to
                // wait for handlers and to store their outcomes.
                await Task { await engine.run() }.value
            } onGracefulShutdown: {
                engine.requestShutdown()
            }
        } onCancel: {
            engine.requestShutdown()
        }
    }

    /// Takes no more tasks; running handlers go on, and the server runs on without work until it is shut down. Before
    /// ``run()`` it holds for the run that begins.
    public func stop() {
        ask { $0.requestStop() }
    }

    /// Begins the shutdown; ``run()`` returns when it is complete. Called again, it no longer waits for handlers. Before
    /// ``run()`` it holds for the run that begins, which then ends at once.
    public func shutdown() {
        ask { $0.requestShutdown(isRepeatable: true) }
    }

    private func ask(_ request: @escaping @Sendable (ServerEngine) -> Void) {
        let engine = lifecycle.withLock { lifecycle -> ServerEngine? in
            switch lifecycle {
            case .new(let requests):
                lifecycle = .new(requests + [request])
                return nil
            case .running(let engine): return engine
            case .closed: return nil
            }
        }
        if let engine { request(engine) }
    }
}
