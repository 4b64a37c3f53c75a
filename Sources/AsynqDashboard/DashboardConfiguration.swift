import Asynq

/// How a dashboard looks, where it listens and whom it lets in.
public struct DashboardConfiguration: Sendable {
    /// Makes text of bytes, from the type of their task; what it gives is shown as text and never as markup.
    public typealias Formatter = @Sendable (_ taskType: String, _ bytes: [UInt8]) -> String

    /// The address to listen on. Default: `127.0.0.1`. One that others can reach needs an authentication. Only for
    /// ``AsynqDashboard/run()``.
    public var host = "127.0.0.1"
    /// The port to listen on. Default: 8080; 0: one that is free. Only for ``AsynqDashboard/run()``.
    public var port = 8080
    /// The path under which the dashboard is found, such as `/monitoring`. Default: none. A proxy in front must leave it in
    /// the requests. Only for ``AsynqDashboard/run()``; a mounted dashboard has that of its route.
    public var rootPath = ""
    /// Who is let in. Default: everybody, which only a dashboard on a loopback address may do.
    public var authentication = DashboardAuthentication.none
    /// Lets a dashboard listen on an address that others can reach without an authentication. Default: no.
    public var allowsPublicWithoutPassword = false
    /// Names and addresses of this dashboard, beside `localhost` and loopback addresses, to which it answers without an
    /// authentication; without a port. A page of another site that has its own name point here is refused by this.
    public var allowedHosts: Set<String> = []
    /// Whether what a proxy in front says of a request is believed: the client's address in the last entry of
    /// `X-Forwarded-For`, which the limit of logins counts, and TLS in `X-Forwarded-Proto`. Default: no.
    public var trustsProxyHeaders = false
    /// Nobody may change anything: 405 to each write. Default: no.
    public var isReadOnly = false

    /// How often queues are read anew while somebody looks: once for all who do. At least 100 ms. Default: 2 s.
    public var refreshInterval = Duration.seconds(2)
    /// How often queues are read for the history, whether or not somebody looks: one read of the figures of all queues. At
    /// least 1 s; `nil`: no history is kept. Default: 10 s.
    public var historyInterval: Duration? = .seconds(10)
    /// How many characters of a payload are shown in a list. At least 1. Default: 200.
    public var maxPayloadLength = 200
    /// How many characters of a result are shown in a list. At least 1. Default: 200.
    public var maxResultLength = 200
    /// Makes text of payloads. Default: UTF-8 as it is, other bytes as `\xff`.
    public var payloadFormatter: Formatter?
    /// Makes text of results. Default: UTF-8 as it is, other bytes as `\xff`.
    public var resultFormatter: Formatter?

    /// Where Prometheus is, such as `http://127.0.0.1:9090`, for the page of metrics. Default: nowhere; the page shows the
    /// dashboard's own history then.
    public var prometheusAddress: String?
    /// Whether the figures of all queues are served to Prometheus at `/metrics`. Default: no.
    public var exportsMetrics = false

    /// The largest body of a request, in bytes. At least 1024. Default: 4 MiB.
    public var maxBodySize = 4 * 1024 * 1024
    /// How long somebody stays logged in who does nothing. Default: 12 h.
    public var sessionIdleTime = Duration.seconds(12 * 3600)
    /// How long somebody stays logged in at most. Default: 7 days.
    public var sessionLifetime = Duration.seconds(7 * 86_400)

    /// How long an answer is good for others who ask the same: long enough for all viewers who were told of a change at the
    /// same moment, and too short for people to notice.
    package var answerLifetime = Duration.milliseconds(500)
    /// A folder to read the pages from instead of the program, at each request: to work on them.
    package var resourceFolder: String?

    public init() {}

    /// - Parameter listens: whether it is to listen by itself, and not in another application.
    /// - Throws: ``AsynqError`` with code `invalidArgument`.
    func validate(listens: Bool) throws(AsynqError) {
        func check(_ isGood: Bool, _ message: String) throws(AsynqError) {
            guard isGood else { throw AsynqError(.invalidArgument, message) }
        }
        try check(refreshInterval >= .milliseconds(100), "a refresh each \(refreshInterval): use at least 100 ms")
        try check(historyInterval.map { $0 >= .seconds(1) } ?? true, "the history's interval must be at least 1 s")
        try check(maxPayloadLength >= 1, "the length of payloads in lists must be at least 1")
        try check(maxResultLength >= 1, "the length of results in lists must be at least 1")
        try check(maxBodySize >= 1024, "the size of request bodies must be at least 1024 bytes")
        try check(
            sessionIdleTime > .zero && sessionLifetime > .zero,
            "the times after which a session ends must be more than zero"
        )
        try check(
            rootPath.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"?#%{}*\"<>\\".utf8.contains($0) },
            "the root path must be plain, such as /monitoring"
        )
        if let address = prometheusAddress {
            let isHTTP = address.hasPrefix("http://") || address.hasPrefix("https://")
            try check(isHTTP, "the address of Prometheus must begin with http:// or https://")
        }
        try authentication.validate()
        guard listens else { return }
        try check((0...65_535).contains(port), "the port must be 0 to 65535")
        try check(
            authentication.isRequired || HostName.isLoopback(host) || allowsPublicWithoutPassword,
            "anybody who can reach \(host) could delete tasks: set a user and a password, or listen on 127.0.0.1, or allow it"
        )
    }
}
