import Asynq
import AsynqMetrics
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Answers a request: decides what it is for and who may, and puts what came of it into a response.
struct RequestHandler: Sendable {
    let engine: DashboardEngine

    /// - Parameters:
    ///   - root: the path of the dashboard.
    ///   - parts: of the path below it, as they were sent.
    ///   - address: of the client.
    func respond(to request: Request, root: String, _ parts: [Substring], address: String?) async -> Response {
        let facts = RequestFacts(request, address: address, trustsProxy: engine.configuration.trustsProxyHeaders)
        var response: Response
        do {
            response = try await answer(request, facts, root, parts)
        } catch {
            let failure = APIError(error)
            if failure.status == .internalServerError {
                engine.logger.error(
                    "a request failed",
                    metadata: ["error": "\(type(of: error))", "path": "\(parts.first ?? "")"]
                )
            }
            response = .text(failure.status, failure.message)
            if let seconds = failure.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
            // No Basic: a browser would ask for it in a window of its own.
            if failure.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        }
        response.addSafetyHeaders()
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(
        _ request: Request,
        _ facts: RequestFacts,
        _ root: String,
        _ parts: [Substring]
    ) async throws -> Response {
        if parts == ["healthz"] { return try await health() }
        try engine.gate.checkHost(facts)
        if parts.first == "api" {
            let route = try APIRoute(facts.method, Array(parts.dropFirst()))
            return try await api(route, request, facts, root)
        }
        guard facts.method == "GET" || facts.method == "HEAD" else { throw APIError.methodNotAllowed }
        if parts == ["metrics"] { return try await metrics(facts) }
        return try page(request, root, parts)
    }

    /// Known to nobody but by its status: it needs no authentication.
    private func health() async throws -> Response {
        let broker = engine.broker
        let text = try await engine.answers.answer("healthz") {
            do {
                try await broker.ping()
            } catch {
                throw APIError.unavailable("the broker cannot be reached")
            }
            return ByteBuffer(string: "ok\n")
        }
        return .text(.ok, String(buffer: text))
    }

    private func metrics(_ facts: RequestFacts) async throws -> Response {
        guard engine.configuration.exportsMetrics else {
            throw APIError(.notFound, "the metrics exporter is off: turn it on in the dashboard's configuration")
        }
        _ = try engine.gate.identity(facts)
        let inspector = engine.inspector
        let text = try await engine.answers.answer("metrics") {
            ByteBuffer(string: try await QueueMetrics(inspector).text())
        }
        return Response(
            status: .ok,
            headers: [.contentType: QueueMetrics.contentType, .cacheControl: "no-store"],
            body: .init(byteBuffer: text)
        )
    }

    private func page(_ request: Request, _ root: String, _ parts: [Substring]) throws -> Response {
        let path = parts.map { PercentEncoding.decode($0) ?? "" }.joined(separator: "/")
        let file = path == AssetStore.index ? nil : engine.assets.asset(path)
        // Whatever is no file is a place in the application.
        guard let asset = file ?? engine.assets.page(root: root) else { throw APIError.notFound }
        var headers: HTTPFields = [
            .contentType: asset.contentType, .eTag: asset.etag, .cacheControl: "no-cache",
            .contentSecurityPolicy: Response.contentSecurityPolicy, .vary: "accept-encoding",
        ]
        if request.headers[.ifNoneMatch]?.contains(asset.etag) == true {
            headers[.contentType] = nil
            return Response(status: .notModified, headers: headers)
        }
        var bytes = asset.bytes
        if request.acceptsGzip, let gzipped = asset.gzipped {
            bytes = gzipped
            headers[.contentEncoding] = "gzip"
            // The same content in other bytes.
            headers[.eTag] = "W/" + asset.etag
        }
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    // MARK: API

    private func api(
        _ route: APIRoute,
        _ request: Request,
        _ facts: RequestFacts,
        _ root: String
    ) async throws -> Response {
        try engine.gate.checkNotCrossSite(facts)
        let query = try APIQuery(request.uri.query)
        if route == .login || route == .logout || route.isWrite { try engine.gate.checkSameOrigin(facts) }
        let sessions = SessionAPI(engine: engine)
        if route == .login { return try await sessions.logIn(request, facts, root) }
        let identity = try engine.gate.identity(facts)
        let call = APICall(route: route, request: request, facts: facts, identity: identity, query: query)
        switch route {
        case .logout: return try sessions.logOut(call, root)
        case .session: return .json(sessions.session(call))
        case .audit: return .json(try sessions.audit(call))
        case .events: return try EventStream(engine: engine).response(call)
        default: break
        }
        if route.isWrite {
            try engine.gate.checkMayWrite(identity)
            try engine.gate.checkToken(facts, identity)
            return try await WriteAPI(engine: engine, call: call).response()
        }
        return try await ReadAPI(engine: engine, call: call).response()
    }
}

/// A request to the API, and whose it is.
struct APICall: Sendable {
    let route: APIRoute
    let request: Request
    let facts: RequestFacts
    let identity: Identity
    let query: APIQuery
}
