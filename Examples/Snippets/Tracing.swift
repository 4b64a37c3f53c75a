import Asynq
import Tracing

enum Traces {
    static func use(_ tracer: any Tracer, _ client: AsynqClient, _ router: inout TaskRouter) async throws {
        InstrumentationSystem.bootstrap(tracer)  // swift-otel, for example; once, before clients and servers are made

        try await client.enqueue(WelcomeEmail(userID: 42))  // span "enqueue default", child of the request's span

        try router.handle(WelcomeEmail.self) { email, context in
            // ServiceContext.current is that of the span "process default", child of "enqueue default".
            try await withSpan("render") { _ in try await render(email) }
        }
    }

    static func render(_ email: WelcomeEmail) async throws {}
}
