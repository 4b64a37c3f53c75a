import HTTPTypes
import Hummingbird
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Decides who is let in, and which requests are the user's own and not those of another site in the user's browser.
final class Gate: Sendable {
    private let authentication: DashboardAuthentication
    private let credentials: CredentialStore
    private let allowedHosts: Set<String>
    private let isReadOnly: Bool
    private let now: @Sendable () -> Duration
    private let sessions: Mutex<SessionTable>
    private let limiter = Mutex(LoginLimiter())

    init(_ configuration: DashboardConfiguration, now: @escaping @Sendable () -> Duration) {
        authentication = configuration.authentication
        if case .credentials(let users, let tokens) = authentication.kind {
            credentials = CredentialStore(users, tokens)
        } else {
            credentials = CredentialStore([], [])
        }
        allowedHosts = Set(configuration.allowedHosts.map(HostName.withoutPort))
        isReadOnly = configuration.isReadOnly
        self.now = now
        sessions = Mutex(
            SessionTable(idleTime: configuration.sessionIdleTime, lifetime: configuration.sessionLifetime)
        )
    }

    // MARK: Who

    /// Without an authentication a name of another's making may point here, so that the pages of that name could read
    /// everything. Only names that nobody else can give to this machine are answered.
    func checkHost(_ facts: RequestFacts) throws(APIError) {
        guard case .none = authentication.kind, let authority = facts.authority else { return }
        guard HostName.isLoopback(authority) || allowedHosts.contains(HostName.withoutPort(authority)) else {
            throw .forbidden(
                "this dashboard has no authentication, and answers only as localhost: add the name to the allowed hosts"
            )
        }
    }

    /// - Throws: ``APIError``: 401, or 429 after too many tries.
    func identity(_ facts: RequestFacts) throws(APIError) -> Identity {
        switch authentication.kind {
        case .none: return Identity(name: nil, role: .admin)
        case .application(let role): return Identity(name: nil, role: role)
        case .credentials:
            if let header = facts.authorization { return try authorized(header, facts.address) }
            guard let session = session(facts) else { throw .loginNeeded }
            return session.identity
        }
    }

    private func session(_ facts: RequestFacts) -> SessionTable.Session? {
        let now = now()
        return facts.cookie(facts.sessionCookie).flatMap { token in sessions.withLock { $0.use(token, now: now) } }
    }

    private func authorized(_ header: String, _ address: String) throws(APIError) -> Identity {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { throw .loginNeeded }
        switch parts[0].lowercased() {
        case "bearer": return try attempt(address) { credentials.token(String(parts[1])) }
        case "basic":
            guard let data = Data(base64Encoded: String(parts[1])),
                let text = String(validating: data, as: UTF8.self), let colon = text.firstIndex(of: ":")
            else { throw .loginNeeded }
            let (name, password) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
            return try attempt(address) { credentials.user(name, password: password) }
        default: throw .loginNeeded
        }
    }

    /// Looks whether one may try, and notes that it was in vain, in one step: many at the same moment count as many.
    private func attempt(_ address: String, _ check: () -> Identity?) throws(APIError) -> Identity {
        let now = now()
        let outcome: Result<Identity, APIError> = limiter.withLock { limiter in
            if let delay = limiter.delay(for: address, now: now) {
                return .failure(
                    APIError(
                        .tooManyRequests,
                        "too many failed logins: wait a minute",
                        retryAfter: max(1, Int((delay / .seconds(1)).rounded(.up)))
                    )
                )
            }
            if let identity = check() { return .success(identity) }
            limiter.failed(address, now: now)
            return .failure(.loginNeeded)
        }
        return try outcome.get()
    }

    // MARK: Sessions

    /// - Returns: who it is, and the token of a new session.
    func logIn(_ name: String, password: String, _ facts: RequestFacts) throws(APIError) -> (Identity, token: String) {
        guard case .credentials = authentication.kind else {
            throw .badRequest("this dashboard has no users: there is no need to log in")
        }
        let identity = try attempt(facts.address) { credentials.user(name, password: password) }
        let now = now()
        return (identity, sessions.withLock { $0.begin(identity, now: now) })
    }

    func logOut(_ facts: RequestFacts) {
        if let token = facts.cookie(facts.sessionCookie) { sessions.withLock { $0.end(token) } }
    }

    /// What writes of this session must carry; empty for one who is in no session.
    func csrf(_ facts: RequestFacts, _ identity: Identity) -> String {
        identity.session == nil ? "" : session(facts)?.csrf ?? ""
    }

    /// Whether a session that was good still is; true for who is in none.
    func isStillIn(_ identity: Identity) -> Bool {
        guard let session = identity.session else { return true }
        let now = now()
        return sessions.withLock { $0.isAlive(session, now: now) }
    }

    // MARK: What

    func isReadOnly(_ identity: Identity) -> Bool { isReadOnly || identity.role == .readOnly }

    func checkMayWrite(_ identity: Identity) throws(APIError) {
        if isReadOnly { throw .readOnly }
        if identity.role == .readOnly { throw .readOnlyUser }
    }

    /// A page of another site can read nothing here, but could have the broker asked again and again.
    func checkNotCrossSite(_ facts: RequestFacts) throws(APIError) {
        if facts.fetchSite == "cross-site" { throw .crossSite }
    }

    /// Whether a write comes from a page of this dashboard, or from a program, and not from a page of another site.
    func checkSameOrigin(_ facts: RequestFacts) throws(APIError) {
        if let site = facts.fetchSite {
            guard site == "same-origin" || site == "none" else { throw .crossSite }
        } else if let origin = facts.origin {
            // The proxy in front may speak another protocol than we do.
            guard let host = origin.firstRange(of: "://").map({ origin[$0.upperBound...] }),
                let authority = facts.authority, host.lowercased() == authority.lowercased()
            else { throw .crossSite }
        }
    }

    /// - Parameter identity: of the one who writes.
    func checkToken(_ facts: RequestFacts, _ identity: Identity) throws(APIError) {
        guard identity.session != nil else { return }
        guard let token = facts.csrf, SecretDigest(token).matches(SecretDigest(csrf(facts, identity))) else {
            throw .forbidden("the header X-CSRF-Token is missing or out of date: load the page again")
        }
    }
}

extension APIError {
    static let loginNeeded = APIError(.unauthorized, "log in first, or send a user and a password, or a token")
    static let crossSite = APIError.forbidden("this request comes from another site")
}
