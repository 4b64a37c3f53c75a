/// Somebody who was let in.
struct Identity: Sendable, Hashable {
    /// `nil` where nobody needs a name.
    var name: String?
    var role: DashboardRole
    /// Of the session by which it was let in, if it was by one.
    var session: String?
}

/// Who has which password.
struct CredentialStore: Sendable {
    private let users: [(name: SecretDigest, password: SecretDigest, identity: Identity)]
    private let tokens: [(token: SecretDigest, identity: Identity)]

    init(_ users: [DashboardAuthentication.User], _ tokens: [DashboardAuthentication.Token]) {
        self.users = users.map {
            (SecretDigest($0.name), SecretDigest($0.password), Identity(name: $0.name, role: $0.role))
        }
        self.tokens = tokens.map { (SecretDigest($0.token), Identity(name: $0.name, role: $0.role)) }
    }

    /// All are compared, whichever matches: how long it takes says nothing.
    func user(_ name: String, password: String) -> Identity? {
        let (name, password) = (SecretDigest(name), SecretDigest(password))
        var found: Identity?
        for user in users {
            let (isName, isPassword) = (user.name.matches(name), user.password.matches(password))
            if isName, isPassword { found = user.identity }
        }
        return found
    }

    func token(_ token: String) -> Identity? {
        let token = SecretDigest(token)
        var found: Identity?
        for known in tokens where known.token.matches(token) { found = known.identity }
        return found
    }
}
