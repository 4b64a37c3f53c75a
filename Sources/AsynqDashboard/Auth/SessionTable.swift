/// Who is logged in. A value that is told the time.
struct SessionTable: Sendable {
    struct Session: Sendable {
        let identity: Identity
        /// What writes must carry beside the cookie.
        let csrf: String
        fileprivate let start: Duration
        fileprivate var lastUse: Duration
    }

    /// More than this push out the one that was not used for the longest.
    static let most = 10_000

    private let idleTime: Duration
    private let lifetime: Duration
    private var sessions: [String: Session] = [:]

    init(idleTime: Duration, lifetime: Duration) {
        self.idleTime = idleTime
        self.lifetime = lifetime
    }

    var count: Int { sessions.count }

    /// - Returns: the new session's token.
    mutating func begin(_ identity: Identity, now: Duration) -> String {
        if sessions.count >= Self.most {
            sessions = sessions.filter { isAlive($0.value, now) }
            if sessions.count >= Self.most, let oldest = sessions.min(by: { $0.value.lastUse < $1.value.lastUse }) {
                sessions[oldest.key] = nil
            }
        }
        let token = RandomToken.make()
        var identity = identity
        identity.session = token
        sessions[token] = Session(identity: identity, csrf: RandomToken.make(), start: now, lastUse: now)
        return token
    }

    /// The session of a token, which lives on by this; `nil` if it has ended or never was.
    mutating func use(_ token: String, now: Duration) -> Session? {
        guard let session = sessions[token] else { return nil }
        guard isAlive(session, now) else {
            sessions[token] = nil
            return nil
        }
        sessions[token]?.lastUse = now
        return session
    }

    /// Whether it has not ended; changes nothing.
    func isAlive(_ token: String, now: Duration) -> Bool {
        sessions[token].map { isAlive($0, now) } ?? false
    }

    mutating func end(_ token: String) { sessions[token] = nil }

    private func isAlive(_ session: Session, _ now: Duration) -> Bool {
        now - session.lastUse < idleTime && now - session.start < lifetime
    }
}
