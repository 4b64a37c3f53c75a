import Asynq
import HTTPTypes
import Hummingbird

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Who looks, and where.
struct SessionAPI: Sendable {
    /// A name and a password are no longer.
    private static let mostBytes = 16 * 1024

    let engine: DashboardEngine

    private struct Login: Decodable {
        var user: String
        var password: String
    }

    func logIn(_ request: Request, _ facts: RequestFacts, _ root: String) async throws -> Response {
        let login = try await request.decode(Login.self, limit: Self.mostBytes)
        let identity: Identity
        let token: String
        do {
            (identity, token) = try engine.gate.logIn(login.user, password: login.password, facts)
        } catch {
            // Not the name: somebody may have typed a password there.
            if error.status == .unauthorized {
                note(nil, facts, "login", outcome: "wrong name or password")
                throw APIError(.unauthorized, "the name or the password is wrong")
            }
            throw error
        }
        note(identity.name, facts, "login", outcome: "done")
        var response = Response.noContent
        response.headers[.setCookie] = cookie(token, facts, root)
        return response
    }

    func logOut(_ call: APICall, _ root: String) throws -> Response {
        try engine.gate.checkToken(call.facts, call.identity)
        engine.gate.logOut(call.facts)
        var response = Response.noContent
        response.headers[.setCookie] = cookie("", call.facts, root) + "; Max-Age=0"
        return response
    }

    private func cookie(_ value: String, _ facts: RequestFacts, _ root: String) -> String {
        let path = root.isEmpty ? "/" : root
        let secure = facts.isSecure ? "; Secure" : ""
        return "\(facts.sessionCookie)=\(value); Path=\(path); HttpOnly; SameSite=Strict\(secure)"
    }

    private func note(_ who: String?, _ facts: RequestFacts, _ action: String, outcome: String) {
        engine.audit.add(
            .init(
                at: Date(),
                who: who ?? "",
                address: facts.address,
                action: action,
                queue: "",
                taskID: "",
                count: nil,
                outcome: outcome
            )
        )
    }

    func session(_ call: APICall) -> JSONValue {
        let name = engine.broker.name
        let kind = ["sqlite", "memory"].first { name.hasPrefix($0) } ?? "redis"
        return .object([
            "user": .optional(call.identity.name),
            "role": .string(call.identity.role.rawValue),
            "authentication": .string(engine.configuration.authentication.isRequired ? "password" : "none"),
            "read_only": .bool(engine.gate.isReadOnly(call.identity)),
            "version": .string(AsynqDashboard.version),
            "broker": .object(["kind": .string(kind), "address": .string(name)]),
            "metrics": .string(engine.prometheus == nil ? "own" : "prometheus"),
            "refresh_seconds": .double(engine.configuration.refreshInterval / .seconds(1)),
            "csrf": .string(engine.gate.csrf(call.facts, call.identity)),
        ])
    }

    func audit(_ call: APICall) throws(APIError) -> JSONValue {
        guard call.identity.role == .admin else { throw .forbidden("only an admin may see who did what") }
        let limit = try call.query.number("limit", 1...AuditLog.most) ?? 100
        return .object(["entries": .array(engine.audit.last(limit).map { JSONValue($0) })])
    }
}
