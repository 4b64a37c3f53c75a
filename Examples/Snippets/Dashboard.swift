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
}
