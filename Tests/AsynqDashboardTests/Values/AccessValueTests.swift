import Testing

@testable import AsynqDashboard

@Suite struct SessionTableTests {
    private let who = Identity(name: "a", role: .admin)

    @Test func `a session ends when nobody uses it, and after its time in any case`() {
        var table = SessionTable(idleTime: .seconds(10), lifetime: .seconds(25))
        let token = table.begin(who, now: .zero)
        #expect(token.count == 64)
        #expect(table.use(token, now: .seconds(9))?.identity.name == "a")
        #expect(table.use(token, now: .seconds(18)) != nil)
        #expect(table.isAlive(token, now: .seconds(24)) && !table.isAlive(token, now: .seconds(25)))
        #expect(table.use(token, now: .seconds(25)) == nil && table.count == 0)
        let other = table.begin(who, now: .zero)
        #expect(table.use(other, now: .seconds(10)) == nil)
    }

    @Test func `one that was ended or never was is none`() {
        var table = SessionTable(idleTime: .seconds(10), lifetime: .seconds(25))
        let token = table.begin(who, now: .zero)
        #expect(table.use("", now: .zero) == nil && table.use("x", now: .zero) == nil)
        table.end(token)
        #expect(table.use(token, now: .zero) == nil)
    }

    @Test func `there are only so many, and the one that was not used for the longest goes first`() {
        var table = SessionTable(idleTime: .seconds(1000), lifetime: .seconds(1000))
        let first = table.begin(who, now: .zero)
        let second = table.begin(who, now: .seconds(1))
        for _ in 2..<SessionTable.most { _ = table.begin(who, now: .seconds(2)) }
        #expect(table.use(first, now: .seconds(3)) != nil)
        _ = table.begin(who, now: .seconds(4))
        #expect(table.count == SessionTable.most)
        #expect(table.use(first, now: .seconds(4)) != nil && table.use(second, now: .seconds(4)) == nil)
    }
}

@Suite struct LoginLimiterTests {
    @Test func `one address may fail ten times a minute`() {
        var limiter = LoginLimiter()
        for second in 0..<10 {
            #expect(limiter.delay(for: "a", now: .seconds(second)) == nil)
            limiter.failed("a", now: .seconds(second))
        }
        #expect(limiter.delay(for: "a", now: .seconds(10)) == .seconds(50))
        #expect(limiter.delay(for: "b", now: .seconds(10)) == nil)
        #expect(limiter.delay(for: "a", now: .seconds(60)) == nil)
    }

    @Test func `all addresses together may not fail often`() {
        var limiter = LoginLimiter()
        for index in 0..<LoginLimiter.mostOfAll { limiter.failed("\(index)", now: .zero) }
        #expect(limiter.delay(for: "new", now: .seconds(1)) == .seconds(59))
        #expect(limiter.delay(for: "new", now: .seconds(60)) == nil)
    }
}

@Suite struct CredentialStoreTests {
    private let store = CredentialStore(
        [.init("ann", password: "one"), .init("bob", password: "two", role: .readOnly)],
        [.init("ci", token: "0123456789abcdef", role: .readOnly)]
    )

    @Test func `a name needs its own password`() {
        #expect(store.user("ann", password: "one") == Identity(name: "ann", role: .admin))
        #expect(store.user("bob", password: "two")?.role == .readOnly)
        #expect(store.user("ann", password: "two") == nil && store.user("eve", password: "one") == nil)
        #expect(store.user("", password: "") == nil)
    }

    @Test func `a token is known by all of it`() {
        #expect(store.token("0123456789abcdef")?.name == "ci")
        #expect(store.token("0123456789abcde") == nil && store.token("") == nil)
    }

    @Test func `a configuration that lets nobody in, or anybody guess, is refused`() {
        let bad: [DashboardAuthentication] = [
            .credentials(), .credentials(users: [.init("", password: "a")]),
            .credentials(users: [.init("a:b", password: "a")]),
            .credentials(users: [.init("a", password: "")]),
            .credentials(users: [.init("a", password: "1"), .init("a", password: "2")]),
            .credentials(tokens: [.init("ci", token: "short")]),
        ]
        for authentication in bad { #expect(throws: (any Error).self) { try authentication.validate() } }
    }
}
