/// When a lane connects, and when it waits. A value with no I/O.
struct ConnectionState: Equatable {
    private enum Phase: Equatable {
        case idle, connecting, connected, backingOff, closed
    }

    enum Action: Equatable {
        case none
        case connect
        /// Connect again after this delay.
        case connectAfter(Duration)
        /// Nothing is connected, and nothing will be before somebody asks again.
        case rest
    }

    /// Connected for its own sake, not only for commands that wait: it listens.
    private let isListener: Bool
    private let minimumDelay: Duration
    let maximumDelay: Duration
    private var phase = Phase.idle
    private var failures = 0
    /// Whether there ever was a connection: a server that was there may well come back.
    private(set) var hasBeenConnected = false

    init(
        isListener: Bool,
        minimumDelay: Duration = .milliseconds(10),
        maximumDelay: Duration = .seconds(2)
    ) {
        self.isListener = isListener
        self.minimumDelay = minimumDelay
        self.maximumDelay = maximumDelay
    }

    var isConnected: Bool { phase == .connected }
    var isClosed: Bool { phase == .closed }

    /// Commands wait, or a listener is to be opened.
    mutating func wanted() -> Action {
        guard phase == .idle else { return .none }
        phase = .connecting
        return .connect
    }

    mutating func connected() {
        guard phase == .connecting else { return }
        phase = .connected
        hasBeenConnected = true
    }

    /// - Parameter jitter: from 0 to 1.
    mutating func connectFailed(isWanted: Bool, jitter: Double) -> Action {
        guard phase == .connecting else { return .none }
        failures += 1
        guard isWanted || isListener else {
            phase = .idle
            return .rest
        }
        return backOff(jitter)
    }

    private mutating func backOff(_ jitter: Double) -> Action {
        phase = .backingOff
        let doubled = minimumDelay * (1 << min(failures - 1, 20))
        return .connectAfter(min(doubled, maximumDelay) * (0.5 + jitter / 2))
    }

    mutating func delayEnded(isWanted: Bool) -> Action {
        guard phase == .backingOff else { return .none }
        guard isWanted || isListener else {
            phase = .idle
            return .rest
        }
        phase = .connecting
        return .connect
    }

    /// - Parameters:
    ///   - wasBrief: whether the connection lasted less than the longest delay. A server that takes connections only to
    ///     drop them must not be asked without a pause, but for the first time.
    ///   - jitter: from 0 to 1.
    mutating func lost(isWanted: Bool, wasBrief: Bool = false, jitter: Double = 1) -> Action {
        guard phase == .connected else { return .none }
        phase = .idle
        failures = wasBrief ? failures + 1 : 0
        guard isWanted || isListener else { return .rest }
        return failures <= 1 ? wanted() : backOff(jitter)
    }

    mutating func close() { phase = .closed }
}
