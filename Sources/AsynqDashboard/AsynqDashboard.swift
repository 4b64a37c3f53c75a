public import Asynq
public import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
public import ServiceLifecycle
import Synchronization

/// The web dashboard: queues, tasks, servers and schedulers in a browser, and the JSON API behind it (spec 3).
///
/// ```swift
/// var configuration = DashboardConfiguration()
/// configuration.authentication = .credentials(users: [.init("ops", password: password)])
/// try await AsynqDashboard(broker, configuration: configuration).run()
/// ```
///
/// A service that listens by itself, or part of your own Hummingbird application: see ``mount(on:at:)``.
public struct AsynqDashboard: Service {
    /// That of this package.
    package static let version = "0.1.0"

    private let engine: DashboardEngine

    /// - Parameters:
    ///   - broker: any.
    ///   - configuration: checked when the dashboard runs or is mounted.
    ///   - logger: gets a line, of level notice, for each change that somebody makes, and warnings. Default: one with the
    ///     label `asynq.dashboard`.
    public init(
        _ broker: any Broker,
        configuration: DashboardConfiguration = .init(),
        logger: Logger = Logger(label: "asynq.dashboard")
    ) {
        engine = DashboardEngine(broker, configuration, logger)
    }

    /// Listens until the task is cancelled, or a graceful shutdown is triggered.
    ///
    /// - Throws: ``AsynqError`` with code `invalidArgument` for a configuration that contradicts itself or is not safe, or
    ///   an address on which nobody can listen.
    public func run() async throws {
        try await run { _ in }
    }

    /// Listens until the task is cancelled, or a graceful shutdown is triggered.
    ///
    /// - Parameter onListening: told the URL, whose port the system may have chosen.
    public func run(onListening: @escaping @Sendable (String) -> Void) async throws {
        let configuration = engine.configuration
        try configuration.validate(listens: true)
        let root = "/" + configuration.rootPath.split(separator: "/").joined(separator: "/")
        let router = Router(context: DashboardRequestContext.self)
        DashboardRoutes(engine: engine).add(to: router, at: RouterPath(root))
        if root != "/" { router.get("/") { _, _ in Response.redirect(to: root + "/", type: .temporary) } }
        let isListening = Mutex(false)
        // What it says is said by what it throws.
        var logger = engine.logger
        if logger.logLevel > .debug { logger.logLevel = .critical }
        let application = Application(
            router: router,
            server: .http1(configuration: .init(idleTimeout: .seconds(75))),
            configuration: .init(address: .hostname(configuration.host, port: configuration.port)),
            services: [DashboardService(engine: engine)],
            onServerRunning: { channel in
                isListening.withLock { $0 = true }
                let port = channel.localAddress?.port ?? configuration.port
                let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
                onListening("http://\(host):\(port)\(root)")
            },
            logger: logger
        )
        do {
            try await application.run()
        } catch {
            guard !isListening.withLock({ $0 }), !(error is CancellationError) else { throw error }
            let place = "\(configuration.host):\(configuration.port)"
            throw AsynqError(.invalidArgument, "cannot listen on \(place): \(error); choose another port or address")
        }
    }

    /// Makes the dashboard part of an application of yours.
    ///
    /// ```swift
    /// let monitoring = try dashboard.mount(on: router, at: "monitoring")
    /// let application = Application(router: router, services: [monitoring])
    /// ```
    ///
    /// - Parameters:
    ///   - router: a router, or a group of one: its middleware is asked first.
    ///   - path: below that of the router. The browser must see the same path as the application.
    /// - Returns: what works beside the requests: the live figures, bulk jobs and the history. To be one of the services of
    ///   the application.
    /// - Throws: ``AsynqError`` with code `invalidArgument` for a configuration that contradicts itself. Whether it is safe is
    ///   for the application to know: without an authentication of its own the dashboard answers to loopback names only,
    ///   see ``DashboardAuthentication/application(role:)``.
    public func mount<Context: RequestContext>(
        on router: some RouterMethods<Context>,
        at path: RouterPath
    ) throws -> some Service {
        try engine.configuration.validate(listens: false)
        DashboardRoutes(engine: engine).add(to: router, at: path)
        return DashboardService(engine: engine)
    }
}

/// What of a connection is needed.
struct DashboardRequestContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }
}
