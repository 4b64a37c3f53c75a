import Asynq

/// What somebody may do in a dashboard.
public enum DashboardRole: String, Sendable, Hashable, CaseIterable {
    /// Everything.
    case admin
    /// Look.
    case readOnly = "read_only"
}

/// Whom a dashboard lets in.
public struct DashboardAuthentication: Sendable {
    /// Somebody who logs in with a name and a password, in a browser or by `Authorization: Basic`.
    public struct User: Sendable {
        public var name: String
        public var password: String
        public var role: DashboardRole

        /// - Parameters:
        ///   - name: not empty, without a colon, and of nobody else.
        ///   - password: not empty.
        ///   - role: default: admin.
        public init(_ name: String, password: String, role: DashboardRole = .admin) {
            self.name = name
            self.password = password
            self.role = role
        }
    }

    /// A program that sends `Authorization: Bearer`.
    public struct Token: Sendable {
        /// What stands in the log of what was done.
        public var name: String
        public var token: String
        public var role: DashboardRole

        /// - Parameters:
        ///   - name: for people.
        ///   - token: at least 16 characters that nobody can guess.
        ///   - role: default: admin.
        public init(_ name: String, token: String, role: DashboardRole = .admin) {
            self.name = name
            self.token = token
            self.role = role
        }
    }

    enum Kind: Sendable {
        case none
        case application(DashboardRole)
        case credentials([User], [Token])
    }

    let kind: Kind

    /// Everybody is let in, and may do everything: for a loopback address. Requests for other names are refused, see
    /// ``DashboardConfiguration/allowedHosts``.
    public static let none = DashboardAuthentication(kind: .none)

    /// These are let in.
    public static func credentials(users: [User] = [], tokens: [Token] = []) -> DashboardAuthentication {
        .init(kind: .credentials(users, tokens))
    }

    /// The application in which the dashboard is mounted lets in, by its own middleware, only those who may: the dashboard
    /// does not ask.
    ///
    /// - Parameter role: what they may do. Default: everything.
    public static func application(role: DashboardRole = .admin) -> DashboardAuthentication {
        .init(kind: .application(role))
    }

    /// Whether somebody who has nothing is refused.
    var isRequired: Bool {
        if case .credentials = kind { true } else { false }
    }

    func validate() throws(AsynqError) {
        guard case .credentials(let users, let tokens) = kind else { return }
        func fail(_ message: String) throws(AsynqError) -> Never { throw AsynqError(.invalidArgument, message) }
        if users.isEmpty, tokens.isEmpty { try fail("there is neither a user nor a token, so nobody could get in") }
        for user in users {
            if user.name.isEmpty || user.name.contains(":") { try fail("a user's name is empty or has a colon in it") }
            if user.password.isEmpty { try fail("the password of user \"\(user.name)\" is empty") }
        }
        if Set(users.map(\.name)).count < users.count { try fail("two users have the same name") }
        for token in tokens where token.token.utf8.count < 16 {
            try fail("the token \"\(token.name)\" is too short: use at least 16 characters, such as 32 random ones")
        }
    }
}
