import HTTPTypes
import Hummingbird
import NIOCore

/// Brings requests to the handler. Paths are taken apart there: a name may hold any character, and a router's patterns know
/// nothing of `ID:run`.
struct DashboardRoutes: Sendable {
    let engine: DashboardEngine

    func add<Context: RequestContext>(to router: some RouterMethods<Context>, at path: RouterPath) {
        let handler = RequestHandler(engine: engine)
        let methods: [HTTPRequest.Method] = [.get, .head, .post, .delete, .put, .patch, .options]
        for method in methods {
            for path in [path, path.appendingPath("**")] {
                router.on(path, method: method) { request, context in
                    let place = Self.place(request.uri.path, route: context.endpointPath ?? "")
                    let address = (context as? any RemoteAddressRequestContext)?.remoteAddress?.ipAddress
                    return await handler.respond(to: request, root: place.root, place.rest, address: address)
                }
            }
        }
    }

    /// Where the dashboard stands, as the browser sees it, and what follows.
    ///
    /// - Parameter route: the pattern that led here, which ends with `**` or at the root.
    static func place(_ path: String, route: String) -> (root: String, rest: [Substring]) {
        let depth = route.split(separator: "/").count { $0 != "**" }
        let parts = path.split(separator: "/")
        let root = parts.prefix(depth).map { "/" + $0 }.joined()
        return (root, Array(parts.dropFirst(depth)))
    }
}
