import Asynq
import AsynqDashboard
import Hummingbird

enum Dashboard {
    static func mount(_ broker: any Broker, in router: Router<BasicRequestContext>) throws {
        var configuration = DashboardConfiguration()
        configuration.authentication = .application()  // the router's middleware lets in who may
        let dashboard = AsynqDashboard(broker, configuration: configuration)
        let monitoring = try dashboard.mount(on: router.group("admin"), at: "tasks")
        _ = Application(router: router, services: [monitoring])  // what works beside the requests
    }

    static func run(_ broker: any Broker, password: String) async throws {
        var configuration = DashboardConfiguration()
        configuration.authentication = .credentials(users: [.init("ops", password: password)])
        configuration.host = "0.0.0.0"  // refused without users
        try await AsynqDashboard(broker, configuration: configuration).run()
    }

    struct OperatorsOnly: RouterMiddleware {
        let isOperator: @Sendable (Request) -> Bool  // your own login knows

        func handle(
            _ request: Request,
            context: BasicRequestContext,
            next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            guard isOperator(request) else { return Response(status: .forbidden) }
            return try await next(request, context)
        }
    }

    static func serve(
        _ broker: any Broker,
        isOperator: @escaping @Sendable (Request) -> Bool,
        server: AsynqServer
    ) async throws {
        var configuration = DashboardConfiguration()
        configuration.authentication = .application()
        configuration.payloadFormatter = { type, bytes in
            type == "user:export" ? "(personal data)" : String(decoding: bytes, as: UTF8.self)
        }
        let router = Router()
        router.get("hello") { _, _ in "hello" }
        let operators = router.group("admin").add(middleware: OperatorsOnly(isOperator: isOperator))
        let dashboard = AsynqDashboard(broker, configuration: configuration)
        let monitoring = try dashboard.mount(on: operators, at: "tasks")  // http://…/admin/tasks
        let application = Application(router: router, services: [monitoring, server])
        try await application.runService()
    }
}
