import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import ServiceLifecycle

/// The live figures as server-sent events.
struct EventStream: Sendable {
    let engine: DashboardEngine

    func response(_ call: APICall) throws(APIError) -> Response {
        guard engine.work.isRunning else {
            throw .unavailable("the dashboard's service does not run: it must be one of the application's services")
        }
        let (engine, request, identity) = (engine, call.request, call.identity)
        var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
        // nginx would keep events back until there are many.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return Response(
            status: .ok,
            headers: headers,
            body: ResponseBody { writer in
                let (events, end) = try engine.feed.view()
                defer { end() }
                // A server that shuts down waits for its responses, and this one would never end.
                try await withGracefulShutdownHandler {
                    try await request.body.consumeWithInboundCloseHandler { _ in
                        for await event in events {
                            guard engine.gate.isStillIn(identity) else { break }
                            try await writer.write(event)
                        }
                    } onInboundClosed: {
                        end()
                    }
                } onGracefulShutdown: {
                    end()
                }
                try await writer.finish(nil)
            }
        )
    }
}
